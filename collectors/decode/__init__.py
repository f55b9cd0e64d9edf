"""Headers decoded in place: from a byte view and record positions to the packet columns.

`decode` is one loop over small kernels, a header each. It neither reads files nor keeps state
between packets; payloads are left to the analyzers.
"""

from fabricscope.collectors.decode.kernels import decode

__all__ = ["decode"]
