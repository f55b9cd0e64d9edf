"""Link health: what a link carried in a second, how unusual that is, a score with reasons."""
