"""Conditions of signatures evaluated on payload bytes; the kernels are in `kernels`."""
