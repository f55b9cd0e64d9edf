"""Reads a capture with a Python library the way its manual does: LIBRARY CAPTURE PACKETS.

PACKETS is where to stop, 0 for the end; the number of packets that were read goes to the output.
"""

import itertools
import sys
from collections.abc import Callable


def read_scapy(path: str, stop: int | None) -> int:
    """Count the packets that scapy decodes, RoCE included."""
    from scapy.contrib import roce  # binds UDP port 4791 to the BTH layer
    from scapy.layers.l2 import Ether  # noqa: F401  (without it link layers stay raw bytes)
    from scapy.utils import PcapReader

    with PcapReader(path) as reader:
        return sum(packet.haslayer(roce.BTH) >= 0 for packet in itertools.islice(reader, stop))


def read_pyshark(path: str, stop: int | None) -> int:
    """Count the packets that pyshark hands out."""
    import pyshark

    with pyshark.FileCapture(path, keep_packets=False) as reader:
        return sum(bool(packet.highest_layer) for packet in itertools.islice(reader, stop))


def read_nfstream(path: str, stop: int | None) -> int:
    """Sum the packets of the flows of NFStream, which always reads to the end."""
    from nfstream import NFStreamer

    return sum(flow.bidirectional_packets for flow in NFStreamer(source=path))


READERS: dict[str, Callable[[str, int | None], int]] = {
    "nfstream": read_nfstream,
    "pyshark": read_pyshark,
    "scapy": read_scapy,
}

if __name__ == "__main__":
    library, capture, packets = sys.argv[1:]
    print("packets", READERS[library](capture, int(packets) or None))
