"""A memory-mapped AF_PACKET ring (TPACKET_V3) on one interface.

The kernel writes packets into blocks; `read` hands a block's bytes to the decoder as they lie, and
gives the block back at the next `read`. Needs CAP_NET_RAW while it is opened, and never again: it
may be opened here, and started and read in another process that has no rights.
"""

import contextlib
import errno
import logging
import mmap
import select
import socket
import struct
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fabricscope.collectors.mirror import kernels
from fabricscope.collectors.mirror.filters import BY_ADDRESSES, NOTHING
from fabricscope.collectors.mirror.packet_socket import (
    SOL_PACKET,
    advice,
    ask_for_hardware_time,
    hear_everything,
    is_up,
    run_program,
)
from fabricscope.errors import ConfigError
from fabricscope.records import Packets

__all__ = ["MirrorRing", "RingCounters", "start_together"]

# linux/if_packet.h, linux/if_ether.h, asm-generic/socket.h
_RX_RING: Final = 5
_STATISTICS: Final = 6
_VERSION: Final = 10
_RESERVE: Final = 12
_FANOUT: Final = 18
_FANOUT_DATA: Final = 22
_FANOUT_PROGRAM: Final = 6
_FANOUT_NEW_GROUP: Final = 0x2000
_TPACKET_V3: Final = 2
_ALL_PROTOCOLS: Final = 0x0003
_ATTACH_FILTER: Final = 26
_DETACH_FILTER: Final = 27

LOOK_EVERY_S: Final = 1.0
"""How often an interface that went down is looked for."""

_LOG: Final = logging.getLogger(__name__)

BLOCK_BYTES: Final = 1 << 20
BLOCKS: Final = 128
RETIRE_MS: Final = 50
"""A block that is not full is handed over after this long: the ring bridges at least the time that
all its blocks take to come so, which is why there are many of them."""

MAX_INTERFACE_BYTES: Final = 15
_READY: Final = 1


@dataclass
class RingCounters:
    """Totals since the ring was opened, by the kernel's own count and by ours."""

    received: int = 0  # packets that the kernel saw for this socket, those dropped included
    dropped: int = 0  # packets for which the ring had no room
    freezes: int = 0  # times that the ring stood still because all blocks were taken
    read: int = 0  # packets handed on
    down: int = 0  # times that the interface went down


class MirrorRing:
    """Packets of one interface, in rings of blocks: `open`, `start`, `read` ..., `close`.

    tap: the number that goes into the packets' rows. hardware_time: take the network card's
    timestamps; the card must offer them. Several rings of an interface that are started by
    `start_together` share its packets; one of them tells (`tells`) when the interface goes down and
    when it is back.
    """

    def __init__(
        self,
        interface: str,
        *,
        tap: int = 0,
        program: bytes = b"",
        blocks: int = BLOCKS,
        block_bytes: int = BLOCK_BYTES,
        hardware_time: bool = False,
        promiscuous: bool = True,
    ) -> None:
        """Remember what to open; `program` is a compiled filter."""
        self.interface = interface
        self.counters = RingCounters()
        self._tap = tap
        self._program = program
        self._blocks = blocks
        self._block_bytes = block_bytes
        self._hardware_time = hardware_time
        self._promiscuous = promiscuous
        self._socket: socket.socket | None = None
        self._map: mmap.mmap | None = None
        self._view: NDArray[np.uint8] = np.zeros(0, np.uint8)
        self._statuses: NDArray[np.uint32] = np.zeros(0, np.uint32)
        self._block = 0  # next one to look at
        self._position = 0  # of the next packet in it, 0 at its begin
        self._left = 0  # packets left in it
        self._taken: list[int] = []  # blocks to give back at the next read
        self.tells = True
        self.down = False
        self._number = 0  # of the interface that the socket is bound to
        self._given_up = False
        self._look_s = 0.0

    def __enter__(self) -> "MirrorRing":
        """Open the ring and start it."""
        self.open()
        self.start()
        return self

    def __exit__(self, *details: object) -> None:
        """Close it."""
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        """Return what another process needs to read the ring: all but the mapping."""
        return self.__dict__ | {"_map": None, "_view": None, "_statuses": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Map the ring in this process."""
        self.__dict__.update(state)
        self._map_blocks()

    def open(self) -> None:
        """Open the socket and make and map the ring; nothing comes in before `start`.

        Raises ConfigError: no such interface, no permission, no memory, no hardware timestamps.
        """
        try:
            number = socket.if_nametoindex(self.interface)
        except OSError:
            known = ", ".join(name for _, name in socket.if_nameindex())
            raise ConfigError(
                f"there is no interface {self.interface}; this host has {known}"
            ) from None
        try:
            link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        except PermissionError:
            raise ConfigError(
                f"capturing on {self.interface} needs root or the capability CAP_NET_RAW; start "
                "with sudo (--user NAME gives root up once the ring is open)"
            ) from None
        try:
            self._prepare(link, number)
        except OSError as error:
            link.close()
            self._socket = None
            self._unmap()
            raise ConfigError(
                f"no ring on {self.interface}: {error.strerror}; "
                + advice(error.errno, self._blocks * self._block_bytes)
            ) from error

    def _prepare(self, link: socket.socket, number: int) -> None:
        link.setsockopt(SOL_PACKET, _VERSION, _TPACKET_V3)
        # Room in front of each packet for the VLAN tag that the card took out of it.
        link.setsockopt(SOL_PACKET, _RESERVE, kernels.TAG_BYTES)
        run_program(link, socket.SOL_SOCKET, _ATTACH_FILTER, NOTHING)
        if self._hardware_time:
            ask_for_hardware_time(link, self.interface)
        frame_bytes = 2048
        frames = self._block_bytes // frame_bytes * self._blocks
        sizes = self._block_bytes, self._blocks, frame_bytes, frames
        request = struct.pack("IIIIIII", *sizes, RETIRE_MS, 0, 0)
        link.setsockopt(SOL_PACKET, _RX_RING, request)
        self._socket = link
        self._number = number
        self._map_blocks()
        if self._promiscuous:
            hear_everything(link, number)

    def _map_blocks(self) -> None:
        self._map = mmap.mmap(self.fileno(), self._blocks * self._block_bytes)
        self._view = np.frombuffer(self._map, np.uint8)
        words = self._view.view(np.uint32)[kernels.BLOCK_STATUS // 4 :]
        self._statuses = words[:: self._block_bytes // 4]

    def start(self) -> None:
        """Let packets in. Raises ConfigError if the interface has gone meanwhile."""
        start_together([self])

    def bind(self) -> None:
        """Attach the socket to the interface; its filter lets nothing through yet."""
        assert self._socket is not None
        try:
            self._socket.bind((self.interface, _ALL_PROTOCOLS))
        except OSError as error:
            raise ConfigError(
                f"no ring on {self.interface}: {error.strerror}; see `ip link show`"
            ) from error
        self._number = socket.if_nametoindex(self.interface)

    def join(self, group: int | None) -> int:
        """Share the interface's packets with the rings of `group`, None: a new one; return it."""
        assert self._socket is not None
        kind = _FANOUT_PROGRAM
        if group is None:
            kind |= _FANOUT_NEW_GROUP
        self._socket.setsockopt(SOL_PACKET, _FANOUT, (group or 0) | kind << 16)
        run_program(self._socket, SOL_PACKET, _FANOUT_DATA, BY_ADDRESSES)
        return self._socket.getsockopt(SOL_PACKET, _FANOUT) & 0xFFFF

    def let_in(self) -> None:
        """Exchange the filter that lets nothing through for the one that was asked for."""
        assert self._socket is not None
        self._take_back_counts()
        if self._program:
            run_program(self._socket, socket.SOL_SOCKET, _ATTACH_FILTER, self._program)
        else:
            self._socket.setsockopt(socket.SOL_SOCKET, _DETACH_FILTER, 0)

    def shut(self) -> None:
        """Let nothing more in; what is in the ring can still be read."""
        if self._socket is not None:
            run_program(self._socket, socket.SOL_SOCKET, _ATTACH_FILTER, NOTHING)

    def fileno(self) -> int:
        """Return the socket's file descriptor, to wait on several rings at once."""
        if self._socket is None:
            raise ValueError(f"the ring on {self.interface} is not open")
        return self._socket.fileno()

    def wait(self, timeout_s: float) -> bool:
        """Wait until a block is ready; return whether one is.

        Gives the blocks of the last `read` back before it waits, as the kernel does not let anybody
        wait who still holds the block filled last: what was made of them must not be used after.
        """
        if self._is_ready():
            return True
        self._give_back()
        poller = select.poll()
        poller.register(self.fileno(), select.POLLIN | select.POLLERR)
        poller.poll(int(timeout_s * 1000))
        self._clear_error()
        if self.down and time.monotonic() - self._look_s > LOOK_EVERY_S:
            self._look_s = time.monotonic()
            self._look_for_it()
        return self._is_ready()

    def _clear_error(self) -> None:
        """Take note of an interface that went down; it may come back."""
        assert self._socket is not None
        error = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error == errno.ENETDOWN and not self.down:
            self.counters.down += 1
            self.down = True
            self._say("went down: its packets are missing until it is back")

    def _look_for_it(self) -> None:
        """Take note of an interface that is back, made anew or only up again.

        The kernel lets go of one that is taken away, so that the socket is bound to the new one.
        """
        assert self._socket is not None
        try:
            number = socket.if_nametoindex(self.interface)
            if not is_up(self._socket, self.interface):
                return
            if number != self._number:
                self._bind_anew(number)
        except OSError as error:
            if error.errno == errno.EINVAL and not self._given_up:
                # The kernel binds no socket again that shares an interface with others.
                self._given_up = True
                self._say("was made anew, which several processes cannot follow: start again")
            return
        self.down = False
        self._say("is back")

    def _bind_anew(self, number: int) -> None:
        assert self._socket
        if self._hardware_time:
            with contextlib.suppress(OSError):
                ask_for_hardware_time(self._socket, self.interface)
        self._socket.bind((self.interface, _ALL_PROTOCOLS))
        if self._promiscuous:
            hear_everything(self._socket, number)
        self._number = number

    def _say(self, what: str) -> None:
        if self.tells:
            _LOG.warning("mirror port %s %s", self.interface, what)

    def _is_ready(self) -> bool:
        if self._left:
            return True
        if len(self._taken) == self._blocks:
            return False
        return bool(self._statuses[self._block] & _READY)

    def read(self, packets: Packets) -> tuple[NDArray[np.uint8], int]:
        """Return the ring's bytes and how many rows of `packets` were filled, 0 if none is ready.

        Gives the blocks of the call before back: what was made of them must not be used after.
        """
        self._give_back()
        row = 0
        rows = packets.time_ns.size
        while row < rows and self._is_ready():
            base = self._block * self._block_bytes
            if not self._left:
                header = self._view[base : base + 24].view(np.uint32)
                self._left = int(header[kernels.BLOCK_PACKETS // 4])
                self._position = base + int(header[kernels.BLOCK_FIRST // 4])
            row, self._position, self._left = kernels.walk_block(
                self._view,
                packets,
                row,
                self._position,
                self._left,
                self._tap,
                self.counters.read + 1,
            )
            if self._left:
                break
            self._taken.append(self._block)
            self._block = (self._block + 1) % self._blocks
        self.counters.read += row
        return self._view, row

    def waiting_share(self) -> float:
        """Return which part of the blocks holds packets that were not read yet, 0 to 1."""
        ready = int(np.count_nonzero(self._statuses & _READY)) - len(self._taken)
        return max(ready, 0) / self._blocks

    def _take_back_counts(self) -> tuple[int, int, int]:
        """Return what the kernel counted since it was last asked: it begins anew each time."""
        assert self._socket is not None
        answer = self._socket.getsockopt(SOL_PACKET, _STATISTICS, 12)
        received, dropped, freezes = struct.unpack("III", answer)
        return received, dropped, freezes

    def _give_back(self) -> None:
        for block in self._taken:
            self._statuses[block] = 0
        self._taken.clear()

    def count(self) -> RingCounters:
        """Return the counters, the kernel's brought up to date."""
        if self._socket is not None:
            received, dropped, freezes = self._take_back_counts()
            self.counters.received += received
            self.counters.dropped += dropped
            self.counters.freezes += freezes
        return self.counters

    def close(self) -> None:
        """Close the socket and unmap the ring; the counters stay."""
        if self._socket is None:
            return
        self.count()
        self._socket.close()
        self._socket = None
        self._unmap()

    def _unmap(self) -> None:
        """Let go of the mapping; whoever still holds a view of it keeps it alive."""
        self._view = np.zeros(0, np.uint8)
        self._statuses = np.zeros(0, np.uint32)
        self._map = None


def start_together(rings: Sequence[MirrorRing]) -> None:
    """Let packets in to open rings; several on one interface share its packets.

    Both directions between two addresses, and the same packet on two interfaces, go to rings of
    the same place among those of their interface. Nothing is read twice or lost in between:
    packets come in only after the last ring has joined.
    """
    for interface in dict.fromkeys(ring.interface for ring in rings):
        mine = [ring for ring in rings if ring.interface == interface]
        group: int | None = None
        for ring in mine:
            ring.bind()
            if len(mine) > 1:
                group = ring.join(group)
    for ring in rings:
        ring.let_in()
