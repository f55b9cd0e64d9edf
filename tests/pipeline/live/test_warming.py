"""After warming up, no packet waits for a kernel."""

import gc
from pathlib import Path

import pytest

from fabricscope.pipeline.live.feeds import Batch, FileFeed
from fabricscope.pipeline.live.monitor import Monitor, MonitorOptions
from fabricscope.pipeline.live.warming import warm_up
from fabricscope.pipeline.live.watch import Watch
from fabricscope.records import Packets


class WritableFeed(FileFeed):
    """A file whose bytes may be written to, as a ring's: kernels are compiled for that."""

    def read(self, packets: Packets, timeout_s: float) -> Batch | None:
        batch = super().read(packets, timeout_s)
        return None if batch is None else (batch[0].copy(), batch[1])


def is_alive(one: object) -> bool:
    """Tell whether an object is there: `isinstance` looks through weak references."""
    try:
        return one.__class__ is not None
    except ReferenceError:
        return False


def loaded() -> dict[tuple[str, str], set[object]]:
    """Return the signatures that each kernel has machine code for."""
    registry = pytest.importorskip("numba.core.registry")
    return {
        (one.py_func.__module__, one.py_func.__name__): set(one.signatures)
        for one in gc.get_objects()
        if is_alive(one) and isinstance(one, registry.CPUDispatcher)
    }


def test_every_kernel_that_packets_need_is_loaded(repository: Path) -> None:
    warm_up()
    before = loaded()
    if not before:
        pytest.skip("kernels run uncompiled")
    for name in ("slow-link.pcap", "congestion.pcap", "background.pcap.gz"):
        feed = WritableFeed(str(repository / "pcaps" / name), speed=0)
        Watch(feed, Monitor(MonitorOptions()), lambda counts: None).run()
        feed.close()
    after = loaded()
    late = {
        kernel
        for kernel, signatures in after.items()
        if signatures - before.get(kernel, set()) and "collectors.capture" not in kernel[0]
    }
    assert not late
