"""From packets to transfers: what one sender hands over without a break, bytes conserved."""
