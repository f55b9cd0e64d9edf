"""The limits of fabrics, refused by count before anything is made."""

import pytest

from fabricscope.errors import FabricError
from fabricscope.topology.limits import MAX_DEVICES, MAX_LINKS, check_size


def test_the_limits_themselves_are_allowed() -> None:
    check_size("x", MAX_DEVICES, MAX_LINKS)
    with pytest.raises(FabricError, match="x: 200,001 devices are more than the 200,000"):
        check_size("x", MAX_DEVICES + 1, 0)
    with pytest.raises(FabricError, match="x: 1,000,001 links are more than the 1,000,000"):
        check_size("x", 0, MAX_LINKS + 1)
