"""iWARP over TCP: MPA connections, FPDUs, RDMAP messages and their times.

`session` holds the analyzer, `kernels` the loop over a batch's rows, `stream` the TCP order,
`fpdu` the frames, `report` the table. RoCE and InfiniBand are not here.
"""
