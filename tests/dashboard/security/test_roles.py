"""Who asks, and what they may do."""

import pytest

from fabricscope.dashboard.security.roles import (
    LOCAL,
    Visitor,
    current_visitor,
    enter,
    leave,
    require_operator,
)
from fabricscope.errors import ConfigError


def test_nobody_may_only_look() -> None:
    assert current_visitor().role == "viewer"
    with pytest.raises(ConfigError, match="needs the role operator"):
        require_operator("an upload")


def test_an_operator_may_change_things() -> None:
    token = enter(LOCAL)
    require_operator()
    leave(token)
    token = enter(Visitor("eve", "viewer"))
    with pytest.raises(ConfigError, match="you are a viewer"):
        require_operator()
    leave(token)
