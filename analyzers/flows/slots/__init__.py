"""The table's slots: taken, closed and given back; kernels only."""
