"""What taps record: mirror faults, clocks, and the count of everything that they saw."""
