"""Sets of times against membership at every half step."""

from hypothesis import given
from hypothesis import strategies as st

from fabricscope.topology.intervals import intersect, subtract, unite

POINTS = [n / 2 for n in range(-1, 22)]
SETS = st.lists(st.tuples(st.integers(0, 10), st.integers(0, 10)), max_size=5).map(
    lambda pairs: unite([tuple((float(min(p)), float(max(p))) for p in pairs)])
)


def _contains(times, point):
    return any(start <= point < end for start, end in times)


@given(SETS, SETS)
def test_operations_are_those_of_sets(first, second):
    for point in POINTS:
        a, b = _contains(first, point), _contains(second, point)
        assert _contains(unite([first, second]), point) == (a or b)
        assert _contains(subtract(first, second), point) == (a and not b)
        assert _contains(intersect(first, second), point) == (a and b)


@given(SETS, SETS)
def test_results_are_sorted_and_disjoint(first, second):
    for result in (unite([first, second]), subtract(first, second), intersect(first, second)):
        flat = [moment for interval in result for moment in interval]
        assert flat == sorted(flat)
        assert all(start < end for start, end in result)
