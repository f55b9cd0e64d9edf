"""The simulated network between two hosts: delay, loss, marks, overtaking, and the taps."""
