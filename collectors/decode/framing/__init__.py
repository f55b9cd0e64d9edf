"""Framings other than Ethernet: Linux cooked captures, BSD loopback, PPP, PPPoE and HDLC."""
