"""Loss and its repair: NAK, go-back-N, timeout; and the kernels without the compiler."""

import os
import subprocess
import sys
from pathlib import Path

from fabricscope.collectors.synthetic import generate
from reference import synthetic as slow

WHOLE: dict[str, object] = {"capture.snaplen": 0, "network.mtu": 1024}


def test_interpreted_and_compiled_kernels_write_the_same(tmp_path: Path) -> None:
    compiled, interpreted = tmp_path / "compiled.pcap", tmp_path / "interpreted.pcap"
    script = (
        "import sys; from fabricscope.collectors.synthetic import generate;generate(*sys.argv[1:])"
    )
    root = Path(__file__).resolve().parents[3]
    for path, disable in ((compiled, "0"), (interpreted, "1")):
        subprocess.run(
            [sys.executable, "-W", "error", "-c", script, "verbs", str(path)],
            check=True,
            env={**os.environ, "NUMBA_DISABLE_JIT": disable, "PYTHONPATH": str(root / "src")},
        )
    assert compiled.read_bytes() == interpreted.read_bytes()


def test_loss_events_name_their_frames(tmp_path: Path) -> None:
    truth = generate("loss-after-tap", str(tmp_path / "out.pcap"), overrides=WHOLE).content
    frames = slow.read_frames(tmp_path / "out.pcap")
    events = truth["faults"][0]["events"]
    assert len(events) == truth["faults"][0]["count"] == 3
    for event in events:
        seen = event["taps"]["tap"]
        lost, nak, resent = (
            slow.find_roce(frames[seen[name] - 1])
            for name in ("frame", "answer_frame", "resent_frame")
        )
        assert lost is not None
        assert nak is not None
        assert resent is not None
        assert lost.psn == nak.psn == resent.psn == event["psn"]
        assert nak.syndrome == 0x60
        assert lost.ip_id != resent.ip_id
        assert event["recovery"] == "nak"


def test_loss_before_the_tap_leaves_no_frame(tmp_path: Path) -> None:
    truth = generate("loss-before-tap", str(tmp_path / "out.pcap")).content
    assert all("frame" not in event["taps"]["tap"] for event in truth["faults"][0]["events"])
    pairs = truth["taps"][0]["queue_pairs"]
    assert sum(pair["lost_before_tap"] for pair in pairs) == 3
    assert sum(pair["lost_after_tap"] for pair in pairs) == 0


def test_tail_loss_waits_for_the_timer(tmp_path: Path) -> None:
    truth = generate("tail-timeout", str(tmp_path / "out.pcap")).content
    assert sum(flow["timeouts"] for flow in truth["network_flows"]) == 2
    for fault in truth["faults"]:
        first = fault["events"][0]
        recovered = [event for event in fault["events"] if event["recovery"] == "timeout"]
        assert len(recovered) == 1
        assert recovered[0]["resent_ns"] - first["time_ns"] >= 67_000_000
    assert not truth["taps"][0]["frames"].get("nak")
