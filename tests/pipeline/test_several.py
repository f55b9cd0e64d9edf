import os
from pathlib import Path

import pytest

from fabricscope.errors import CaptureError
from fabricscope.pipeline.several import SeveralTaps
from fabricscope.records import allocate_packets


def _nothing(done: int, total: int | None) -> None:
    """Take progress and do nothing with it."""


def _taps(repository: Path) -> list[str]:
    return [str(repository / f"pcaps/three-taps.leaf{number}.pcap") for number in range(3)]


def test_batches_are_in_order_of_time_with_copies_marked(repository: Path) -> None:
    steps: list[tuple[int, int | None]] = []
    paths = _taps(repository)
    times: list[int] = []
    with SeveralTaps(paths, lambda done, total: steps.append((done, total))) as source:
        while batch := source.read(allocate_packets(1)):
            _, packets, decoded = batch
            assert decoded
            times.extend(packets.time_ns.tolist())
        names = source.tap_names()
        facts = source.facts()
    assert times == sorted(times)
    assert len(times) == 945 + 941 + 930
    assert names == [Path(path).name for path in paths]
    assert [fact.path for fact in facts] == paths
    whole = 2 * sum(os.path.getsize(path) for path in paths)
    assert steps == sorted(steps)
    assert steps[-1] == (whole, whole)


def test_files_of_one_name_are_told_apart_by_their_paths(repository: Path, tmp_path: Path) -> None:
    paths = []
    for number, path in enumerate(_taps(repository)[:2]):
        (tmp_path / str(number)).mkdir()
        copy = tmp_path / str(number) / "tap.pcap"
        copy.write_bytes(Path(path).read_bytes())
        paths.append(str(copy))
    with SeveralTaps(paths, _nothing) as source:
        while source.read(allocate_packets(1)):
            pass
        assert source.tap_names() == paths


def test_standard_input_cannot_be_read_twice(repository: Path) -> None:
    with pytest.raises(CaptureError, match=r"^Standard input \(-\) cannot be one of several"):
        SeveralTaps(["-", str(repository / "pcaps/ring-allreduce.pcap")], _nothing)


def test_a_pipe_cannot_be_read_twice(repository: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    paths = [str(repository / "pcaps/ring-allreduce.pcap"), str(tmp_path / "pipe")]
    with pytest.raises(CaptureError, match="pipe cannot be one of several"):
        SeveralTaps(paths, _nothing)


def test_one_bad_file_of_several_is_named(repository: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("not a capture")
    paths = [str(repository / "pcaps/ring-allreduce.pcap"), str(tmp_path / "notes.txt")]
    with (
        SeveralTaps(paths, _nothing) as source,
        pytest.raises(CaptureError, match=r"notes\.txt: is a text file"),
    ):
        source.read(allocate_packets(1))
