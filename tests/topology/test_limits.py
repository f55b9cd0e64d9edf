"""The limits of fabrics, refused by count before anything is made."""

import pytest

from fabricscope.errors import FabricError
from fabricscope.topology.limits import MAX_DEVICES, MAX_LINKS, at_most, check_size


def test_the_limits_themselves_are_allowed() -> None:
    check_size("x", MAX_DEVICES, MAX_LINKS)
    with pytest.raises(FabricError, match="x: 200,001 devices are more than the 200,000"):
        check_size("x", MAX_DEVICES + 1, 0)
    with pytest.raises(FabricError, match="x: 1,000,001 links are more than the 1,000,000"):
        check_size("x", 0, MAX_LINKS + 1)


def test_a_caller_sets_a_lower_limit_for_a_while() -> None:
    with at_most(10):
        check_size("x", 10, 10)
        with pytest.raises(FabricError, match="x: 11 links are more than the 10 "):
            check_size("x", 0, 11)
    with at_most(10 * MAX_LINKS), pytest.raises(FabricError, match="1,000,001 links"):
        check_size("x", 0, MAX_LINKS + 1)
    check_size("x", 0, 11)
