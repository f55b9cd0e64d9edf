"""The first run on a machine: whether kernels were compiled before, and compiling on two cores."""

import contextlib
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Final

_BESIDE: Final = "from fabricscope.pipeline.compilation import _compile_for; _compile_for()"
_started: "list[subprocess.Popen[bytes]]" = []


def kernels_are_compiled() -> bool:
    """Tell whether the compiled form of the largest kernel is on disk and not outdated."""
    from fabricscope.analyzers.rdma import kernels

    stats = getattr(kernels.follow_queue_pairs, "stats", None)
    if stats is None:  # NUMBA_DISABLE_JIT is set: there is nothing to wait for
        return True
    source = Path(kernels.__file__)
    indexes = Path(stats.cache_path).glob("*.follow_queue_pairs-*.nbi")
    return any(index.stat().st_mtime >= source.stat().st_mtime for index in indexes)


def compile_beside() -> None:
    """Compile in a second process what this one needs last, where there is a core for it.

    Numba compiles one function at a time. The process ends with this one at the latest: when the
    pipe to it is closed. Where it cannot be started all is compiled here, as it is needed.
    """
    if (os.cpu_count() or 1) < 2 or _started:
        return
    with contextlib.suppress(OSError):
        process = subprocess.Popen(
            [sys.executable, "-c", _BESIDE],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
        _started.append(process)


def compile_late_kernels() -> None:
    """Compile the kernels that packets reach last: queue pairs, collectives, behaviour, payload.

    They get a packet that is nothing's, and one with a byte of payload.
    """
    import numpy as np

    from fabricscope.analyzers.behaviour.analyzer import BehaviourAnalyzer
    from fabricscope.analyzers.collectives.analyzer import CollectiveAnalyzer
    from fabricscope.analyzers.dpi.engine import DpiAnalyzer
    from fabricscope.analyzers.rdma.table import QueuePairTable
    from fabricscope.pipeline.signatures import load_signatures
    from fabricscope.records import FLAG_DUPLICATE, PROTOCOLS, allocate_packets

    packets = allocate_packets(1)
    packets.flags[0] = FLAG_DUPLICATE
    flow, side = np.full(1, -1, np.int64), np.zeros(1, np.uint8)
    queue_pair = np.full(1, -1, np.int64)
    queue_pairs = QueuePairTable(capacity=8)
    queue_pairs.update(packets, flow, side, queue_pair)
    queue_pairs.finish()
    CollectiveAnalyzer(flow_capacity=8, queue_pair_capacity=8).update(
        packets, flow, side, queue_pair
    )
    BehaviourAnalyzer(8).update(packets, flow, side)
    flow[0], packets.flags[0] = 0, 0
    packets.protocol[0] = PROTOCOLS.index("udp")
    packets.captured_length[0] = packets.payload_length[0] = 1
    view = np.frombuffer(b"\0", np.uint8)
    payloads = DpiAnalyzer(load_signatures(), flow_capacity=8)
    payloads.update(view, packets, flow, side)
    payloads.flow_closed(flow)


def _compile_for() -> None:
    """Be the process that `compile_beside` starts."""
    threading.Thread(target=_end_with_caller, daemon=True).start()
    compile_late_kernels()


def _end_with_caller() -> None:
    sys.stdin.buffer.read()
    os._exit(0)  # what Numba writes to its cache is there whole or not at all
