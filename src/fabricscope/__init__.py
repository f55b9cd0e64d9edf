"""Fabricscope: network-fabric monitoring and visualization for AI clusters."""

__version__ = "0.1.0"
