"""From packet rows to bytes: checksums, ICRC and capture records."""
