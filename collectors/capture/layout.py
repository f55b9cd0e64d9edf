"""Numbers that walkers and kernels share: places in arrays, statuses, format constants."""

from typing import Final

# Indexes into `state`, int64, owned by the walker: where the walk stands and what it has counted.
POSITION: Final = 0  # next byte to read, into the view
STOP: Final = 1  # end of the valid bytes of the view
ROW: Final = 2  # next row to fill
FRAME: Final = 3  # records given so far
STATUS: Final = 4  # why the kernel returned, see below
NEED: Final = 5  # bytes wanted from POSITION on, when the status is SHORT
ACCEPT_CUT: Final = 6  # 1: give the record that the end of the input cuts, if its header is there
LAST_TIME: Final = 7  # time_ns of the last record
CAPTURED_BYTES: Final = 8
WIRE_BYTES: Final = 9
UNREADABLE_BYTES: Final = 10
UNREADABLE_RECORDS: Final = 11
IMPOSSIBLE_TIMES: Final = 12
STATE_SIZE: Final = 13

FULL: Final = 0  # no more rows, or enough bytes for one batch
SHORT: Final = 1  # the record at POSITION is not complete
BAD: Final = 2  # the record at POSITION claims an impossible length
BLOCK: Final = 3  # pcapng: a section header or interface description stands at POSITION

# Indexes into `layout`, int64: what the file header says about every record.
HEADER_BYTES: Final = 0  # pcap record header
FRACTION_NS: Final = 1  # nanoseconds per unit of the second half of a pcap timestamp
RECORD_LIMIT: Final = 2  # most bytes that one record (pcapng: block) may claim
SPAN_LIMIT: Final = 3  # most bytes of the view that one call walks over
LINK_TYPE: Final = 4
TAP: Final = 5
INTERFACES: Final = 6  # pcapng: interfaces of the section so far
LAYOUT_SIZE: Final = 7

# Columns of the pcapng interface table, int64, one row an interface.
IF_LINK_TYPE: Final = 0
IF_TAP: Final = 1
IF_SNAP_LENGTH: Final = 2  # 0: no limit
IF_EXPONENT: Final = 3  # of the timestamp unit
IF_BINARY: Final = 4  # 1: the unit is 2**-exponent s, 0: 10**-exponent s
IF_OFFSET_S: Final = 5
IF_COLUMNS: Final = 6

SECTION_HEADER: Final = 0x0A0D0D0A
INTERFACE_DESCRIPTION: Final = 1
OBSOLETE_PACKET: Final = 2
SIMPLE_PACKET: Final = 3
ENHANCED_PACKET: Final = 6

LINK_ETHERNET: Final = 1
LINK_RAW_IP: Final = 101
LINK_ERF: Final = 197
LINK_INFINIBAND: Final = 247
ERF_HEADER_BYTES: Final = 16
ERF_PAD: Final = 48

HALF_FRACTION: Final = 1 << 31  # rounds an ERF timestamp to the nearest nanosecond
SECOND_NS: Final = 1_000_000_000
MAX_TIME_S: Final = 0x7FFF_FFFF_FFFF_FFFF // SECOND_NS - 1
MAX_TERM_S: Final = 1 << 61
