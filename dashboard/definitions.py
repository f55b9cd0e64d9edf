"""What each number of a report means and how it was made, for readers who must trust it."""

from typing import Final

DEFINITIONS: Final[tuple[tuple[str, str], ...]] = (
    ("Packet", "A captured record. The same packet seen at a second tap is a duplicate: it is "
     "recognised by its content, counted apart and left out of every other number."),
    ("Bytes on the wire", "The length that each record claims, headers included, whatever the snap "
     "length kept of it. KiB, MiB and GiB are 1,024, 1,024² and 1,024³ bytes; rates use decimal "
     "prefixes (1 Gb/s is 10⁹ bits per second)."),
    ("Flow", "Both directions of one connection; A is the endpoint that spoke first."),
    ("Queue pair", "One direction of an RDMA connection. An RC packet does not carry its source "
     "queue pair, so a direction is named by sender, receiver and destination queue pair; the two "
     "directions are paired by their acknowledgements or by the connection's set-up."),
    ("Message", "From a FIRST packet to its LAST, or an ONLY packet, on one queue pair."),
    ("Message completion time", "First packet of the message to the ACK that covers its last "
     "packet; for READ, the request to the last response. Measured at the tap."),
    ("ACK round trip", "A packet that asks for an ACK to the ACK that covers it, at the tap: the "
     "path between sender and tap is not part of it."),
    ("Goodput", "Delivered payload bytes per second, without headers and retransmissions."),
    ("Retransmission", "A data packet with the sender, receiver, queue pair and sequence number "
     "of one that the same tap has seen before."),
    ("Timeout", "A retransmission that no NAK asked for, after about the ACK timeout."),
    ("Lost and unseen", "A hole in the sequence numbers is a loss in the network if a NAK or a "
     "retransmission follows, and a loss of the capture (unseen) if an ACK covers it. A loss "
     "behind the tap leaves no hole and is counted from its NAK or its retransmission."),
    ("NAK, RNR", "Negative acknowledgements by their code; receiver not ready is counted apart."),
    ("ECN-marked", "Packets with congestion experienced, as a share of ECN-capable data packets."),
    ("CNP", "Congestion notification packets that the receiver sent to slow the sender down."),
    ("Pause time", "Sum over pause frames of the time asked for, or the time to the next frame if "
     "that is shorter; a quantum is 512 bit times at the rate shown. Pause frames do not cross a "
     "switch, so they are seen only where a tap sits on the link itself."),
    ("Clock offset", "Difference of a tap's clock to the first tap's, estimated from packets that "
     "both saw; times are corrected by it. The error is the spread of that estimate."),
    ("Percentiles", "Of the tables, p50 and p99 of that queue pair; of the totals and the "
     "distributions, exact to one bin of the histogram drawn."),
    ("Capture loss", "Packets that must have existed but were not captured: acknowledged sequence "
     "numbers that no tap saw, and drops that the capture itself reports. It is a lower bound; "
     "numbers that such a loss can distort carry a †."),
)  # fmt: skip
"""Term and definition, in the order in which a reader meets them."""
