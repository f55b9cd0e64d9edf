"""The short form of fabrics: what it builds, and what it says of what it cannot build."""

import contextlib
import random
import time

import pytest

from fabricscope.errors import FabricError
from fabricscope.topology.builders import PRESETS, build
from fabricscope.topology.builders.specification import KINDS

EXAMPLES = {
    "leaf-spine:8x4x16@400G": (140, 160),
    "leaf-spine:8x4x16@400G,links=2": (140, 192),
    "clos:4x8x4x16x16@400G": (4 * (8 + 4 + 128) + 16, 4 * 128 + 4 * 32 + 4 * 16),
    "fat-tree:k=8@100G": (128 + 32 + 32 + 16, 3 * 128),
    "fat-tree:4": (16 + 8 + 8 + 4, 3 * 16),
    "rail:2x4x2@100G": (8 + 4 + 2 + 2, 8 + 8 + 8),
    "rail:2x4x2@100G,nvlink=0": (8 + 4 + 2, 8 + 8),
    "dual-tor:4x4x16@200G": (64 + 8 + 4, 128 + 32),
    "dual-plane:4x4x16@200G": (64 + 8 + 8, 128 + 32),
}


@pytest.mark.parametrize("spec", EXAMPLES)
def test_examples_have_the_devices_and_links_that_were_counted_by_hand(spec: str) -> None:
    fabric = build(spec)
    assert (len(fabric.devices), len(fabric.links)) == EXAMPLES[spec]
    assert fabric.plan == spec
    assert build(fabric.plan) == fabric


def test_rates_lengths_and_latency_reach_the_links_they_name() -> None:
    fabric = build(
        "clos:2x2x2x2x4@100G,uplink=200G,core=0.4T,host_length=1.5m,spine_length=20,"
        "core_length=70m,forwarding=1us"
    )
    found = {
        (fabric.devices[link.b].kind, link.rate_gbps, link.length_m, link.optics)
        for link in fabric.links
    }
    assert found == {
        ("leaf", 100.0, 1.5, 0),
        ("spine", 200.0, 20.0, 2),
        ("core", 400.0, 70.0, 2),
    }
    assert {d.forwarding_ns for d in fabric.devices if d.tier} == {1000.0}
    assert {d.forwarding_ns for d in fabric.devices if not d.tier} == {0.0}


@pytest.mark.parametrize("ratio", [0.5, 1, 2.5, 4])
def test_oversubscription_sets_the_uplinks(ratio: float) -> None:
    fabric = build(f"leaf-spine:4x4x16@100G,links=2,oversubscription={ratio}")
    uplink = sum(link.rate_gbps for link in fabric.links if fabric.devices[link.b].kind == "spine")
    access = sum(link.rate_gbps for link in fabric.links if fabric.devices[link.b].kind == "leaf")
    assert access / uplink == pytest.approx(ratio)


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("leaf-spine:8x4x1000000000", "8,000,000,012 devices are more than the 200,000"),
        ("leaf-spine:8x4x16,links=1000000000000", "links are more than the 1,000,000"),
        ("leaf-spine:8x4", "needs leaves x spines x hosts, not '8x4'"),
        ("leaf-spine:8x-4x16", "spines must be a whole number from 1"),
        ("leaf-spine:8x0x16", "spines must be a whole number from 1, not '0'"),
        ("leaf-spin:8x4x16", "did you mean leaf-spine?"),
        ("leaf-spine:8x4x16@fast", "rate 'fast' is not understood; write one such as 400G"),
        ("leaf-spine:8x4x16@-400G", "rate '-400G' is negative"),
        ("leaf-spine:8x4x16@400G,uplnk=1", "did you mean uplink?"),
        ("leaf-spine:8x4x16@400G,uplink", "write KEY=VALUE"),
        ("leaf-spine:8x4x16@400G,links=2,links=3", "links is given twice"),
        ("leaf-spine:8x4x16@400G,uplink=1G,oversubscription=2", "say the same"),
        ("leaf-spine:8x4x16@400G,forwarding=2s", "is above 1 s"),
        ("leaf-spine:8x4x16@400G,forwarding=5", "write one such as 1ms, 500us"),
        ("no/such/file.toml", "no/such/file.toml cannot be opened (No such file"),
        ("leaf-spine:8x4x16@400G,units=2", "no option is called 'units'"),
        ("fat-tree:k=7", "k must be even"),
        ("fat-tree:7x4", "fat-tree needs k=EVEN"),
        ("clos:2x2x2x3x4", "use a multiple of 2"),
        ("rail:2x2x2,pods=2", "add cores=2"),
        ("rail:2x2x2,cores=2", "add pods=2"),
        ("dual-plane:2x2x2,endpoint=tpu", "must be host or gpu"),
        ("textbok", "did you mean textbook?"),
        ("", "is neither a fabric nor a file"),
        ("x" * 5000, "is neither a fabric nor a file"),
    ],
)
def test_what_cannot_be_built_is_said_in_one_sentence(spec: str, says: str) -> None:
    started = time.monotonic()
    with pytest.raises(FabricError) as caught:
        build(spec)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
    assert time.monotonic() - started < 5


def test_any_mutation_is_built_or_refused_with_the_documented_error() -> None:
    chance = random.Random(4)
    letters = "0123456789x@,=GTk:-. \0abcü²"
    for _ in range(3000):
        spec = list(chance.choice([*EXAMPLES, *(f"{kind}:1x1x1" for kind in KINDS)]))
        for _ in range(chance.randint(1, 4)):
            place = chance.randrange(len(spec))
            choice = chance.random()
            if choice < 0.4:
                spec[place] = chance.choice(letters)
            elif choice < 0.7:
                spec.insert(place, chance.choice(letters))
            elif len(spec) > 1:
                del spec[place]
        text = "".join(spec)
        if sum(map(len, text.partition(":")[2].split("x"))) > 16:
            continue  # the builders refuse by count, which takes them nothing; large ones take time
        with contextlib.suppress(FabricError):
            build(text)


@pytest.mark.parametrize(
    ("text", "rate"), [("400G", 400.0), ("1.6T", 1600.0), ("100", 100.0), ("25Gb/s", 25.0)]
)
def test_rates(text: str, rate: float) -> None:
    assert build(f"leaf-spine:1x1x1@{text}").links[0].rate_gbps == rate


def test_presets_hold_the_published_counts() -> None:
    published = {  # GPUs or hosts, leaves, spines, cores, optics an endpoint
        "textbook": (128, 8, 4, 0, 0.5),
        "dgx-h100-su": (256, 8, 4, 0, 4.0),
        "dgx-h100-superpod": (1024, 32, 16, 0, 4.0),
        "gh200-256": (256, 96, 36, 0, 9.0),
        "pod-512": (512, 16, 8, 0, 4.0),
        "pod-2048": (2048, 64, 32, 0, 4.0),
        "pod-16384": (16384, 512, 512, 256, 6.0),
    }
    assert published.keys() == PRESETS.keys()
    for name, (endpoints, *switches, optics) in published.items():
        fabric = build(name)
        kinds = [device.kind for device in fabric.devices]
        assert len(fabric.endpoints) == endpoints
        assert [kinds.count(kind) for kind in ("leaf", "spine", "core")] == switches
        assert sum(link.optics for link in fabric.links) / endpoints == optics
        assert fabric.name == fabric.plan == name


def test_switches_of_the_nvidia_presets_use_their_64_ports() -> None:
    for name in ("dgx-h100-su", "dgx-h100-superpod", "pod-512", "pod-2048", "pod-16384"):
        fabric = build(name)
        ports = [0] * len(fabric.devices)
        for link in fabric.links:
            ports[link.a] += 1
            ports[link.b] += 1
        assert {ports[n] for n, device in enumerate(fabric.devices) if device.tier} == {64}
