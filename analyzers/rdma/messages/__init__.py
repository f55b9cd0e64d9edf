"""Messages of a queue pair: first packet to last, and to the acknowledgement."""
