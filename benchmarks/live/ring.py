"""The mirror port at the highest rate that this machine can send, and what it costs.

    sudo python benchmarks/live/ring.py [--frames small|large] [--seconds 60] [--overload]

As root: it makes network namespaces.

RoCE v2 frames of 64 or 1,082 bytes go from one network namespace to another at tcpreplay's top
speed, then at --rate from a sender that needs less of the processors. Fabricscope watches with all
its analyzers and a store; tcpdump and dumpcap, which only write packets away, are measured in the
same way. With --overload
busy loops take both cores while packets come. Prints Markdown; ends with status 1 where the account
is not exact.
"""

import argparse
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from lab import (
    Account,
    Collector,
    Wire,
    cpu_s,
    on_a_wire,
    send_at_top_speed,
    send_in_batches,
    within,
)
from traffic import large_frames, small_frames, write_capture

FRAMES = {"small": (small_frames, 400_000, "64 B"), "large": (large_frames, 100_000, "1,082 B")}
OTHERS = {
    "tcpdump -w /dev/null": ["tcpdump", "-n", "-B", "131072", "-w", "/dev/null", "-i"],
    "dumpcap -w /dev/null": ["dumpcap", "-q", "-B", "128", "-w", "/dev/null", "-i"],
}
COMPARED_S = 15.0
FILL_S = 6.0
STEP_S = 0.2


def row(name: str, sent: int, took_s: float, seen: int, used_s: float) -> str:
    """Return a line of the table."""
    each_us = used_s / sent * 1e6
    return f"| {name} | {sent:,} | {sent / took_s:,.0f} | {sent - seen:,} | {each_us:.2f} |"


def watch_with_fabricscope(
    wire: Wire,
    capture: Path,
    seconds: float,
    folder: Path,
    send: Callable[[Wire, Path, float], tuple[int, float]],
) -> tuple[str, Account, int]:
    """Return the line of the table, the account, and packets sent."""
    folder.mkdir()
    collector = Collector(wire, folder)
    before_s = cpu_s(collector.process.pid)
    sent, took_s = send(wire, capture, seconds)
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


def compare(
    wire: Wire, capture: Path, seconds: float, rate: float, size: str, folder: Path
) -> bool:
    """Print the table of a frame size; return whether nothing was lost."""
    line, account, sent = watch_with_fabricscope(
        wire, capture, seconds, folder / "one", send_at_top_speed
    )
    faster, second, sent_faster = watch_with_fabricscope(
        wire, capture, seconds, folder / "two", partial(send_in_batches, rate=rate)
    )
    print(f"Frames of {size}:\n")
    print("| program | packets sent | packets/s | lost | CPU a packet, us |")
    print("|---|---:|---:|---:|---:|")
    print(line)
    for name, command in OTHERS.items():
        print(watch_with_another(wire, capture, name, command))
    print(faster.replace("fabricscope live", "fabricscope live, the other sender"))
    print()
    for one, count in ((account, sent), (second, sent_faster)):
        print(f"{one.analyzed:,} analyzed + {one.skipped:,} left out + {one.dropped:,} dropped + "
              f"{one.missed:,} missed = {one.total:,} of {count:,} sent; level of detail "
              f"{sorted(set(one.levels))} (0: everything on).\n")  # fmt: skip
    return account.analyzed == sent and second.total == sent_faster


def drain(wire: Wire, capture: Path, folder: Path) -> bool:
    """Let the ring fill while the collector stands still, then measure how fast it is read.

    Senders of this machine may be slower than the collector; this is the rate that it can take.
    """
    folder.mkdir()
    collector = Collector(wire, folder, "--ring", "512")
    collector.process.send_signal(signal.SIGSTOP)
    sent, _ = send_at_top_speed(wire, capture, FILL_S)
    began_s, before_s = time.monotonic(), cpu_s(collector.process.pid)
    collector.process.send_signal(signal.SIGCONT)
    ended_s, used_s = began_s, before_s
    while True:
        time.sleep(STEP_S)
        now_s = cpu_s(collector.process.pid)
        if now_s - used_s < STEP_S / 4:
            break
        ended_s, used_s = time.monotonic(), now_s
    account = collector.account()
    took_s = ended_s - began_s
    rate = account.analyzed / took_s
    each_us = (used_s - before_s) / max(account.analyzed, 1) * 1e6
    print(f"{account.analyzed:,} packets that waited in the ring were analyzed in {took_s:.1f} s, "
          f"{rate:,.0f} packets/s, with {each_us:.2f} us of processor time each; "
          f"{account.total:,} of {sent:,} accounted for, level of detail "
          f"{sorted(set(account.levels))}.\n")  # fmt: skip
    return account.total == sent


def overload(wire: Wire, capture: Path, seconds: float, size: str, folder: Path) -> bool:
    """Take the processors away while packets come; return whether the account is exact."""
    folder.mkdir()
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
    parser.add_argument("--rate", type=float, default=600_000.0, help="packets/s of the sender")
    parser.add_argument("--overload", action="store_true")
    options = parser.parse_args()
    make, count, size = FRAMES[options.frames]
    with tempfile.TemporaryDirectory() as name, on_a_wire() as wire:
        capture = Path(name) / "frames.pcap"
        write_capture(capture, make(count))
        if options.overload:
            right = drain(wire, capture, Path(name) / "drain")
            right &= overload(wire, capture, options.seconds, size, Path(name) / "overload")
        else:
            right = compare(wire, capture, options.seconds, options.rate, size, Path(name))
    raise SystemExit(0 if right else 1)


if __name__ == "__main__":
    main()
