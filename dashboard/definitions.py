"""What each number of a report means and how it was made, for readers who must trust it."""

from typing import Final

DEFINITIONS: Final[tuple[tuple[str, str], ...]] = (
    ("Packet", "A captured record. The same packet seen at a second tap is a duplicate: it is "
     "recognised by its content, counted apart and left out of every other number."),
    ("Bytes on the wire", "The length that each record claims, headers included, whatever the snap "
     "length kept of it. KiB, MiB and GiB are 1,024, 1,024² and 1,024³ bytes; rates use decimal "
     "prefixes (1 Gb/s is 10⁹ bits per second)."),
    ("Flow", "Both directions of one connection; A is the endpoint that spoke first."),
    ("Application", "What the payload of a flow says it is (DPI). The source says on what "
     "evidence: payload (the bytes themselves), handshake (what the two ends negotiated), "
     "correlation (another flow announced this one) or port (the number alone, never against the "
     "payload). Its confidence runs from 0 to 100 %; in sums over flows it is the mean "
     "weighted by bytes."),
    ("Behaviour", "What a flow does by sizes, gaps, bursts, directions and other flows at the same "
     "time alone (DFI): no port and no payload, so it works on encrypted and cut packets. The "
     "features that decided stand beside it. A behaviour that the application does not explain "
     "is a finding."),
    ("Job, rank", "Hosts that run collectives among themselves; each is a rank. A ring's ranks "
     "are in ring order."),
    ("Message size S", "Bytes of one collective as nccl-tests count them: one rank's tensor, for "
     "AllGather and ReduceScatter the tensors of all ranks together. Worked out from the bytes on "
     "each link, credits and acknowledgements left out."),
    ("Iteration", "From the first to the last packet of one run of a collective over all ranks, "
     "as seen at the tap: what hosts do before and after cannot be seen."),
    ("Confidence of a collective", "How well the bytes on each link and their order in time fit "
     "this operation and algorithm and no other one; what else would fit is listed beside it. "
     "Where some ranks or links were not captured the view is called partial."),
    ("algbw, busbw", "Algorithm bandwidth is S over the time of an iteration. Bus bandwidth is "
     "algbw times 2(n-1)/n for AllReduce, (n-1)/n for AllGather, ReduceScatter and AllToAll, 1 for "
     "the rest, with n ranks: what each rank's link carries, comparable between operations and "
     "sizes. Both in bits per second; nccl-tests print bytes per second."),
    ("Communication share", "Part of the time from the first step to the end of the last during "
     "which some collective was under way. What of it overlaps with computation costs nothing."),
    ("MMR, JFI", "Of parallel paths: the busiest one's bytes over the mean of all, and Jain's "
     "fairness index. Random hashing of few flows is unequal too, so the ratio is judged against "
     "what the same flows give by chance, not against 1."),
    ("Overlap", "At most: the part of a step's communication before the step's last operation "
     "begins, when ranks may still compute what later ones carry. From then on it is exposed. "
     "Whether they do compute, no packet tells."),
    ("Step, jitter", "A step is the shortest sequence of collectives that repeats; what runs once, "
     "such as the first broadcast of a model, is no part of it. Its time runs from start to start; "
     "jitter is the standard deviation of the step times."),
    ("Checkpoint, data set read", "Bulk data from a rank to a host that is none, or from there to "
     "a rank, on a connection that is not the job's own. A checkpoint costs by how much the pause "
     "between the two steps around it is longer than usual."),
    ("Straggler", "A late rank (compute) shows up after all others have, and then sends at full "
     "speed; a slow link carries messages, once begun, at a lower rate than the others do."),
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
    ("RDMA CM connection", "Set-up of a connection by messages on queue pair 1: request, reply, "
     "ready to use. The ACK timeout is 4.096 µs x 2^code; the standard lets a device wait up to "
     "four times that, and give up after the retry limit."),
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
