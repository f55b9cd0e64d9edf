"""Recovery that switches carry out themselves, packet by packet."""
