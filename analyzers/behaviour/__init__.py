"""What a flow does, told from sizes and times alone (DFI): never from ports, never from payload."""

from fabricscope.analyzers.behaviour.analyzer import BehaviourAnalyzer
from fabricscope.analyzers.behaviour.judging import BehaviourVerdicts, judge

__all__ = ["BehaviourAnalyzer", "BehaviourVerdicts", "judge"]
