"""Link layers: Ethernet and its tags, LLC, cooked captures, loopback, MAC control."""
