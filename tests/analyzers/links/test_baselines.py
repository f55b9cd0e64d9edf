import numpy as np
import pytest

from fabricscope.analyzers.links.baselines import Baselines


def run(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return deviation and drift after each sample of one subject."""
    baselines = Baselines(1, least_spread=0.1)
    subject = np.zeros(1, np.int64)
    judged = [baselines.judge(subject, np.array([value])) for value in values]
    return (
        np.array([one.deviation[0] for one in judged]),
        np.array([one.drift[0] for one in judged]),
    )


def test_an_outlier_stands_out_and_does_not_move_the_usual_value() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(10, 1, 200)
    values[150] = 40
    deviation, drift = run(values)
    assert deviation[150] > 15
    assert np.abs(np.delete(deviation, 150)).max() < 6
    assert not drift.any()


@pytest.mark.parametrize(("slope", "sign"), [(0.02, 1), (-0.02, -1)])
def test_a_slow_decay_is_found_though_no_sample_stands_out(slope: float, sign: int) -> None:
    rng = np.random.default_rng(1)
    steady = rng.normal(10, 1, 600)
    deviation, drift = run(steady)
    assert not drift.any()
    decay = steady + slope * np.maximum(np.arange(600) - 300, 0)
    deviation, drift = run(decay)
    first = int(np.flatnonzero(drift)[0])
    assert 300 < first < 400
    assert drift[first] == sign
    assert (drift[first + 20 :] == sign).all()
    assert np.abs(deviation[:first]).max() < 6


def test_what_recovers_is_called_recovered() -> None:
    rng = np.random.default_rng(2)
    values = rng.normal(10, 1, 600)
    values[300:400] += 3
    _, drift = run(values)
    assert drift[390] == 1
    assert not drift[500:].any()


def test_false_alarms_are_rare() -> None:
    rng = np.random.default_rng(3)
    baselines = Baselines(200, least_spread=0.1)
    subjects = np.arange(200)
    alarms = np.zeros(200, bool)
    for _ in range(600):
        judged = baselines.judge(subjects, rng.normal(5, 1, 200))
        alarms |= judged.drift != 0
    assert alarms.mean() < 0.02


def test_missing_values_are_passed_over() -> None:
    deviation, drift = run(np.full(50, np.nan))
    assert not deviation.any()
    assert not drift.any()


def test_a_number_used_again_begins_anew() -> None:
    baselines = Baselines(2, least_spread=0.1)
    both = np.arange(2)
    for value in np.random.default_rng(1).normal(10, 1, 300):
        baselines.judge(both, np.array([value, value]))
    baselines.forget(np.zeros(1, np.int64))
    judged = baselines.judge(both, np.array([90.0, 90.0]))
    assert np.isnan(judged.usual[0])
    assert judged.deviation[0] == 0 < judged.deviation[1]
