import numpy as np
import polars as pl
import pytest

from fabricscope.pipeline.sections import MATRIX_HOSTS, matrix_section, rounded, tunnels


@pytest.mark.parametrize(
    ("value", "expected"),
    [(1234567.0, 1234570.0), (0.1234567891, 0.123457), (7, 7), (None, None), ("text", "text")],
)
def test_rounded_keeps_six_digits_of_floats(value: object, expected: object) -> None:
    assert rounded(value) == expected


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_rounded_leaves_out_what_is_no_number(value: float) -> None:
    assert rounded(value) is None


def test_tunnels_are_listed_outermost_first() -> None:
    assert tunnels("erspan:10 vxlan:5000") == [
        {"kind": "erspan", "id": 10},
        {"kind": "vxlan", "id": 5000},
    ]
    assert tunnels("") == []


def _flows(rows: list[tuple[str, str, int, int]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=["src", "dst", "a_to_b_bytes", "b_to_a_bytes"], orient="row")


def test_the_matrix_holds_both_directions() -> None:
    matrix = matrix_section(
        _flows([("10.0.0.2", "10.0.0.10", 5, 3), ("10.0.0.10", "10.0.0.2", 1, 0)])
    )
    assert matrix == {"hosts": ["10.0.0.2", "10.0.0.10"], "bytes": [[0, 5], [4, 0]]}


def test_hosts_beyond_the_bound_are_one_and_no_byte_is_lost() -> None:
    rows = [(f"10.0.{n // 256}.{n % 256}", "fd00::1", 100 + n, 1) for n in range(3 * MATRIX_HOSTS)]
    matrix = matrix_section(_flows(rows))
    assert len(matrix["hosts"]) == MATRIX_HOSTS + 1
    assert matrix["hosts"][-1] == "other"
    assert "fd00::1" in matrix["hosts"]
    assert np.sum(matrix["bytes"]) == sum(row[2] + row[3] for row in rows)


def test_a_matrix_of_nothing_is_empty() -> None:
    nothing = _flows([]).cast({"a_to_b_bytes": pl.Int64, "b_to_a_bytes": pl.Int64})
    assert matrix_section(nothing) == {"hosts": [], "bytes": []}
