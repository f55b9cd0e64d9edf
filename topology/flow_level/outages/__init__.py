"""What changes for flows when channels die, come back, or routes change."""
