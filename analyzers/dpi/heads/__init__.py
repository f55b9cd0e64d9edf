"""The first bytes of flows, put in order; the kernels are in `kernels`."""
