"""Whether the simulator's kernels are compiled, which decides what a first run says."""

import os
import subprocess
import sys

from fabricscope.topology.compilation import kernels_are_compiled


def test_uncompiled_kernels_need_no_wait() -> None:
    code = "from fabricscope.topology.compilation import kernels_are_compiled as k; print(k())"
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True
    )
    assert done.stdout == "True\n"


def test_the_answer_is_a_truth_value() -> None:
    assert kernels_are_compiled() in (True, False)
