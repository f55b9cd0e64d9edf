"""Rules over the tables: what they match and what is said about it, without files and sockets."""

from fabricscope.analyzers.policy.matching import Alert, Outcome, Policy
from fabricscope.analyzers.policy.rules import RuleSet, parse_rules

__all__ = ["Alert", "Outcome", "Policy", "RuleSet", "parse_rules"]
