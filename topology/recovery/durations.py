"""Durations that differ from case to case, as parameters of recovery schemes."""

from typing import Annotated, Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema

from fabricscope.errors import FabricError
from fabricscope.topology.quantities import parse_time_ns

__all__ = ["Duration", "DurationSetting", "TimeSetting", "fixed", "read_duration"]

LONGEST_NS: Final = 1e17


class Duration(NamedTuple):
    """A random time of which least, median and greatest value are known, ns.

    Half of the draws fall below the median. Between the three values draws are uniform in the
    logarithm (plainly uniform from 0): measured delays of software spread over decades.
    """

    low_ns: float
    median_ns: float
    high_ns: float

    def draw(self, rng: np.random.Generator) -> float:
        """Return one value."""
        if self.low_ns == self.high_ns:
            return self.low_ns
        above = rng.random() < 0.5
        low, high = (self.median_ns, self.high_ns) if above else (self.low_ns, self.median_ns)
        share = float(rng.random())
        return float(low * (high / low) ** share) if low > 0 else share * high

    def draw_many(self, rng: np.random.Generator, count: int) -> NDArray[np.float64]:
        """Return (count) values."""
        above = rng.random(count) < 0.5
        low = np.where(above, self.median_ns, self.low_ns)
        high = np.where(above, self.high_ns, self.median_ns)
        share = rng.random(count)
        grown = low * (high / np.where(low > 0, low, 1)) ** share
        drawn: NDArray[np.float64] = np.where(low > 0, grown, share * high)
        return drawn


def fixed(time_ns: float) -> Duration:
    """Return the duration that is always `time_ns`."""
    return Duration(time_ns, time_ns, time_ns)


def read_duration(value: object) -> object:
    """Return the Duration that `1ms`, `1ms..3ms` or `1ms..1.5ms..3ms` says, or a number of ns.

    Between two values the median is their middle. Raises ValueError.
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        parts = [float(value)]
    elif isinstance(value, str):
        try:
            parts = [parse_time_ns(part) for part in value.split("..")]
        except FabricError as error:
            raise ValueError(str(error)) from None
    else:
        return value
    if len(parts) == 2:
        parts.insert(1, (parts[0] + parts[1]) / 2)
    if len(parts) == 1:
        parts *= 3
    if len(parts) != 3 or parts != sorted(parts) or not 0 <= parts[0] <= parts[2] <= LONGEST_NS:
        raise ValueError(
            f"{value!r} is no duration; write one such as 1ms, 1ms..3ms or 1ms..1.5ms..3ms"
        )
    return Duration(*parts)


def _read_time(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return parse_time_ns(value)
    except FabricError as error:
        raise ValueError(str(error)) from None


def _write(value: Any) -> list[float] | float:
    return value[0] if value[0] == value[2] else list(value)


_TEXT: Final = WithJsonSchema({"type": ["string", "number"], "examples": ["1ms", "1ms..3ms"]})
DurationSetting = Annotated[
    Duration, BeforeValidator(read_duration), PlainSerializer(_write), _TEXT
]
TimeSetting = Annotated[
    float,
    BeforeValidator(_read_time),
    Field(ge=0, le=LONGEST_NS, allow_inf_nan=False),
    WithJsonSchema({"type": ["string", "number"], "examples": ["1ms"]}),
]
