"""The rules that every running collector has, and how a file of rules changes them."""

from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Final

from fabricscope.analyzers.policy.patterns import is_like
from fabricscope.analyzers.policy.reading import near
from fabricscope.analyzers.policy.rules import Rule, RuleSet, parse_rules
from fabricscope.errors import ConfigError

__all__ = ["PATH", "built_in_rules", "with_built_in"]

PATH: Final = Path(__file__).with_name("builtin.toml")


@lru_cache(1)
def built_in_rules() -> tuple[Rule, ...]:
    """Return the built-in rules."""
    return parse_rules(PATH.read_text(encoding="utf-8"), PATH.name).rules


def with_built_in(rules: RuleSet, file: str = "") -> RuleSet:
    """Return a file's rules and the built-in ones that it does not replace or switch off.

    A rule of the same name replaces a built-in one. Raises ConfigError for a name in `off` that
    no built-in rule has.
    """
    names = [rule.name for rule in built_in_rules()]
    for pattern in rules.defaults.off:
        if not any(is_like(name, [pattern]) for name in names):
            raise ConfigError(
                f"{file}: defaults.off: there is no built-in rule {pattern}{near(pattern, names)}"
            )
    own = {rule.name for rule in rules.rules}
    kept = tuple(
        replace(rule, alert=rules.defaults.alert)
        for rule in built_in_rules()
        if rule.name not in own and not is_like(rule.name, rules.defaults.off)
    )
    return replace(rules, rules=(*rules.rules, *kept))
