"""What NICs do with packets that come in, and when they send."""
