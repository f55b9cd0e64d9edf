"""The running pipeline: packets in, a sample a second and subject out, into a store."""
