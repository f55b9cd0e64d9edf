"""A real training job on a bridge, seen live through a mirror; then one of its links gets slow.

    sudo python benchmarks/live/bridge.py [--torch PYTHON]

As root: it makes network namespaces, one for each of four ranks, and one with the bridge, whose
ports are mirrored (tc mirred) to the port that Fabricscope watches. The ranks run PyTorch's
AllReduce over Gloo with the interpreter named by --torch. After a while the link of rank 1 is
shaped (tc tbf). Prints how long after their cause the job, its bus bandwidth and the slow link are
in the store.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl
from lab import Collector, Wire, within

RANKS = 4
NETWORK = "10.78.0"
SLOW = 1
RATE = "200mbit"
JOB_BYTES = 2 << 20
JOB_S = 45.0
HEALTHY_S = 12.0
PATIENCE_S = 20.0

JOB = """
import sys, time, torch, torch.distributed as dist
rank, ranks, size = (int(sys.argv[place]) for place in (1, 2, 4))
seconds = float(sys.argv[3])
dist.init_process_group("gloo", rank=rank, world_size=ranks)
gradients, over = torch.ones(size // 4), torch.zeros(1)
began, steps = time.time(), 0
while True:
    dist.all_reduce(gradients)
    gradients.fill_(1.0)
    steps += 1
    time.sleep(0.2)
    if steps % 20 == 0:
        over.fill_(float(time.time() - began > seconds))
        dist.all_reduce(over)
        if over.item():
            break
"""


PLAIN = """
import ctypes, fcntl, socket, struct, sys
with socket.socket() as any_socket:
    for option in (0x17, 0x1F, 0x24, 0x2C):  # ETHTOOL_STXCSUM, _STSO, _SGSO, _SGRO
        value = ctypes.create_string_buffer(struct.pack("II", option, 0))
        request = struct.pack("16sP", sys.argv[1].encode(), ctypes.addressof(value))
        fcntl.ioctl(any_socket, 0x8946, request)  # SIOCETHTOOL
"""
"""Turns offloads off: a mirror would see frames of 64 KiB with wrong checksums."""


def run(*command: str) -> None:
    """Run a command that must succeed."""
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}: {done.stderr.strip()}")


@contextmanager
def on_a_bridge() -> Iterator[tuple[Wire, list[str]]]:
    """Yield the mirror's wire and the namespaces of the ranks."""
    number = os.getpid() % 100_000
    switch, watcher = f"fsb{number}", f"fsw{number}"
    hosts = [f"fsr{rank}x{number}" for rank in range(RANKS)]
    made = []
    try:
        for space in (switch, watcher, *hosts):
            run("ip", "netns", "add", space)
            made.append(space)
            run(*within(space, "sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1"))
            run(*within(space, "sysctl", "-qw", "net.ipv6.conf.default.disable_ipv6=1"))
            run(*within(space, "ip", "link", "set", "lo", "up"))
        run(*within(switch, "ip", "link", "add", "br0", "type", "bridge"))
        run(*within(switch, "ip", "link", "set", "br0", "up"))
        connect(switch, "mirror0", watcher, "tap0")
        for rank, host in enumerate(hosts):
            port = f"port{rank}"
            connect(switch, port, host, "eth0")
            run(*within(host, "ip", "address", "add", f"{NETWORK}.{rank + 1}/24", "dev", "eth0"))
            run(*within(host, sys.executable, "-c", PLAIN, "eth0"))
            run(*within(switch, sys.executable, "-c", PLAIN, port))
            run(*within(switch, "ip", "link", "set", port, "master", "br0"))
            # What a host sends is mirrored where it comes in, so each packet once.
            run(*within(switch, "tc", "qdisc", "add", "dev", port, "clsact"))
            run(*within(switch, *f"tc filter add dev {port} ingress protocol all u32 match u32 0 0 "
                "action mirred egress mirror dev mirror0".split()))  # fmt: skip
        yield Wire(watcher, switch, "tap0", "mirror0"), hosts
    finally:
        for space in made:
            subprocess.run(["ip", "netns", "del", space], check=False)


def connect(one: str, port: str, other: str, interface: str) -> None:
    """Lay a cable between two namespaces."""
    run("ip", "link", "add", port, "netns", one, "type", "veth", "peer", "name", interface,
        "netns", other)  # fmt: skip
    run(*within(one, "ip", "link", "set", port, "mtu", "9000", "up"))
    run(*within(other, "ip", "link", "set", interface, "mtu", "9000", "up"))


def start_job(hosts: list[str], python: str, folder: Path) -> list[subprocess.Popen[bytes]]:
    """Start the ranks."""
    script = folder / "job.py"
    script.write_text(JOB)
    settings = {
        **{name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        "MASTER_ADDR": f"{NETWORK}.1",
        "MASTER_PORT": "29500",
        "GLOO_SOCKET_IFNAME": "eth0",
        "OMP_NUM_THREADS": "1",
    }
    return [
        subprocess.Popen(
            within(host, python, str(script), *map(str, (rank, RANKS, JOB_S, JOB_BYTES))),
            env=settings,
            stderr=(folder / f"rank{rank}.txt").open("wb"),
        )
        for rank, host in enumerate(hosts)
    ]


def wait_for(what: Callable[[], float | None], began_s: float) -> float | None:
    """Return how long after `began_s` it was there, None if it did not come in time."""
    while time.time() - began_s < PATIENCE_S:
        if what() is not None:
            return time.time() - began_s
        time.sleep(0.1)
    return None


def told(value_s: float | None) -> str:
    """Return a time as text."""
    return f"{value_s:.1f} s" if value_s is not None else f"not within {PATIENCE_S:.0f} s"


def main() -> None:
    """Watch the job, slow a link down, and print when what was seen."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--torch", metavar="PYTHON", default=sys.executable)
    options = parser.parse_args()
    if subprocess.run([options.torch, "-c", "import torch"], capture_output=True).returncode:
        raise SystemExit(f"{options.torch} has no PyTorch; name an interpreter that does: --torch")
    with tempfile.TemporaryDirectory() as name, on_a_bridge() as (wire, hosts):
        folder = Path(name)
        collector = Collector(wire, folder, "--link-rate", "10")
        ranks = start_job(hosts, options.torch, folder)

        def jobs() -> pl.DataFrame:
            rows = collector.rows("iterations")
            return rows.filter(pl.col("message_bytes") > JOB_BYTES // 2)

        def second_iteration() -> float | None:
            bulk = collector.rows("link_samples").filter(pl.col("bytes") > JOB_BYTES)
            return None if bulk.is_empty() else float(bulk["time_ns"].min()) / 1e9  # type: ignore[arg-type]

        while second_iteration() is None:
            time.sleep(0.1)
        began_s = second_iteration() or 0.0
        seen_s = wait_for(lambda: None if jobs().is_empty() else 1.0, began_s)
        time.sleep(HEALTHY_S)
        healthy = jobs()
        shaped_s = time.time()
        run(*within(hosts[SLOW], *f"tc qdisc add dev eth0 root tbf rate {RATE} burst 128kb "
            "latency 50ms".split()))  # fmt: skip
        address = f"{NETWORK}.{SLOW + 1}"

        def slow_link() -> float | None:
            late = jobs().filter((pl.col("end_ns") > shaped_s * 1e9) & (pl.col("straggler") != ""))
            found = [json.loads(text) for text in late["straggler"]]
            hit = any(one["kind"] == "link" and one["ip"] == address for one in found)
            return 1.0 if hit else None

        found_s = wait_for(slow_link, shaped_s)
        for rank in ranks:
            rank.wait(120)
        account = collector.account()
        last = jobs()
        before, after = (frame["busbw_gbps"].median() for frame in (healthy, last.tail(5)))
        first = last.row(0, named=True)
        lost = account.dropped + account.missed
        print(f"A Gloo AllReduce of {JOB_BYTES >> 20} MiB on {RANKS} ranks over a bridge, "
              f"{account.analyzed:,} packets, {lost:,} lost:\n")  # fmt: skip
        print("| what | seen |\n|---|---|")
        kind = f"{first['operation']}, {first['algorithm']}, {len(first['ranks'])} ranks"
        print(f"| the job ({kind}) in the store after the second in which it began | "
              f"{told(seen_s)} |")  # fmt: skip
        print(f"| its bus bandwidth | {before:.2f} Gb/s, later {after:.2f} Gb/s |")
        print(f"| the link of {address}, shaped to {RATE}, named as what holds it back | "
              f"{told(found_s)} |")  # fmt: skip
    raise SystemExit(0 if seen_s is not None and found_s is not None else 1)


if __name__ == "__main__":
    main()
