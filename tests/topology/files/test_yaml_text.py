"""YAML as text, and how what cannot be read is refused."""

import pytest

from fabricscope.errors import FabricError
from fabricscope.topology.files.yaml_text import parse_yaml


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a:\n\tb: 1", "x.yml: line 2: "),
        ("a: [1, 2", "x.yml: line "),
        ("a: 1\nb: 2\na: 3", "x.yml: line 3: 'a' is given a second time"),
        ("a: 1\n  b: 2", "x.yml: line 2: "),
        ("a: " + "[" * 5_000, "x.yml: "),
        ("? [a, b]\n: 1", "x.yml: "),
        ("a: \x00", "x.yml: is no YAML: "),
        ("a: *b", "x.yml: line 1: found undefined alias"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_line(text: str, says: str) -> None:
    with pytest.raises(FabricError) as caught:
        parse_yaml(text, "x.yml")
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_scalars_stay_the_text_they_are() -> None:
    text = "a: 1 # one\nb: [yes, 012, 'it''s', {c: 2001:db8::1/64}]\nd:\ne: &x {f: no}\ng: *x\n"
    assert parse_yaml(text, "x") == {
        "a": "1",
        "b": ["yes", "012", "it's", {"c": "2001:db8::1/64"}],
        "d": "",
        "e": {"f": "no"},
        "g": {"f": "no"},
    }
    assert parse_yaml("", "x") == {}
