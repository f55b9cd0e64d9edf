"""Whether the kernels were compiled before, so that a first run can say what it waits for."""

from pathlib import Path


def kernels_are_compiled() -> bool:
    """Tell whether the compiled form of the largest kernel is on disk and not outdated."""
    from fabricscope.analyzers.rdma import kernels

    stats = getattr(kernels.follow_queue_pairs, "stats", None)
    if stats is None:  # NUMBA_DISABLE_JIT is set: there is nothing to wait for
        return True
    source = Path(kernels.__file__)
    indexes = Path(stats.cache_path).glob("*.follow_queue_pairs-*.nbi")
    return any(index.stat().st_mtime >= source.stat().st_mtime for index in indexes)
