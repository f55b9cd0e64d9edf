"""Types of what the kernels walk over: the bytes at hand, and the record columns they fill."""

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Times = NDArray[np.int64]
Offsets = NDArray[np.int64]
Lengths = NDArray[np.uint32]
Numbers = NDArray[np.uint16]
State = NDArray[np.int64]
