"""YAML through PyYAML: every scalar stays the text it is, and errors are one sentence."""

from typing import Any, Final

import yaml

from fabricscope.errors import FabricError

__all__ = ["parse_yaml"]

_BASE: Final[Any] = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
_SHOWN: Final = 80


class _Loader(_BASE):  # type: ignore[misc]
    """Refuses a key that is given twice, of which the first would be lost without a word."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        """Return the mapping."""
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen if isinstance(key.value, str) else False:
                raise yaml.constructor.ConstructorError(
                    None, None, f"{key.value[:_SHOWN]!r} is given a second time", key.start_mark
                )
            seen.add(str(key.value))
        mapping: dict[Any, Any] = super().construct_mapping(node, deep)
        return mapping


def parse_yaml(text: str, source: str) -> object:
    """Return the document: dicts, lists and strings; a key without a value has "".

    Raises FabricError with the line that cannot be read.
    """
    try:
        return yaml.load(text, _Loader) or {}  # the base loader makes texts, lists and dicts only
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise FabricError(f"{source}: line {line}: {error.problem or error.context}") from None
    except (yaml.YAMLError, ValueError) as error:
        raise FabricError(f"{source}: is no YAML: {str(error).splitlines()[0][:200]}") from None
    except (RecursionError, TypeError):
        raise FabricError(f"{source}: is nested too deep, or has a collection as a key") from None
