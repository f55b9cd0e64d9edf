import numpy as np

from fabricscope.analyzers.links.health import PENALTIES, score_links


def test_a_quiet_link_is_healthy() -> None:
    score, reasons = score_links({penalty.metric: np.zeros(3) for penalty in PENALTIES})
    assert score.tolist() == [100, 100, 100]
    assert reasons == []


def test_each_trouble_costs_more_the_worse_it_is() -> None:
    for penalty in PENALTIES:
        values = np.array([np.nan, penalty.begin * 0.99, penalty.begin, penalty.full, 1e9])
        score, reasons = score_links({penalty.metric: values})
        assert score[0] == score[1] == 100
        assert score[2] == 100 - penalty.least
        assert score[3] == score[4] == 100 - penalty.most
        assert [reason.row for reason in reasons] == [2, 3, 4]
        assert all(reason.metric == penalty.metric and reason.action for reason in reasons)


def test_the_score_ends_at_zero_and_names_the_worst_first() -> None:
    score, reasons = score_links(
        {"flaps": np.array([5.0]), "loss_ratio": np.array([0.5]), "ecn_ratio": np.array([0.02])}
    )
    assert score.tolist() == [0]
    assert [reason.metric for reason in reasons] == ["flaps", "loss_ratio", "ecn_ratio"]
    assert reasons[0].text == "went down 5 times"
