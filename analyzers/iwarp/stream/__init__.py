"""One direction of a TCP connection as bytes in order, for the FPDU walker."""
