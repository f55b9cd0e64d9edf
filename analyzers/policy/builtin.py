"""The rules that every running collector has, and how a file of rules changes them."""

from dataclasses import replace
from functools import lru_cache

from fabricscope.analyzers.policy.defaults import BUILT_IN
from fabricscope.analyzers.policy.patterns import is_like
from fabricscope.analyzers.policy.rules import Rule, RuleSet, parse_rules

__all__ = ["built_in_rules", "with_built_in"]


@lru_cache(1)
def built_in_rules() -> tuple[Rule, ...]:
    """Return the built-in rules."""
    return parse_rules(BUILT_IN.read_text(encoding="utf-8"), BUILT_IN.name).rules


def with_built_in(rules: RuleSet) -> RuleSet:
    """Return a file's rules and the built-in ones that it does not replace or switch off.

    A rule of the same name replaces a built-in one.
    """
    own = {rule.name for rule in rules.rules}
    kept = tuple(
        replace(rule, alert=rules.defaults.alert)
        for rule in built_in_rules()
        if rule.name not in own and not is_like(rule.name, rules.defaults.off)
    )
    return replace(rules, rules=(*rules.rules, *kept))
