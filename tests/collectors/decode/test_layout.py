"""The slots of a row and the table of RDMA opcodes."""

import pytest

from fabricscope.collectors.decode import layout
from reference.decode_rdma import SIZES, extension_headers


def test_slots_do_not_overlap() -> None:
    names = list(vars(layout))
    names = names[names.index("START") : names.index("SCRATCH_SIZE")]
    values = [getattr(layout, name) for name in names]
    assert values == [layout.BLOCK_ROWS * at for at in range(len(names))]
    assert layout.BLOCK_ROWS * len(names) == layout.SCRATCH_SIZE


@pytest.mark.parametrize("opcode", range(256))
def test_opcode_table(opcode: int) -> None:
    headers = extension_headers(opcode)
    assert (layout.BTH_LAYOUT[opcode] != 0) == (headers is not None)
    assert layout.BTH_EXTENSION_SIZE[opcode] == sum(SIZES[each] for each in headers or "")


def test_mac_marker_has_the_bits_of_the_declared_one() -> None:
    assert layout.MAC_HI % (1 << 64) == layout.records.MAC_ADDRESS_HI
