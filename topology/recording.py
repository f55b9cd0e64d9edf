"""A run whose mirror ports are written to a capture file, for the analyzers to read."""

from pathlib import Path
from typing import Any, Final

from fabricscope.errors import ConfigError, FabricError
from fabricscope.topology.engines import answer, draw, follow_packets
from fabricscope.topology.experiment import Experiment
from fabricscope.topology.packet_level.mirror import write_capture
from fabricscope.topology.packet_level.parameters import PacketOptions

__all__ = ["MOST_PACKETS", "record"]

MOST_PACKETS: Final = 100_000_000
MOST_TAPPED: Final = 20_000_000


def record(experiment: Experiment, path: str) -> dict[str, Any]:
    """Run the first scheme's first repetition packet by packet; write what the taps see to `path`.

    Without taps the links that fail are mirrored. Return {file, packets, taps, scheme}.
    Raises FabricError without anything to mirror, ConfigError where the file cannot be written.
    """
    dead = {event.channel >> 1 for failure in experiment.failures for event in failure.events}
    both = tuple(side for link in sorted(dead) for side in (2 * link, 2 * link + 1))
    taps = experiment.taps or both
    if not taps:
        raise FabricError("--capture needs a mirror port: name a link with --tap")
    packets = experiment.count_packets()
    if packets > MOST_PACKETS:
        raise FabricError(
            f"--capture follows every packet, and the workload sends {packets:,}: more than "
            f"{MOST_PACKETS:,}; shorten it"
        )
    chance = draw(experiment, 0)
    options = PacketOptions(most_tap_packets=MOST_TAPPED)
    answers = answer(experiment, chance, 0)
    outcome, transfers = follow_packets(experiment, chance, answers, taps, options)
    nic = experiment.scenario.nic
    try:
        written = write_capture(Path(path), experiment.fabric, transfers, outcome, taps, nic)
    except OSError as error:
        raise ConfigError(f"--capture {path} cannot be written: {error.strerror}") from error
    return {
        "file": path,
        "packets": written,
        "taps": len(taps),
        "scheme": experiment.scenario.recovery[0].shown,
        "missed": outcome.counters["tap_missed"],
    }
