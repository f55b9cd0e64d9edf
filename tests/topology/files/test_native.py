"""The own TOML format: what it may leave out, and what its errors name."""

import pytest

from fabricscope.errors import FabricError
from fabricscope.topology.files.draft import Draft, Imported
from fabricscope.topology.files.native import read_native


def _read(text: str) -> Imported:
    return read_native(text, Draft("my.toml", 100.0))


def test_what_is_left_out_is_worked_out_and_said() -> None:
    fabric, notes, _ = _read(
        """
        [[device]]
        name = "a"
        [[device]]
        name = "b"
        [[device]]
        name = "sw-x"
        kind = "switch"
        [[device]]
        name = "sw-y"
        kind = "switch"
        [[link]]
        a = "a"
        b = "sw-x"
        [[link]]
        a = "b"
        b = "sw-x"
        [[link]]
        a = "sw-x"
        b = "sw-y"
        length_m = 2
        """
    )
    assert [(d.name, d.kind, d.tier) for d in fabric.devices] == [
        ("a", "host", 0), ("b", "host", 0), ("sw-x", "leaf", 1), ("sw-y", "spine", 2)
    ]  # fmt: skip
    assert [(x.rate_gbps, x.length_m, x.optics) for x in fabric.links] == [
        (100, 3, 0), (100, 3, 0), (100, 2, 0)
    ]  # fmt: skip
    assert notes == (
        "switches without a tier, taken from how far they are from hosts: 2",
        "links without a stated rate, taken as 100 Gb/s (--rate): 3",
        "links without a stated length, taken as 3, 30 or 100 m by tier: 2",
    )


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "my.toml: no device found"),
        ("name = ", "my.toml: TOML: Invalid value (at end of document)"),
        ("schema = 'other/1'", "my.toml: schema: this version reads fabricscope-fabric/1"),
        ("devices = []", "unknown key 'devices'; known are device, link, name, plan, schema"),
        ("device = 3", "my.toml: device: must be a list of tables"),
        ("device = [{name = ''}]", "device[0].name: '' is no name"),
        ("device = [{kind = 'leaf'}]", "device[0].name: a name is missing"),
        ("device = [{name = 'a', kind = 'tpu'}]", "device[0].kind: 'tpu' is none of host"),
        ("device = [{name = 'a'}, {name = 'a'}]", "device[1]: device a was given before"),
        ("device = [{name = 'a', pod = 'x'}]", "device[0].pod: 'x' is no number"),
        ("device = [{name = 'a', forwarding_ns = -1}]", "-1 is not between 0 and 1e+09"),
        ("device = [{name = 'a'}]\nlink = [{a = 'a', b = 'b'}]", "link[0]: no device is called b"),
        ("device = [{name = 'a'}]\nlink = [{a = 'a', b = 'a'}]", "a is cabled to itself"),
        (
            "device = [{name = 'a'}, {name = 'b'}]\nlink = [{a = 'a', b = 'b', rate_gbps = -4}]",
            "link[0].rate_gbps: -4 is not between",
        ),
        (
            "device = [{name = 'a'}, {name = 'b'}]\nlink = [{a = 'a', b = 'b', rate_gbps = nan}]",
            "link[0].rate_gbps: nan is not between",
        ),
        ("x = " + "[" * 5000, "my.toml: TOML: "),
    ],
)
def test_errors_name_the_key(text: str, says: str) -> None:
    with pytest.raises(FabricError) as caught:
        _read(text)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
