"""Classic pcap."""
