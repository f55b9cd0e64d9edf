import subprocess
import time
from pathlib import Path

import pytest
from wires import Cable

from fabricscope.collectors.counters.ethtool import DriverStatistics
from fabricscope.collectors.counters.meanings import of_driver
from fabricscope.collectors.counters.ports import PortCounters
from fabricscope.collectors.ports import PortInterval
from fabricscope.errors import ConfigError


def write(folder: Path, values: dict[str, int | str]) -> None:
    for name, value in values.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{value}\n")


@pytest.fixture
def sysfs(tmp_path: Path) -> Path:
    """Return a tree with two interfaces, one switched off, the loopback and an RDMA port."""
    for name, flags in (("eth0", "0x1003"), ("eth1", "0x1002"), ("lo", "0x9")):
        write(
            tmp_path / "class/net" / name,
            {
                "flags": flags,
                "speed": 100_000,
                "carrier": 1,
                "carrier_changes": 4,
                "carrier_down_count": 2,
                **{
                    f"statistics/{side}_{what}": 1_000
                    for side in ("rx", "tx")
                    for what in ("bytes", "packets", "errors", "dropped")
                },
                "statistics/rx_missed_errors": 0,
                "statistics/rx_crc_errors": 0,
            },
        )
    write(
        tmp_path / "class/infiniband/mlx5_0/ports/1",
        {
            "rate": "400 Gb/sec (4X NDR)",
            "state": "4: ACTIVE",
            "counters/port_xmit_data": 100,
            "counters/port_rcv_data": 100,
            "counters/port_xmit_packets": 10,
            "counters/port_rcv_packets": 10,
            "counters/symbol_error": 0,
            "counters/port_rcv_errors": 0,
            "counters/link_downed": 1,
            "counters/port_xmit_discards": 0,
            "hw_counters/np_ecn_marked_roce_packets": 0,
            "hw_counters/rp_cnp_handled": 0,
            "hw_counters/lifespan": 10,
        },
    )
    return tmp_path


def look(counters: PortCounters) -> dict[tuple[str, str], PortInterval]:
    return {(one.port, one.direction): one for one in counters.intervals()}


def test_what_grew_between_two_looks(sysfs: Path) -> None:
    with PortCounters(["all"], root=sysfs) as counters:
        time.sleep(0.01)
        eth0 = sysfs / "class/net/eth0"
        write(
            eth0,
            {
                "statistics/tx_bytes": 51_000,
                "statistics/tx_packets": 1_050,
                "statistics/rx_errors": 1_003,
                "statistics/rx_crc_errors": 2,
                "statistics/rx_missed_errors": 4,
                "statistics/rx_dropped": 1_900,
                "carrier_down_count": 3,
                "carrier": 0,
            },
        )
        rdma = sysfs / "class/infiniband/mlx5_0/ports/1"
        write(
            rdma,
            {
                "counters/port_rcv_data": 350,
                "counters/port_rcv_packets": 40,
                "counters/symbol_error": 6,
                "counters/link_downed": 2,
                "hw_counters/np_ecn_marked_roce_packets": 3,
                "hw_counters/rp_cnp_handled": 5,
            },
        )
        seen = look(counters)
    assert set(seen) == {(port, way) for port in ("eth0", "mlx5_0/1") for way in ("up", "down")}
    up, down = seen["eth0", "up"], seen["eth0", "down"]
    assert (up.bytes, up.packets, up.errors, up.rate_gbps) == (50_000, 50, 0, 100.0)
    assert (down.bytes, down.errors, down.discards) == (0, 3, 4)
    assert up.flaps == down.flaps == 1
    assert up.notes == ("is down",)
    assert up.interval_ns >= 10_000_000
    up, down = seen["mlx5_0/1", "up"], seen["mlx5_0/1", "down"]
    assert (up.bytes, up.cnps, up.rate_gbps) == (0, 5, 400.0)
    assert (down.bytes, down.packets, down.errors, down.flaps) == (1_000, 30, 6, 1)
    assert (down.ecn_marked, down.ecn_capable) == (3, 30)


@pytest.mark.parametrize(
    ("before", "now", "told"),
    [
        ({"tx_bytes": 2**32 - 100}, {"tx_bytes": 400}, 500),  # 32 bits wrapped
        ({"tx_bytes": 2**40}, {"tx_bytes": 400}, None),  # 64 bits do not
        ({"tx_bytes": 900}, {"tx_bytes": 400}, None),
        (
            {"tx_bytes": 2**32 - 100, "tx_packets": 2**32 - 100},
            {"tx_bytes": 4, "tx_packets": 1},
            None,
        ),  # all at once: started again
    ],
)
def test_wraps_and_resets(
    sysfs: Path, before: dict[str, int], now: dict[str, int], told: int | None
) -> None:
    statistics = sysfs / "class/net/eth0/statistics"
    write(statistics, before)
    with PortCounters(["eth0"], root=sysfs) as counters:
        write(statistics, now)
        seen = look(counters)
        assert (seen["eth0", "up"].bytes if seen else None) == told
        assert counters.resets == (told is None)
        assert look(counters)["eth0", "up"].bytes == 0


def test_carrier_changes_tell_flaps_where_the_kernel_counts_nothing_better(sysfs: Path) -> None:
    folder = sysfs / "class/net/eth0"
    (folder / "carrier_down_count").unlink()
    with PortCounters(["eth0"], root=sysfs) as counters:
        for changes, flaps in ((5, 1), (6, 1), (10, 2)):
            write(folder, {"carrier_changes": changes})
            assert look(counters)["eth0", "up"].flaps == flaps
    write(folder, {"carrier": 0})
    with PortCounters(["eth0"], root=sysfs) as counters:
        write(folder, {"carrier_changes": 11})
        assert look(counters)["eth0", "up"].flaps == 0  # it came up


def test_ports_come_and_go(sysfs: Path) -> None:
    with PortCounters(["all"], root=sysfs) as counters:
        write(sysfs / "class/net/eth1", {"flags": "0x1003"})
        assert {port for port, _ in look(counters)} == {"eth0", "mlx5_0/1"}
        assert {port for port, _ in look(counters)} == {"eth0", "eth1", "mlx5_0/1"}
        write(sysfs / "class/net/eth0", {"flags": "0x1002"})
        assert {port for port, _ in look(counters)} == {"eth1", "mlx5_0/1"}


def test_an_unknown_speed_is_not_known(sysfs: Path) -> None:
    write(sysfs / "class/net/eth0", {"speed": -1})
    with PortCounters(["eth0", "mlx5_0/1"], root=sysfs) as counters:
        assert look(counters)["eth0", "up"].rate_gbps is None


@pytest.mark.parametrize("name", ["eth9", "mlx5_0/2", "../eth0", ""])
def test_no_such_port(sysfs: Path, name: str) -> None:
    with pytest.raises(ConfigError, match=r"no such port; this host has eth0, mlx5_0/1"):
        PortCounters([name], root=sysfs).open()


def test_what_drivers_call_things() -> None:
    """Names of the drivers mlx5, bnxt, i40e, ice and ixgbe; the rest means nothing to a link."""
    names = {
        "rx_crc_errors_phy": ("down", "errors"),
        "rx_symbol_err_phy": ("down", "errors"),
        "rx_pcs_symbol_err_phy": ("down", "errors"),
        "port.rx_crc_errors": ("down", "errors"),
        "rx_crc_errors.nic": ("down", "errors"),
        "rx_fec_uncorrectable_blocks": ("down", "errors"),
        "rx_discards_phy": ("down", "discards"),
        "tx_discards_phy": ("up", "discards"),
        "rx_out_of_buffer": ("down", "discards"),
        "rx_prio3_pause_duration": ("up", "pause_ns"),
        "tx_prio3_pause_duration": ("down", "pause_ns"),
        "rx_global_pause_duration": ("up", "pause_ns"),
        "rx_prio3_pause": ("up", "pause_frames"),
        "tx_pause_ctrl_phy": ("down", "pause_frames"),
        "rx_pause_frames": ("up", "pause_frames"),
        "rx_pfc_ena_frames_pri3": ("up", "pause_frames"),
        "port.link_xoff_rx": ("up", "pause_frames"),
        "tx_priority_3_xoff.nic": ("down", "pause_frames"),
        "rx_flow_control_xoff": ("up", "pause_frames"),
        "rx_pause": ("up", "pause_frames"),
        "rx_packets": None,
        "rx_corrected_bits_phy": None,
        "rx_err_lane_0_phy": None,
        "rx_prio3_pause_transition": None,
        "rx_queue_0_xdp_packets": None,
        "tx_pause_storm_warning_events": None,
    }
    for name, expected in names.items():
        assert list(of_driver([name])) == ([expected] if expected else []), name


def test_pauses_and_driver_errors(sysfs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = {"rx_prio3_pause_duration": 0, "rx_symbol_err_phy": 0, "tx_prio3_pause": 0}
    counters = PortCounters(["eth0"], root=sysfs)
    monkeypatch.setattr(DriverStatistics, "read", lambda *_: dict(told))
    with counters:
        counters._statistics = DriverStatistics()
        look(counters)
        time.sleep(0.02)
        told |= {"rx_prio3_pause_duration": 5_000, "rx_symbol_err_phy": 12, "tx_prio3_pause": 8}
        seen = look(counters)
    up, down = seen["eth0", "up"], seen["eth0", "down"]
    assert (up.pause_ns, up.errors) == (5_000_000, 0)
    assert (down.pause_ns, down.errors) == (0, 12)
    assert down.notes == ("sent 8 pause frames",)


@pytest.mark.root
def test_a_real_interface(cable: Cable) -> None:
    """What is sent over a wire is what its counters say at both ends, and a cut is a flap."""
    frame = bytes(range(12)) + b"\x88\xb5" + bytes(986)
    with PortCounters([cable.far, cable.near]) as counters:
        cable.send([frame] * 500)
        time.sleep(0.05)
        seen = look(counters)
        sent, received = seen[cable.far, "up"], seen[cable.near, "down"]
        assert (sent.packets, sent.bytes) == (500, 500_000)
        assert (received.packets, received.bytes) == (500, 500_000)
        assert sent.rate_gbps == 10.0  # what the driver of veth claims
        assert (sent.flaps, sent.errors, sent.discards, received.discards) == (0, 0, 0, 0)
        subprocess.run(["ip", "link", "set", cable.far, "down"], check=True)
        subprocess.run(["ip", "link", "set", cable.far, "up"], check=True)
        time.sleep(0.1)
        assert look(counters)[cable.near, "up"].flaps == 1


@pytest.mark.root
def test_a_driver_s_own_statistics(cable: Cable) -> None:
    statistics = DriverStatistics()
    told = statistics.read(cable.near)
    assert told["peer_ifindex"] == int(Path(f"/sys/class/net/{cable.far}/ifindex").read_text())
    assert statistics.read(cable.near) == told
    assert statistics.read("lo") == {}
    assert statistics.read("nosuch0") == {}
    statistics.close()
