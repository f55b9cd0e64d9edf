"""Training jobs and their collective operations, from who sends how much to whom, and when."""
