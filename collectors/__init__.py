"""Bytes in, packets out: capture files, mirror ports, tunnels, counters, synthetic traffic."""

from fabricscope.compiled import forget_outdated

forget_outdated()
