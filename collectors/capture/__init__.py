"""Capture files: pcap, pcapng and ERF, plain or compressed, become record columns.

What a packet means is not known here; that is `fabricscope.collectors.decode`.
"""

from fabricscope.collectors.capture.formats import Recognised, recognise
from fabricscope.collectors.capture.reader import CaptureFile, displayed
from fabricscope.collectors.capture.walker import CaptureCounters

__all__ = ["CaptureCounters", "CaptureFile", "Recognised", "displayed", "recognise"]
