"""The mirror port at the highest rate that this machine can send, and what it costs.

    sudo python benchmarks/live/ring.py [--frames small|large] [--seconds 60] [--overload]

RoCE v2 frames of 64 or 1,082 bytes go from one network namespace to another at tcpreplay's top
speed. Fabricscope watches with all its analyzers and a store; tcpdump and dumpcap, which only write
packets away, are measured in the same way after it. With --overload busy loops take both cores
while packets come. Prints Markdown; ends with status 1 where the account is not exact.
"""

import argparse
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from lab import Account, Collector, Wire, cpu_s, on_a_wire, send_at_top_speed, within
from traffic import large_frames, small_frames, write_capture

FRAMES = {"small": (small_frames, 400_000, "64 B"), "large": (large_frames, 100_000, "1,082 B")}
OTHERS = {
    "tcpdump -w /dev/null": ["tcpdump", "-n", "-B", "131072", "-w", "/dev/null", "-i"],
    "dumpcap -w /dev/null": ["dumpcap", "-q", "-B", "128", "-w", "/dev/null", "-i"],
}
COMPARED_S = 15.0


def row(name: str, sent: int, took_s: float, seen: int, used_s: float) -> str:
    """Return a line of the table."""
    return f"| {name} | {sent:,} | {sent / took_s:,.0f} | {sent - seen:,} | {used_s / sent * 1e6:.2f} |"


def watch_with_fabricscope(
    wire: Wire, capture: Path, seconds: float, folder: Path
) -> tuple[str, Account, int]:
    """Return the line of the table, the account, and packets sent."""
    collector = Collector(wire, folder)
    before_s = cpu_s(collector.process.pid)
    sent, took_s = send_at_top_speed(wire, capture, seconds)
    time.sleep(2)
    used_s = cpu_s(collector.process.pid) - before_s
    account = collector.account()
    return row("fabricscope live", sent, took_s, account.analyzed, used_s), account, sent


def watch_with_another(wire: Wire, capture: Path, name: str, command: list[str]) -> str:
    """Return the line of a program that writes packets away."""
    running = subprocess.Popen(
        within(wire.near_space, *command, wire.near), stderr=subprocess.PIPE, text=True
    )
    time.sleep(2)
    before_s = cpu_s(running.pid)
    sent, took_s = send_at_top_speed(wire, capture, COMPARED_S)
    time.sleep(2)
    used_s = cpu_s(running.pid) - before_s
    running.send_signal(signal.SIGINT)
    said = running.communicate(timeout=30)[1]
    seen = re.search(r"(\d+) packets captured|received/dropped on[^:]*: (\d+)", said)
    count = int(seen[1] or seen[2]) if seen else 0
    return row(name, sent, took_s, count, used_s)


def compare(wire: Wire, capture: Path, seconds: float, size: str, folder: Path) -> bool:
    """Print the table of a frame size; return whether nothing was lost."""
    line, account, sent = watch_with_fabricscope(wire, capture, seconds, folder)
    print(f"Frames of {size}:\n")
    print("| program | packets sent | packets/s | lost | CPU a packet, us |")
    print("|---|---:|---:|---:|---:|")
    print(line)
    for name, command in OTHERS.items():
        print(watch_with_another(wire, capture, name, command))
    print(f"\n{account.analyzed:,} analyzed + {account.skipped:,} left out + {account.dropped:,} "
          f"dropped + {account.missed:,} missed = {account.total:,} of {sent:,} sent; level of "
          f"detail {sorted(set(account.levels))} (0: everything on).")  # fmt: skip
    return account.analyzed == account.total == sent


def overload(wire: Wire, capture: Path, seconds: float, size: str, folder: Path) -> bool:
    """Take the processors away while packets come; return whether the account is exact."""
    collector = Collector(wire, folder, "--ring", "16")
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(4)]
    try:
        sent, took_s = send_at_top_speed(wire, capture, seconds)
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()
    time.sleep(3)
    account = collector.account()
    print(f"Frames of {size} for {took_s:.0f} s beside {len(loops)} busy loops on both cores, with "
          f"a ring of 16 MiB:\n")  # fmt: skip
    print("| sent | analyzed | left out by sampling | dropped for want of ring | missed before "
          "the ring | sum |")  # fmt: skip
    print("|---:|---:|---:|---:|---:|---:|")
    print(f"| {sent:,} | {account.analyzed:,} | {account.skipped:,} | {account.dropped:,} | "
          f"{account.missed:,} | {account.total:,} |")  # fmt: skip
    levels = " ".join(map(str, account.levels))
    print(f"\nLevel of detail second by second: {levels}; at most 1 in {account.sampling} batches "
          "analyzed.")  # fmt: skip
    return account.total == sent


def main() -> None:
    """Make the captures, run, and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", choices=FRAMES, default="small")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--overload", action="store_true")
    options = parser.parse_args()
    make, count, size = FRAMES[options.frames]
    with tempfile.TemporaryDirectory() as name, on_a_wire() as wire:
        capture = Path(name) / "frames.pcap"
        write_capture(capture, make(count))
        work = overload if options.overload else compare
        right = work(wire, capture, options.seconds, size, Path(name))
    raise SystemExit(0 if right else 1)


if __name__ == "__main__":
    main()
