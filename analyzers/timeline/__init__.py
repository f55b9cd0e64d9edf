"""Time series of bounded length: when a capture outgrows the bins, pairs of bins become one."""
