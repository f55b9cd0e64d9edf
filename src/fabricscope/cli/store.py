"""`fabricscope store`: look at a store, look after it, take data out of it."""

import sys
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
from rich.console import Console
from rich.table import Table

from fabricscope.cli.screen import Screen
from fabricscope.errors import StoreError
from fabricscope.store import DeltaStore


def _open(directory: str) -> DeltaStore:
    if "://" in directory:
        raise StoreError(
            "`fabricscope store` looks after directories; a database has tools of its own"
        )
    store = DeltaStore(directory)
    if not store.root.is_dir():
        raise StoreError(f"there is no store at {directory}; `fabricscope live --store` makes one")
    if not store.places():
        raise StoreError(f"{directory} holds no tables; is it the directory given as --store?")
    return store


def print_info(directory: str, console: Console) -> None:
    """Print the tables with rows, files, size and span."""
    store = _open(directory)
    table = Table(box=None, padding=(0, 2, 0, 0))
    for title in ("table", "rows", "files", "size", "from (UTC)", "to (UTC)"):
        table.add_column(title, justify="left" if title in ("table",) else "right")
    for place in store.places():
        files = store.files(place)
        span = store.span(place)
        if files is None or span is None:
            continue
        size = int(files["size_bytes"].sum())
        table.add_row(
            place,
            f"{int(files['num_records'].sum()):,}",
            str(files.height),
            f"{size / 1e6:.2f} MB",
            _time(span[0]),
            _time(span[1]),
        )
    console.print(table)
    Screen(console).line((f"{store.size_bytes() / 1e6:.2f} MB on disk, logs included", "dim"))


def _time(time_ns: int) -> str:
    return datetime.fromtimestamp(time_ns / 1e9, UTC).strftime("%Y-%m-%d %H:%M:%S")


def compact(directory: str, console: Console) -> None:
    """Join the small files of every table."""
    store = _open(directory)
    for place in store.places():
        before, after = store.compact(place)
        Screen(console).line((f"{place}: {before} files before, {after} now", ""))


def export(directory: str, table: str, out: str, console: Console) -> None:
    """Write a table to a file; its ending says the format."""
    store = _open(directory)
    rows = store.scan(_known(store, table))
    kind = Path(out).suffix.lower()
    try:
        if kind == ".parquet":
            rows.sink_parquet(out)
        elif kind == ".csv":
            rows.with_columns(pl.selectors.string().map_batches(_harmless)).collect().write_csv(out)
        elif kind in (".json", ".jsonl", ".ndjson"):
            rows.collect().write_ndjson(out)
        else:
            raise StoreError(f"cannot tell the format of {out}; end it in .csv, .parquet or .json")
    except OSError as error:
        raise StoreError(f"cannot write {out}: {error.strerror or error}") from error
    Screen(console).line((f"wrote {out}", ""))


def _harmless(texts: pl.Series) -> pl.Series:
    """Keep spreadsheets from running what came out of a packet."""
    risky = texts.str.contains(r"^[=+\-@\t\r]")
    return pl.select(pl.when(risky).then("'" + texts).otherwise(texts)).to_series()


def _known(store: DeltaStore, table: str) -> str:
    if table not in store.places():
        raise StoreError(f"the store has no table {table}; it has {', '.join(store.places())}")
    return table


def query(directory: str, sql: str, csv: bool, console: Console) -> None:
    """Answer a SELECT; table names with a dot are written in double quotes."""
    store = _open(directory)
    with pl.SQLContext({place: store.scan(place) for place in store.places()}) as context:
        try:
            answer = context.execute(sql).collect()
        except (pl.exceptions.PolarsError, ValueError) as error:
            reason = str(error).splitlines()[0]
            raise StoreError(f"the query cannot be answered: {reason}") from error
    if csv:
        sys.stdout.write(answer.write_csv())
        return
    with pl.Config(tbl_rows=200, tbl_cols=40, tbl_width_chars=max(80, console.width)):
        console.print(str(answer), markup=False, highlight=False)
