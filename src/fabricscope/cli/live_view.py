"""What `live` shows while it runs: one screen on a terminal, a line every ten seconds elsewhere."""

from collections import deque
from types import TracebackType
from typing import Any, Final

import polars as pl
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from fabricscope.cli.live_alerts import AlertBoard
from fabricscope.cli.screen import Screen
from fabricscope.pipeline.live.alerts import AlertWatch
from fabricscope.pipeline.live.session import Second
from fabricscope.recorder import Recorder

_LINKS: Final = 10
_LEFT_OUT: Final = 3
_HISTORY: Final = 60
_LINE_EVERY: Final = 10
_LEVELS: Final = (
    "everything on",
    "no RDMA detail (overload)",
    "no RDMA detail, no DPI (overload)",
    "1 in {sampling} (overload)",
)


class LiveView:
    """Shows each second; a context, so that the terminal is left as it was."""

    def __init__(
        self,
        console: Console,
        collector: str,
        recorder: Recorder | None,
        alerts: AlertWatch | None = None,
        *,
        enabled: bool,
    ) -> None:
        """Prepare the screen; `recorder` for what was kept, `alerts` for what is the matter."""
        self._screen = Screen(console)
        self._board = AlertBoard(self._screen, alerts) if alerts is not None else None
        if alerts is not None and self._board is not None and enabled and not console.is_terminal:
            alerts.listeners.append(self._board.say)
        self._collector = collector
        self._recorder = recorder
        self._enabled = enabled
        self._rates: deque[float] = deque(maxlen=_HISTORY)
        self._totals = {"packets": 0, "dropped": 0, "skipped": 0}
        self._sflow = {"packets": 0, "dropped": 0}
        self._live: Live | None = None
        self._seconds = 0
        self._left_out: dict[str, int] = {}

    def __enter__(self) -> "LiveView":
        """Take the screen over."""
        if self._enabled and self._screen.console.is_terminal:
            self._live = Live(console=self._screen.console, auto_refresh=False, transient=False)
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Give the screen back and say what was seen in all."""
        if self._live:
            self._live.stop()
        if self._enabled and kind is None:
            self._screen.line((self._summary(), ""))

    def show(self, second: Second) -> None:
        """Take in a second."""
        self._seconds += 1
        self._left_out = second.judge.left_out
        taps = second.tables.get("tap_samples", pl.DataFrame())
        if not taps.is_empty():
            sampled = pl.col("tap").str.starts_with("sflow")
            for name in self._sflow:
                self._sflow[name] += int(taps.filter(sampled)[name].sum())
            taps = taps.filter(~sampled)
            for name in self._totals:
                self._totals[name] += int(taps[name].sum())
            self._rates.append(float(taps["bytes"].sum()) * 8 / 1e9)
        if self._live:
            self._live.update(self._draw(second), refresh=True)
        elif self._enabled and self._seconds % _LINE_EVERY == 0:
            self._screen.line((self._summary(), ""))

    def _summary(self) -> str:
        text = (
            f"{self._totals['packets']:,} packets analyzed, {self._totals['dropped']:,} dropped by "
            f"the kernel, {self._totals['skipped']:,} left out by sampling"
        )
        if any(self._sflow.values()):
            text += (
                f"; sFlow: {self._sflow['packets']:,} packets sampled, "
                f"{self._sflow['dropped']:,} datagrams lost"
            )
        if any(self._left_out.values()):
            most = sorted(self._left_out.items(), key=lambda item: -item[1])[:_LEFT_OUT]
            parts = [f"{count:,} {name.replace('_', ' ')}" for name, count in most if count]
            text += f"; no room for {', '.join(parts)}"
        if self._recorder:
            text += f"; {self._recorder.flushed_rows:,} rows kept"
            if self._recorder.dropped_rows:
                text += f", {self._recorder.dropped_rows:,} given up"
            if self._recorder.store.note:
                text += f" ({self._recorder.store.note})"
            if self._recorder.problem:
                text += f" - {self._recorder.problem}"
        if self._board is not None and not self._live:
            said = self._board.summary()
            text += f"; alerts: {said}" if said else ""
        return text

    def _draw(self, second: Second) -> Group:
        judge = second.judge
        level = _LEVELS[judge.level].format(sampling=judge.sampling)
        rate = self._rates[-1] if self._rates else 0.0
        history = self._screen.sparkline(list(self._rates), 40)
        parts: list[Any] = [
            Text(f"Fabricscope  {self._collector}  {rate:8.3f} Gb/s  {history}  {level}"),
            self._screen.text(self._summary(), "dim"),
        ]
        if self._board is not None:
            parts += self._board.draw()
        links = second.tables.get("link_samples", pl.DataFrame())
        if not links.is_empty():
            parts.append(self._draw_links(links))
        parts += self._draw_jobs(judge.training.collectives)
        return Group(*parts)

    def _draw_links(self, links: pl.DataFrame) -> Table:
        worst = links.sort(["score", "utilization"], descending=[False, True]).head(_LINKS)
        table = Table(
            box=None, padding=(0, 2, 0, 0), title="Links, worst first", title_justify="left"
        )
        for title, justify in (
            ("link", "left"),
            ("", "left"),
            ("score", "right"),
            ("Gb/s", "right"),
            ("load", "right"),
            ("10 ms", "right"),
            ("lost", "right"),
            ("CE", "right"),
            ("why", "left"),
        ):
            table.add_column(title, justify=justify)  # type: ignore[arg-type]
        for row in worst.iter_rows(named=True):
            table.add_row(
                self._screen.text(row["link"]),
                row["direction"],
                f"{row['score']:.0f}",
                _rate(row),
                _share(row["utilization"]),
                _share(row["burst"]),
                str(row["lost"]),
                str(row["ecn_marked"]),
                self._screen.text(row["reasons"]),
            )
        return table

    def _draw_jobs(self, collectives: list[dict[str, Any]]) -> list[Text]:
        lines = []
        for one in collectives[:5]:
            straggler = one["straggler"]
            held = f"  held back by {straggler['ip']} ({straggler['kind']})" if straggler else ""
            lines.append(
                self._screen.text(
                    f"{one['operation']} {one['algorithm']}  {len(one['ranks'])} ranks  "
                    f"{one['message_bytes'] / 2**20:.3g} MiB  busbw {one['busbw_gbps']:.3g} Gb/s"
                    f"{held}"
                )
            )
        return lines


def _rate(row: dict[str, Any]) -> str:
    """Return Gb/s; rows of sFlow counters cover as long as their agent lets pass."""
    if row["utilization"] is None or row["rate_gbps"] is None:
        if row["source"] == "sflow":
            return "-"
        return f"{row['bytes'] * 8 / 1e9:.3f}"
    return f"{row['utilization'] * row['rate_gbps']:.3f}"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.0%}"
