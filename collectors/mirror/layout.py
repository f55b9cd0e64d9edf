"""Kinds of mirror tunnels and the columns of a tunnel tap's key; nothing here computes."""

from typing import Final

# Bits of the kinds that are listened for -------------------------------------------------------
ERSPAN: Final = 1
VXLAN: Final = 2
GRE: Final = 4

TUNNEL_NAMES: Final = {ERSPAN: "erspan", VXLAN: "vxlan", GRE: "gre"}

# Columns of a key ------------------------------------------------------------------------------
KEY_SESSION: Final = 0  # kind << SESSION_SHIFT | session ID, VNI or GRE key
KEY_ADDRESS_HI: Final = 1  # of the switch that sends the mirror
KEY_ADDRESS_LO: Final = 2
KEY_RING: Final = 3  # tap number of the interface that it arrived at
KEY_COLUMNS: Final = 4

SESSION_SHIFT: Final = 32
