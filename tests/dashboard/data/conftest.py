"""A store with a minute of a small fabric's samples."""

import pytest
from fabric_samples import SECOND_NS, fill

from fabricscope.store import DeltaStore
from fabricscope.topology.builders import build
from fabricscope.topology.fabric import Fabric

END_NS = 1_700_000_000 * SECOND_NS


@pytest.fixture(scope="session")
def fabric() -> Fabric:
    return build("leaf-spine:2x2x2@100G")


@pytest.fixture(scope="session")
def store(fabric: Fabric, tmp_path_factory: pytest.TempPathFactory) -> DeltaStore:
    store = DeltaStore(tmp_path_factory.mktemp("store"))
    fill(store, fabric, END_NS, 60)
    return store
