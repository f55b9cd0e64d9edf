"""READs: repeated requests, and responses out of order."""
