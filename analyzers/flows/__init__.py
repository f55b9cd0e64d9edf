"""Who talks to whom: the flow table."""

from fabricscope.analyzers.flows.table import ClosedFlows, FlowTable

__all__ = ["ClosedFlows", "FlowTable"]
