"""FPDUs of one direction: walking them through a TCP byte stream, and what each one says."""
