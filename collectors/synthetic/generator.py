"""The wiring: recipe, plan, simulation, taps, files and truth, in this order."""

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from fabricscope.collectors.synthetic.background import build_static, connection_manager_flows
from fabricscope.collectors.synthetic.recipe import Recipe
from fabricscope.collectors.synthetic.simulation import build_plan, build_simulation, simulate
from fabricscope.collectors.synthetic.taps.recorder import Recorder
from fabricscope.collectors.synthetic.truth import Truth, build_truth, dump_truth
from fabricscope.collectors.synthetic.writer import FrameEncoder, PcapWriter
from fabricscope.errors import RecipeError

Progress = Callable[[int, int], None]


def capture_paths(recipe: Recipe, out_path: str) -> tuple[list[Path], Path]:
    """Return the capture file of each tap and the truth file."""
    out = Path(out_path)
    suffix = ".pcap.gz" if out.name.endswith(".pcap.gz") else out.suffix
    stem = out.name[: len(out.name) - len(suffix)] if suffix else out.name
    taps = recipe.capture.taps
    if len(taps) == 1:
        captures = [out]
    else:
        captures = [out.with_name(f"{stem}.{tap.name}{suffix or '.pcap'}") for tap in taps]
    return captures, out.with_name(f"{stem}.truth.json")


def generate_recipe(recipe: Recipe, out_path: str, progress: Progress | None = None) -> Truth:
    """Write the captures and the truth of a recipe that was already checked."""
    plan, workload_of_flow = build_plan(recipe)
    cm_flows = connection_manager_flows(recipe, plan)
    workload_of_flow = workload_of_flow + [-1] * (len(plan.flows) - len(workload_of_flow))
    if not plan.flows:
        # Pause frames and background flows need no queue pair, but the tables need a row.
        plan.connect(0, 1, -1)
        workload_of_flow = [-1, -1]
    sim = build_simulation(recipe, plan, workload_of_flow)
    static = build_static(recipe, plan, sim.flows, cm_flows, workload_of_flow)
    encoder = FrameEncoder(recipe, sim.flows, static.templates, static.payloads)
    captures, truth_file = capture_paths(recipe, out_path)
    recorders = [
        Recorder(recipe, number, sim, static, plan.spans) for number in range(len(captures))
    ]
    expected = (sum(flow.packets + flow.tasks for flow in plan.flows) + len(static.rows)) * len(
        recorders
    )
    try:
        with ExitStack() as stack:
            writers = [stack.enter_context(PcapWriter(path, encoder)) for path in captures]
            for rows, until_ns in simulate(sim):
                for recorder, writer in zip(recorders, writers, strict=True):
                    own = rows if len(recorders) == 1 else rows[rows["tap"] == recorder.number]
                    recorder.feed(own, until_ns, writer)
                if progress is not None:
                    done = sum(recorder.recording.packets for recorder in recorders)
                    progress(done, max(done, expected))
        content = build_truth(recipe, plan, sim, static, recorders, captures)
        truth_file.write_text(dump_truth(content), encoding="utf-8")
    except OSError as error:
        raise RecipeError(
            f"Output {error.filename or out_path} cannot be written: {error.strerror}; choose "
            "another path."
        ) from error
    packets = int(np.sum([recorder.recording.packets for recorder in recorders]))
    return Truth(captures, truth_file, packets, content)
