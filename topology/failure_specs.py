"""Failures as users write them, in text or TOML, and their compilation for a fabric.

`leaf3-spine1@1ms` breaks both directions, `leaf3>spine1@1ms` one, `spine1@1ms` crashes a device;
`..5s` behind the time repairs it, and modifiers follow after colons. What a failure is once it is
compiled stands in failures.py.
"""

import re
from collections.abc import Iterable
from typing import Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from fabricscope.errors import FabricError
from fabricscope.topology.fabric import Fabric
from fabricscope.topology.failures import ChannelEvent, Failure, PortSignal
from fabricscope.topology.quantities import parse_rate_gbps, parse_share, parse_time_ns

__all__ = ["FailureSpec", "compile_failure", "endpoints_cut_off", "parse_failure"]

MAX_FLAPS: Final = 10_000
DECAY_STEPS: Final = 30
DECAY_FIRST_LOSS: Final = 1e-9
PACKET_BITS: Final = 8 * 4178
"""A full RoCE v2 packet on the wire, which a single bit error spoils."""


def _time(value: object) -> object:
    return _read(parse_time_ns, value)


def _share(value: object) -> object:
    return _read(parse_share, value)


def _read(parse: Any, value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return parse(value)
    except FabricError as error:
        raise ValueError(str(error)) from None


_Time = Annotated[float, BeforeValidator(_time), Field(ge=0, le=1e17, allow_inf_nan=False)]
_Probability = Annotated[float, BeforeValidator(_share), Field(ge=0, le=1)]


class FailureSpec(BaseModel):
    """One failure; text is read as `TARGET@TIME[..TIME][:MODIFIER]...`.

    Times are ns, or text with a unit.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    target: str = Field(
        min_length=3, max_length=200, description="link a-b, one direction a>b, or a device"
    )
    at: _Time = Field(description="when it breaks, from the start of the simulation")
    until: _Time | None = Field(None, description="when it is repaired; never where left out")
    oneway: bool = Field(False, description="only the direction in which the link is written")
    silent: bool = Field(False, description="no port goes down; only timers can notice")
    seen_by: tuple[str, ...] = Field(
        (), description="devices whose port goes down; where left out, the ends that send into it"
    )
    flap_period: _Time = Field(0.0, description="the link goes down and up again this often")
    flap_duty: _Probability = Field(0.5, description="share of a period in which it is down")
    rate: str = Field("", description="what is left of the rate: a share such as 25%, or 100G")
    loss: _Probability = Field(0.0, description="share of packets lost")
    crc: Annotated[float, Field(ge=0, le=1)] = Field(
        0.0, description="bit error ratio; a packet with one wrong bit is dropped"
    )
    decay: _Time = Field(
        0.0, description="optics slowly dying: losses grow this long, then the link goes down"
    )
    hold: _Time = Field(0.0, description="hysteresis: how long a port must stay up to count as up")

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: object) -> object:
        return _split(value) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _possible(self) -> "FailureSpec":
        if self.until is not None and self.until <= self.at:
            raise ValueError(f"{self.target} is repaired before it breaks; give a later time")
        if self.silent and self.seen_by:
            raise ValueError("silent and seen_by exclude each other; give one of them")
        if self.flap_period and self.until is None:
            raise ValueError(f"a flap needs an end; write {self.target}@1ms..1s:flap=100ms")
        if self.flap_period and not 0 < self.flap_duty < 1:
            raise ValueError("the duty of a flap is a share between 0 and 1; give such as 0.5")
        if self.flap_period and self.until is not None:
            count = (self.until - self.at) / self.flap_period
            if count > MAX_FLAPS:
                raise ValueError(f"{count:,.0f} flaps are more than {MAX_FLAPS:,}; end it earlier")
        kinds = (self.flap_period > 0, self.decay > 0, self.degraded)
        if sum(kinds) > 1:
            raise ValueError("flap, decay and rate/loss/crc exclude each other; give one of them")
        return self

    @property
    def degraded(self) -> bool:
        """Return whether the link stays up and is only worse than before."""
        return bool(self.rate or self.loss or self.crc)

    @property
    def text(self) -> str:
        """Return the short form of target and time."""
        at = f"{self.target}@{_shown(self.at)}"
        return at if self.until is None else f"{at}..{_shown(self.until)}"


def parse_failure(text: str) -> FailureSpec:
    """Return the failure that `text` such as `leaf3-spine1@1ms..5s:oneway` describes.

    Raises FabricError.
    """
    try:
        return FailureSpec.model_validate(text)
    except ValidationError as error:
        first = error.errors()[0]
        reason = str(first["msg"]).removeprefix("Value error, ")
        key = ".".join(str(part) for part in first["loc"])
        where = f"failure {text[:80]!r}" + (f", {key}" if key else "")
        raise FabricError(f"{where}: {reason[:1].lower()}{reason[1:]}") from None


def _split(text: str) -> dict[str, object]:
    target, separator, rest = text.strip().partition("@")
    if not separator or not target or not rest:
        raise ValueError(f"{text[:80]!r} is not TARGET@TIME, such as leaf3-spine1@1ms")
    times, *modifiers = rest.split(":")
    start, separator, end = times.partition("..")
    known: dict[str, object] = {"target": target, "at": start}
    if separator:
        known["until"] = end
    for modifier in modifiers:
        _modify(known, modifier)
    return known


def _modify(known: dict[str, object], modifier: str) -> None:
    key, separator, value = modifier.partition("=")
    if key in ("oneway", "silent") and not separator:
        known[key] = True
    elif key == "seen" and value:
        known["seen_by"] = tuple(value.split("+"))
    elif key == "flap" and value:
        period, separator, duty = value.partition("/")
        known["flap_period"] = period
        if separator:
            known["flap_duty"] = duty
    elif key == "crc" and re.fullmatch(r"[0-9.]+(?:[eE][+-]?[0-9]+)?", value):
        known["crc"] = float(value)
    elif key in ("rate", "loss", "decay", "hold") and value:
        known[key] = value
    else:
        raise ValueError(
            f"{modifier[:40]!r} is no modifier; there are oneway, silent, seen=DEVICE, "
            "flap=PERIOD/DUTY, rate=SHARE, loss=SHARE, crc=RATIO, decay=TIME and hold=TIME"
        )


def _shown(time_ns: float) -> str:
    for unit, size in (("s", 1e9), ("ms", 1e6), ("us", 1e3)):
        if time_ns >= size:
            return f"{time_ns / size:g}{unit}"
    return f"{time_ns:g}ns"


def compile_failure(spec: FailureSpec, fabric: Fabric) -> Failure:
    """Return `spec` as channel events and port signals of `fabric`.

    Raises FabricError for a link or device that is not there.
    """
    crashed: tuple[int, ...] = ()
    if spec.target in fabric.numbers:
        if spec.oneway:
            raise FabricError(f"failure {spec.text}: a device has no direction; name a link")
        device = fabric.numbers[spec.target]
        channels = fabric.channels
        broken = [n for n, end in enumerate(channels.source.tolist()) if end == device]
        broken += [channel ^ 1 for channel in broken]
        seeing = [c for c in broken if int(channels.source[c]) != device]
        crashed = () if spec.degraded or spec.flap_period or spec.decay else (device,)
    else:
        broken = _find_channels(spec, fabric)
        seeing = broken
    if spec.seen_by:
        ends = {fabric.find_device(name) for name in spec.seen_by}
        both = {side for channel in broken for side in (channel, channel ^ 1)}
        seeing = [c for c in both if int(fabric.channels.source[c]) in ends]
        if not seeing:
            raise FabricError(
                f"failure {spec.text}: seen_by names no device that {spec.target} ends at; "
                "name one of its ends"
            )
    if spec.silent:
        seeing = []
    return _compile(spec, fabric, sorted(broken), sorted(seeing), crashed)


def _find_channels(spec: FailureSpec, fabric: Fabric) -> list[int]:
    """Return the channels of the link that `spec` names, in the direction that it says."""
    one_way = spec.oneway or ">" in spec.target
    name = spec.target.replace(">", "-") if ">" in spec.target else spec.target
    try:
        number = fabric.find_link(name)
    except FabricError as error:
        raise FabricError(f"failure {spec.text}: {error}") from None
    link = fabric.links[number]
    if not one_way:
        return [2 * number, 2 * number + 1]
    forward = f"{fabric.devices[link.a].name}-{fabric.devices[link.b].name}"
    return [2 * number if re.sub(r"#\d+$", "", name) == forward else 2 * number + 1]


def _compile(
    spec: FailureSpec,
    fabric: Fabric,
    broken: list[int],
    seeing: list[int],
    crashed: tuple[int, ...],
) -> Failure:
    until_ns = float("inf") if spec.until is None else spec.until
    levels: list[tuple[float, float, float]]  # (time, rate factor, loss)
    kind = "device" if crashed else "link"
    if spec.degraded:
        loss = 1 - (1 - spec.loss) * (1 - spec.crc) ** PACKET_BITS
        levels = [(spec.at, 1.0, loss)]
        down: list[tuple[float, float]] = []
        kind = "degrade"
    elif spec.decay:
        levels = [
            (spec.at + spec.decay * step / DECAY_STEPS, 1.0,
             float(DECAY_FIRST_LOSS ** (1 - step / DECAY_STEPS)))
            for step in range(DECAY_STEPS)
        ]  # fmt: skip
        levels.append((spec.at + spec.decay, 0.0, 0.0))
        levels = [level for level in levels if level[0] < until_ns]
        down = [(spec.at + spec.decay, until_ns)] if spec.at + spec.decay < until_ns else []
        kind = "decay"
    elif spec.flap_period:
        down = _flap(spec, until_ns)
        levels = [level for start, end in down for level in ((start, 0.0, 0.0), (end, 1.0, 0.0))]
        kind = "flap"
    else:
        levels = [(spec.at, 0.0, 0.0)]
        down = [(spec.at, until_ns)]
        kind = "silent" if spec.silent and not crashed else kind
    if spec.until is not None and not spec.flap_period:
        levels.append((spec.until, 1.0, 0.0))
    factor = {channel: _rate_factor(spec, fabric, channel) for channel in broken}
    events = [
        ChannelEvent(time_ns, channel, rate * (factor[channel] if time_ns < until_ns else 1), loss)
        for time_ns, rate, loss in levels
        for channel in broken
    ]
    signals = [
        PortSignal(time_ns, channel, up)
        for start_ns, end_ns in _settle(down, spec.hold)
        for time_ns, up in ((start_ns, False), (end_ns, True))
        if time_ns != float("inf")
        for channel in seeing
    ]
    return Failure(spec.text, kind, spec.at, tuple(events), tuple(signals), crashed)


def _rate_factor(spec: FailureSpec, fabric: Fabric, channel: int) -> float:
    """Return what is left of a channel's rate."""
    if not spec.rate:
        return 1.0
    if re.search(r"[A-Za-z]", spec.rate):
        share = parse_rate_gbps(spec.rate) / float(fabric.channels.rate[channel])
    else:
        share = parse_share(spec.rate)
    if share > 1:
        raise FabricError(f"failure {spec.text}: rate {spec.rate} is above the link's; lower it")
    return share


def _flap(spec: FailureSpec, until_ns: float) -> list[tuple[float, float]]:
    """Return the intervals in which a flapping link is down."""
    count = int((until_ns - spec.at) / spec.flap_period + 1e-9)
    starts = [spec.at + number * spec.flap_period for number in range(max(count, 1))]
    length_ns = spec.flap_period * spec.flap_duty
    return [(start, min(start + length_ns, until_ns)) for start in starts]


def _settle(down: list[tuple[float, float]], hold_ns: float) -> list[tuple[float, float]]:
    """Return when a port counts as down: it must stay up for `hold_ns` to count as up again."""
    out: list[tuple[float, float]] = []
    for start_ns, end_ns in down:
        if out and out[-1][1] >= start_ns:
            out[-1] = (out[-1][0], end_ns + hold_ns)
        else:
            out.append((start_ns, end_ns + hold_ns))
    return out


def endpoints_cut_off(failures: Iterable[Failure], fabric: Fabric) -> tuple[int, ...]:
    """Return the endpoints whose own links break, for `build_routes(fabric, alone=...)`.

    Only with a destination group of their own can one of their access links be withdrawn. A switch
    that crashes takes whole groups along, which need no division.
    """
    endpoints = set(fabric.endpoints.tolist())
    cut: set[int] = set()
    for failure in failures:
        for channel in {event.channel for event in failure.events}:
            ends = {int(fabric.channels.source[channel]), int(fabric.channels.target[channel])}
            if not ends & (set(failure.devices) - endpoints):
                cut |= ends & endpoints
    return tuple(sorted(cut))
