"""CRC32c (Castagnoli), the checksum that ends an FPDU; the loop is in `kernels`."""
