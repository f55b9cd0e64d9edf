"""RoCE transport as NICs do it: windows, ACKs, go-back-N, time-outs and DCQCN."""
