"""The state arrays: sizes, and that constants name distinct columns."""

import numpy as np

from fabricscope.analyzers.iwarp import layout as at


def test_every_stream_column_has_one_name() -> None:
    names = list(vars(at))
    first, last = names.index("PHASE"), names.index("STREAM_FIELDS")
    columns = [vars(at)[name] for name in names[first:last]]
    assert columns == list(range(at.STREAM_FIELDS))


def test_state_starts_empty() -> None:
    state = at.allocate_state(5)
    assert state.log.shape == (5, len(at.LOG_FIELDS))
    assert state.totals[at.TOTAL_FREE] == len(state.free) == at.MAX_CONNECTIONS
    assert (state.held[:, at.HELD_STREAM] == -1).all()
    assert np.shares_memory(state.held_bytes, state.held_view)
    assert not state.held_view.flags.writeable
