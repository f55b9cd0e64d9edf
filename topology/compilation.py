"""Whether the simulator's kernels were compiled before, so that a first run can say so."""

from pathlib import Path

__all__ = ["kernels_are_compiled"]


def kernels_are_compiled() -> bool:
    """Tell whether the compiled forms of both engines' main loops are on disk and not outdated."""
    from fabricscope.topology.flow_level import kernels as flow_kernels
    from fabricscope.topology.packet_level import kernels as packet_kernels

    for module in (flow_kernels, packet_kernels):
        stats = getattr(module.advance, "stats", None)
        if stats is None:  # NUMBA_DISABLE_JIT is set: there is nothing to wait for
            return True
        source = Path(str(module.__file__))
        indexes = Path(stats.cache_path).glob("*.advance-*.nbi")
        if not any(index.stat().st_mtime >= source.stat().st_mtime for index in indexes):
            return False
    return True
