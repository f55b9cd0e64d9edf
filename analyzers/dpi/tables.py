"""The arrays of compiled signatures, and their form in a file.

Nothing is compiled here: who has the arrays needs neither the signature files nor their parser.
"""

import io
import zipfile
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

UNKNOWN: Final = 0
"""Application index of a flow that no signature has named."""


class ConditionTables(NamedTuple):
    """The conditions, apart because the kernels that evaluate one take nothing else.

    - checks int64[n, 21]: what, optional, position (offset, kind, base, scale), number kind,
      mask, scale, bias, range start, range stop, alternative start, alternative stop, window,
      other side, other position offset, kind, base, scale, other number kind (see
      `compiler`)
    - ranges int64[m, 2]: both ends included
    - alternatives int64[k, 3]: first byte and length in `pattern_bytes`, fold
    - pattern_bytes, pattern_masks uint8
    """

    checks: NDArray[np.int64]
    ranges: NDArray[np.int64]
    alternatives: NDArray[np.int64]
    pattern_bytes: NDArray[np.uint8]
    pattern_masks: NDArray[np.uint8]


class SignatureTables(NamedTuple):
    """What the matching kernel reads.

    - conditions: see there
    - rules int64[r, 14]: application, payload checks start and stop, reply checks start and stop,
      require_reply, port_required, confidence and agreed confidence in thousandths, transport;
      then what the first 8 bytes must be in any case (mask and value, first byte highest) and the
      least and greatest payload length: most rules end there
    - bucket_start int32[transports x 256 + 1], bucket_rules int32: rules by transport and first
      byte, the most confident first
    - port_start int32[applications x 2 + 1], port_list int32: tcp and udp ports of each
    - port_application uint16[2, 65536]: the one to guess from a tcp or udp port
    - decoded_application, ip_application uint16: by index into PROTOCOLS, by IP protocol
    - ethertype_application uint16[65536]
    - collect, watch, gives_way uint8: by application
    """

    conditions: ConditionTables
    rules: NDArray[np.int64]
    bucket_start: NDArray[np.int32]
    bucket_rules: NDArray[np.int32]
    port_start: NDArray[np.int32]
    port_list: NDArray[np.int32]
    port_application: NDArray[np.uint16]
    decoded_application: NDArray[np.uint16]
    ip_application: NDArray[np.uint16]
    ethertype_application: NDArray[np.uint16]
    collect: NDArray[np.uint8]
    watch: NDArray[np.uint8]
    gives_way: NDArray[np.uint8]


@dataclass(frozen=True)
class CompiledSignatures:
    """The names of the catalogue and its tables; application i is `names[i - 1]`, 0 is unknown."""

    names: tuple[str, ...]
    tables: SignatureTables

    def name(self, application: int) -> str:
        """Return the protocol name of an application index; "" for unknown."""
        return self.names[application - 1] if application else ""

    def index(self, name: str) -> int:
        """Return the application index of a protocol name; 0 if the catalogue has none."""
        return self.names.index(name) + 1 if name in self.names else UNKNOWN

    def ports(self, application: int, transport: int) -> NDArray[np.int32]:
        """Return the ports that an application claims, transport 0 for TCP and 1 for UDP."""
        entry = (application - 1) * 2 + transport
        start, stop = self.tables.port_start[entry : entry + 2]
        return self.tables.port_list[start:stop]


def pack_signatures(signatures: CompiledSignatures, key: str) -> bytes:
    """Return names and tables as the bytes of an .npz file that carries `key`."""
    tables = signatures.tables._asdict()
    conditions = tables.pop("conditions")._asdict()
    stream = io.BytesIO()
    np.savez(
        stream,
        allow_pickle=False,
        key=np.array(key),
        names=np.array(signatures.names),
        **tables,
        **conditions,
    )
    return stream.getvalue()


def unpack_signatures(data: bytes, key: str) -> CompiledSignatures | None:
    """Return what `pack_signatures` packed under `key`; None for damaged or other bytes."""
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            if str(arrays["key"]) != key:
                return None
            conditions = ConditionTables(*(arrays[name] for name in ConditionTables._fields))
            return CompiledSignatures(
                tuple(arrays["names"].tolist()),
                SignatureTables(
                    conditions, *(arrays[name] for name in SignatureTables._fields[1:])
                ),
            )
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
