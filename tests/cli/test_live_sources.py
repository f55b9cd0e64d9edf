"""`live` beside a real switch: mirrors in tunnels, sFlow, and counters, all at once."""

import os
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pytest
from switches import Switch, switched_on

from fabricscope.store import DeltaStore

PACKETS_PER_S = 2_000
FRAME_BYTES = 1_000
RUN_S = 20.0
ONE_IN = 2


def roce(psn: int) -> bytes:
    """Return a RoCE v2 WRITE Middle packet from 10.0.0.1 to 10.0.0.2."""
    size = FRAME_BYTES
    ip = struct.pack(">BBHHHBBH", 0x45, 2, size - 14, 0, 0x4000, 64, 17, 0)
    ip += bytes([10, 0, 0, 1, 10, 0, 0, 2])
    udp = struct.pack(">HHHH", 49_152, 4791, size - 34, 0)
    bth = struct.pack(">BBHII", 0x07, 0x40, 0xFFFF, 7, psn)
    ethernet = bytes.fromhex("02000000 0b01 02000000 0a01 0800")
    head = ethernet + ip + udp + bth
    return head + bytes(size - len(head))


@dataclass
class Seen:
    """What a collector kept of the run, and how much was sent."""

    sent: int
    store: DeltaStore
    port: str
    index: int

    def rows(self, table: str) -> pl.DataFrame:
        return self.store.query(table, 0, 1 << 62)


def free_udp_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def send_steadily(switch: Switch, seconds: float) -> int:
    """Send at a constant pace; return how many packets."""
    began = time.monotonic()
    sent = 0
    while (now := time.monotonic() - began) < seconds:
        due = int(now * PACKETS_PER_S)
        switch.left.send([roce(psn) for psn in range(sent, due)])
        sent = due
        time.sleep(0.005)
    return sent


@pytest.fixture(scope="module")
def seen(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    folder = tmp_path_factory.mktemp("switch")
    with switched_on(folder) as switch:
        port = free_udp_port()
        switch.mirror("erspan", 10, "options:erspan_ver=1", "options:erspan_idx=3")
        switch.mirror("erspan", 20, "options:erspan_ver=2", "options:erspan_dir=0",
                      "options:erspan_hwid=4")  # fmt: skip
        switch.mirror("vxlan", 5000)
        store = folder / "store"
        command = [sys.executable, "-m", "fabricscope", "live", "--store", str(store)]
        command += ["--interface", switch.mirrors.near, "--listen", "erspan", "--listen", "vxlan"]
        command += ["--listen", "sflow", "--sflow-port", str(port)]
        command += ["--counters", switch.left.near, "--quiet", "--collector", "here"]
        environment = {**os.environ, "PYTHONPATH": str(repository / "src")}
        running = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE)
        try:
            # Kernels are compiled at the first packets: let that be over before it counts.
            end = time.monotonic() + 120
            psn = 1 << 22
            while time.monotonic() < end:
                switch.left.send([roce(psn)])
                psn += 1
                time.sleep(0.2)
                if DeltaStore(store).query("rdma_samples", 0, 1 << 62).height:
                    break
            switch.sample(port, rate=ONE_IN)
            time.sleep(2)
            index = int(Path(f"/sys/class/net/{switch.left.near}/ifindex").read_text())
            sent = send_steadily(switch, RUN_S)
            time.sleep(3)
        finally:
            running.send_signal(signal.SIGTERM)
            _, errors = running.communicate(timeout=60)
        assert running.returncode == 0, errors
        yield Seen(sent, DeltaStore(store), switch.left.near, index)


def with_switch(test: Callable[..., None]) -> Callable[..., None]:
    """Mark a test that asks for `seen`."""
    return pytest.mark.root(pytest.mark.server(pytest.mark.slow(test)))


@with_switch
def test_each_mirror_is_a_tap_and_no_packet_counts_twice(seen: Seen) -> None:
    taps = (
        seen.rows("tap_samples")
        .group_by("tap")
        .agg(pl.col("packets", "duplicates", "dropped").sum())
    )
    packets = dict(zip(taps["tap"], taps["packets"], strict=True))
    mirrors = {"erspan 10", "erspan 20", "vxlan 5000"}
    assert mirrors <= set(packets)
    # What the switch drops when it gets no processor is mirrored nowhere.
    assert 0.98 * seen.sent <= packets["erspan 10"] <= seen.sent + 1_000
    assert len({packets[tap] for tap in mirrors}) == 1
    total = sum(packets[tap] for tap in mirrors)
    duplicates = taps.filter(pl.col("tap").is_in(list(mirrors)))["duplicates"].sum()
    once = packets["erspan 10"]
    # Copies of the first moments come before a second tap is known of.
    assert total - duplicates - once <= 3
    links = seen.rows("link_samples").filter(pl.col("source") == "mirror")
    carried = links.group_by("link", "direction").agg(pl.col("packets").sum())
    assert sorted(carried["link"]) == ["10.0.0.1", "10.0.0.2"]
    assert all(abs(packets - once) <= 3 for packets in carried["packets"])
    assert links["lost"].sum() == 0
    assert seen.rows("rdma_samples")["retransmissions"].sum() == 0
    assert taps["dropped"].sum() == 0


def steady(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the rows of the seconds in the middle of the run."""
    busy = frame.filter(pl.col("packets") > PACKETS_PER_S / 2).sort("time_ns")
    return busy.slice(3, busy.height - 6)


@with_switch
def test_sflow_agrees_with_the_interface_s_own_counters(seen: Seen) -> None:
    """Within 2 % over a run of constant traffic, by bytes a second."""
    links = seen.rows("link_samples")
    port = f"127.0.0.1 port {seen.index}"
    received = pl.col("direction") == "up"
    # What the switch's port receives is what the host's own counters call down.
    own = steady(
        links.filter(
            (pl.col("source") == "counters")
            & (pl.col("link") == seen.port)
            & (pl.col("direction") == "down")
        )
    )
    told = steady(links.filter((pl.col("source") == "sflow") & (pl.col("link") == port) & received))
    assert own.height > RUN_S / 2
    assert told.height > RUN_S / 2
    ratio = told["utilization"].mean() / own["utilization"].mean()
    sampled = links.filter(
        (pl.col("source") == "sflow_sampled") & (pl.col("link") == port) & received
    )
    estimate = steady(sampled)["bytes"].mean() / own["bytes"].mean()
    print(f"sFlow counters / own counters {ratio:.4f}, estimate from samples {estimate:.4f}")
    assert ratio == pytest.approx(1, abs=0.02)
    assert estimate == pytest.approx(1, abs=0.04)
    assert told["rate_gbps"].unique().to_list() == [10.0]
    assert sampled["ecn_capable"].sum() == sampled["packets"].sum()


@with_switch
def test_no_datagram_is_lost(seen: Seen) -> None:
    agent = seen.rows("tap_samples").filter(pl.col("tap") == "sflow 127.0.0.1")
    assert agent["dropped"].sum() == 0
    assert agent["malformed"].sum() == 0
    assert agent["sampling"].max() == ONE_IN
    assert agent["packets"].sum() == pytest.approx(seen.sent / ONE_IN, rel=0.05)


def test_ports_in_use_are_said_in_a_sentence(repository: Path) -> None:
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as taken:
        taken.bind(("::", 0))
        port = taken.getsockname()[1]
        command = [sys.executable, "-m", "fabricscope", "live", "--listen", "sflow"]
        done = subprocess.run(
            [*command, "--sflow-port", str(port)],
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": str(repository / "src")},
        )
    assert done.returncode == 2
    assert f"UDP port {port} is in use by another program" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--listen", "netflow"], "--listen netflow: there is no such source"),
        (["--listen", "erspan"], "--listen erspan needs --interface IF"),
        (["--listen", "vxlan", "--interface", "nosuch0"], "there is no interface nosuch0"),
        (["-", "--listen", "gre"], "excludes --interface and mirrors"),
        (["--counters", "nosuch0"], "--counters nosuch0: there is no such port"),
        (["--listen", "sflow", "--sflow-port", "70000"], "ports go up to 65535"),
        (["--gnmi", "http://me:secret@leaf1"], "the address is not of a gNMI server"),
    ],
)
def test_what_cannot_be_watched_is_said_in_a_sentence(
    repository: Path, arguments: list[str], sentence: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "fabricscope", "live", *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(repository / "src")},
    )
    assert done.returncode == 2
    assert sentence in done.stderr
    assert "secret" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
