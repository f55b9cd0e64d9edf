"""What makes two packets of one flow; kernels only."""
