"""Values of options and arguments, taken without the library that Typer checks them with.

Typer checks every value through Pydantic, whose import takes longer than the rest of the command
line. Text, numbers and lists of text need no such check; whatever is anything else, or wrong, goes
Typer's way, so that all messages are Typer's.
"""

import re
from typing import Any, Final

_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,18}")
_NUMBER: Final = re.compile(r"[+-]?[0-9]{1,18}(\.[0-9]{1,18})?([eE][+-]?[0-9]{1,3})?")


def take_plain_values() -> None:
    """Let Typer's parameters take plain values as they are; a Typer built otherwise is left alone.

    Meant for once a process.
    """
    from typer import core

    parameter: Any = getattr(core, "_TyperParameter", None)
    original = getattr(parameter, "get_runtime_param", None)
    if original is not None:
        parameter.get_runtime_param = lambda self: _Values(original)


class _Values:
    """What Typer asks to make a parameter's value of what was typed."""

    def __init__(self, original: Any) -> None:
        self._original = original

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:
        """Return the value as the parameter's annotation wants it."""
        many = param.multiple or param.nargs == -1
        if value is None:
            return () if many else None
        kind = param.type_descriptor
        info = kind.parameter_info
        if info.parser is None and info.min is None and info.max is None:
            if many and kind.annotation == list[str] and isinstance(value, (list, tuple)):
                if all(type(one) is str for one in value):
                    return list(value)
            elif not many and (taken := _take(value, kind.annotation)) is not None:
                return taken
        return self._original(param).coerce(value, param=param, ctx=ctx)


def _take(value: Any, annotation: Any) -> Any:
    """Return a plain value of the wanted type; None where that takes a closer look."""
    if annotation in (str, int, float) and type(value) is annotation:
        return value
    if annotation is int and type(value) is str and _INTEGER.fullmatch(value):
        return int(value)
    if annotation is float and type(value) is str and _NUMBER.fullmatch(value):
        return float(value)
    return None
