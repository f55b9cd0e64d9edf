"""Full dissection of chosen packets by Wireshark's dissectors, through pyshark: the drill-down.

Slow and complete where collectors.decode is fast and selective; it needs tshark. Nothing here is
used for analysis.
"""

import asyncio
import logging
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

from fabricscope.errors import CaptureError, ConfigError, DependencyError

FRAMES_LIMIT: Final = 1000
"""Most packets dissected at once."""
LARGEST_FRAME: Final = 2**32 - 1
_PROBE_SECONDS: Final = 60
_PART: Final = re.compile(r"([0-9]{1,10})(?:-([0-9]{1,10}))?")


class DissectedField(NamedTuple):
    """One line of a layer as Wireshark writes it; `name` is that of the display filter."""

    name: str
    text: str
    depth: int


class DissectedLayer(NamedTuple):
    """One protocol of a packet, its fields in the order of the bytes."""

    name: str
    fields: tuple[DissectedField, ...]


class DissectedPacket(NamedTuple):
    """One packet; lengths in bytes, the time in tshark's own words."""

    frame: int
    time: str
    wire_length: int
    captured_length: int
    layers: tuple[DissectedLayer, ...]


def parse_frames(text: str) -> list[int]:
    """Return the frame numbers of a list such as `10,12-15`, ascending, each once.

    Raises ConfigError if it is no such list or names more than FRAMES_LIMIT frames.
    """
    frames: set[int] = set()
    for part in text.split(","):
        match = _PART.fullmatch(part.strip())
        if match is None:
            raise ConfigError(
                f"--frames {text!r} cannot be read at {part.strip()!r}: give frame numbers and "
                "ranges such as 10,12-15."
            )
        first = int(match[1])
        last = int(match[2] or first)
        if not 1 <= first <= last <= LARGEST_FRAME:
            raise ConfigError(
                f"--frames {text!r} holds {part.strip()!r}, which is no ascending range of frames "
                "from 1 on: count as Wireshark does."
            )
        if last - first >= FRAMES_LIMIT:
            raise _too_many(text)
        frames.update(range(first, last + 1))
        if len(frames) > FRAMES_LIMIT:
            raise _too_many(text)
    return sorted(frames)


def _too_many(text: str) -> ConfigError:
    return ConfigError(
        f"--frames {text[:80]!r} names more than {FRAMES_LIMIT:,} frames: ask for fewer at once."
    )


def dissect(path: str, frames: Sequence[int]) -> Iterator[DissectedPacket]:
    """Yield the packets with these frame numbers of the capture `path`, in order of the file.

    The file is read up to the last of them and no further. Must not be called while an event
    loop runs in the same thread. Raises CaptureError if the file cannot be read or ends before
    the last frame, DependencyError if tshark or pyshark is missing.
    """
    tshark = shutil.which("tshark")
    if tshark is None:
        raise DependencyError(
            "Dissecting needs tshark, which is not installed: install Wireshark's terminal "
            "program (Debian and Ubuntu: apt install tshark; macOS: brew install wireshark)."
        )
    source = _check_file(path)
    wanted = set(frames)
    if not wanted:
        return
    with _open_capture(source, sorted(wanted), tshark) as capture:
        for packet in capture:
            dissected = _convert(packet)
            wanted.discard(dissected.frame)
            yield dissected
            if not wanted:
                return
    raise _explain_missing(path, source, wanted, tshark)


def _check_file(path: str) -> Path:
    source = Path(path).absolute()
    try:
        if not source.is_file():
            raise CaptureError(f"{path} is no file: give the path of a capture to dissect.")
        with source.open("rb"):
            return source
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise CaptureError(
            f"{path} cannot be opened ({reason}): check the path and your rights."
        ) from error


@contextmanager
def _open_capture(source: Path, frames: Sequence[int], tshark: str) -> Iterator[Iterator[Any]]:
    """Run tshark on the file with an event loop of its own, and end both."""
    try:
        import pyshark
        from pyshark.capture.capture import TSharkCrashException
    except ImportError as error:
        raise DependencyError(
            "Dissecting needs pyshark, which is not installed: pip install pyshark."
        ) from error
    # Where tshark ends by itself before the loop looks, asyncio tells the terminal that it does not
    # know its exit status. What tshark wrote is what counts here.
    logging.getLogger("asyncio").setLevel(logging.ERROR)
    loop = asyncio.new_event_loop()
    capture = pyshark.FileCapture(
        str(source),
        keep_packets=False,
        display_filter=f"frame.number in {{{_compress(frames)}}}",
        tshark_path=tshark,
        eventloop=loop,
        custom_parameters=["-c", str(frames[-1])],
    )
    packets = iter(capture)
    try:
        yield _until_crash(packets, TSharkCrashException)
    finally:
        processes = list(capture._running_processes)
        # A tshark that stopped at an unreadable record is reported by what it did not deliver.
        for end in (packets.close, capture.close):
            try:
                end()
            except TSharkCrashException:
                capture._running_processes.clear()  # or its finaliser would raise the same again
        loop.run_until_complete(_drain(processes))
        loop.close()


async def _drain(processes: Sequence[asyncio.subprocess.Process]) -> None:
    """Wait until ended processes have let go of their pipes, which the loop closes one by one."""
    readers = asyncio.all_tasks() - {asyncio.current_task()}
    await asyncio.gather(*readers, return_exceptions=True)
    for process in processes:
        if process.stdout is not None:
            await process.stdout.read()
        await process.wait()
    for _ in range(3):
        await asyncio.sleep(0)


def _until_crash(packets: Iterator[Any], crash: type[Exception]) -> Iterator[Any]:
    try:
        yield from packets
    except crash:
        return


def _compress(frames: Sequence[int]) -> str:
    """Return ascending frame numbers as members of a display filter's set, runs as ranges."""
    parts: list[str] = []
    start = previous = frames[0]
    for frame in [*frames[1:], 0]:
        if frame == previous + 1:
            previous = frame
            continue
        parts.append(str(start) if start == previous else f"{start}..{previous}")
        start = previous = frame
    return ", ".join(parts)


def _convert(packet: Any) -> DissectedPacket:
    return DissectedPacket(
        frame=int(packet.number),
        time=str(packet.frame_info.get_field("frame.time") or packet.sniff_timestamp),
        wire_length=int(packet.length),
        captured_length=int(packet.captured_length),
        layers=tuple(
            DissectedLayer(str(layer.layer_name).lower(), _arrange_fields(layer))
            for layer in packet.layers
        ),
    )


def _arrange_fields(layer: Any) -> tuple[DissectedField, ...]:
    """Return the visible fields in Wireshark's order, nested by their names and places.

    pyshark flattens the tree: a field belongs under the last one that holds its bytes. It also
    gathers repeated fields at the first of them: they are put back where their bytes are.
    """
    containers = {
        id(field): field for field in map(layer.get_field, layer.field_names) if field is not None
    }
    shown = [container.main_field for container in containers.values()]
    for container in containers.values():
        for repeated in container.alternate_fields:
            place = _position(repeated)
            before = [
                index
                for index, field in enumerate(shown)
                if _position(field) <= place and int(field.size or 0)
            ]
            shown.insert(before[-1] + 1 if before else 0, repeated)
    arranged: list[DissectedField] = []
    above: list[Any] = []
    for field in shown:
        if field.hide or not (field.showname or field.show):
            continue
        while above and not _holds(above[-1], field):
            above.pop()
        arranged.append(
            DissectedField(str(field.name), str(field.showname or field.show), len(above))
        )
        above.append(field)
    return tuple(arranged)


def _position(field: Any) -> int:
    return int(field.pos or 0)


def _holds(parent: Any, child: Any) -> bool:
    """Return whether the child's bytes are some of the parent's, or its name continues it."""
    parent_size, size = int(parent.size or 0), int(child.size or 0)
    start = _position(child) - _position(parent)
    if start < 0 or start + size > parent_size:
        return False
    named = bool(parent.name) and str(child.name).startswith(f"{parent.name}.")
    return named or 0 < size < parent_size


def _explain_missing(path: str, source: Path, missing: set[int], tshark: str) -> CaptureError:
    """Return why frames did not come: tshark's own reason if it has one, else the file's end."""
    first = min(missing)
    probe = subprocess.run(
        [tshark, "-n", "-r", str(source), "-c", "1"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=_PROBE_SECONDS,
        check=False,
    )
    if probe.returncode:
        lines = probe.stderr.decode(errors="replace").strip().splitlines()
        reason = lines[-1].removeprefix("tshark: ").rstrip(".") if lines else "no reason given"
        return CaptureError(
            f"tshark cannot read {path} ({reason}): check that it is a whole capture file."
        )
    more = f" and {len(missing) - 1:,} more" if len(missing) > 1 else ""
    return CaptureError(
        f"Frame {first:,}{more} cannot be read from {path}, which ends or breaks off before it: "
        "ask for frames that it holds."
    )
