"""How a sprayed flow spreads over all equal-cost paths."""
