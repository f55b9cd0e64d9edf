"""The part of YAML that is read, and how the rest is refused."""

import pytest

from fabricscope.errors import FabricError
from fabricscope.topology.files.yaml_subset import parse_yaml


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: &x 1", "x.yml: line 1: 'a: &x 1' uses an anchor"),
        ("a:\n\tb: 1", "x.yml: line 2: YAML is indented with spaces"),
        ("a: [1, 2", "line 1: 'a: [1, 2' has a bracket that does not close"),
        ('a: "b', "has a quote that does not end on its line"),
        ("a: 1\na: 2", "line 2: 'a: 2' gives a key a second time"),
        ("a: {b: 1} c", "goes on behind its closing bracket"),
        ("just text", "is no KEY: VALUE"),
        ("a: 1\n  b: 2", "line 2: 'b: 2' is indented unlike"),
        ("a: " + "[" * 100, "is nested more than 40 deep"),
        ("\n".join(" " * n + "a:" for n in range(100)), "is nested more than 40 deep"),
        ("a: [" + "\n  b," * 9_000, "goes on for more than 10,000 characters"),
        ("a" * 20_000, "is longer than 10,000 characters"),
    ],
)
def test_yaml_that_is_not_read_is_refused_by_line(text: str, says: str) -> None:
    with pytest.raises(FabricError) as caught:
        parse_yaml(text, "x.yml")
    assert says in str(caught.value)


def test_yaml_scalars_and_collections() -> None:
    text = """
a: 1 # one
'it''s': "x\\"y # no comment"
list:
  - x: 1
    y: [a, {b: c, "d": 'e'}, []]
  -
    - nested
  - plain text: with colon
over lines:
  [
    "a:1", # first
    {b: 2001:db8::1/64,
     c: d#e}
  ]
empty:
url: http://h:1/x#y
block: |
  one
  two
"""
    assert parse_yaml(text, "x") == {
        "a": "1",
        "it's": 'x"y # no comment',
        "list": [
            {"x": "1", "y": ["a", {"b": "c", "d": "e"}, []]},
            ["nested"],
            {"plain text": "with colon"},
        ],
        "over lines": ["a:1", {"b": "2001:db8::1/64", "c": "d#e"}],
        "empty": "",
        "url": "http://h:1/x#y",
        "block": "one\ntwo",
    }
