"""PFC and classic PAUSE: who stopped whom, at which priority, for how long."""

from fabricscope.analyzers.pause.table import PauseTable

__all__ = ["PauseTable"]
