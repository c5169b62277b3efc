"""Errors of near and far animals."""

import pytest

from trapmeter.demo.scores import score, score_constant
from trapmeter.records import Box, Distance, Estimate, Observation, Status
from trapmeter.tables.truth import TruthRow

BOX, ELSEWHERE = Box(0.1, 0.1, 0.3, 0.5, 0.9), Box(0.6, 0.6, 0.9, 0.9, 0.9)


def measured(time_s: float, metres: float, box: Box = BOX) -> Estimate:
    observation = Observation("a.mp4", time_s, box, animal_id=1)
    return Estimate(observation, Status.MEASURED, Distance(metres, metres - 1.5, metres + 1.5), model_id="m")


ESTIMATES = [measured(0.0, 4.0), measured(1.0, 5.0), measured(2.0, 9.0)]
TRUTH = [TruthRow("a.mp4", 0.0, 3.0, BOX), TruthRow("a.mp4", 1.0, 5.0, BOX), TruthRow("a.mp4", 2.0, 12.0, BOX)]


def test_near_and_far_animals_have_errors_and_coverage_of_their_own() -> None:
    scores = score(ESTIMATES, TRUTH)
    assert scores.all is not None and scores.near is not None and scores.far is not None
    assert (scores.all.n, scores.near.n, scores.far.n) == (3, 2, 1)
    assert scores.all.mae_m == pytest.approx(4 / 3)
    assert scores.near.mae_m == pytest.approx(0.5)
    assert scores.far.mae_m == pytest.approx(3.0)
    assert scores.all.coverage == pytest.approx(2 / 3)


def test_an_animal_at_six_metres_is_far() -> None:
    scores = score([measured(0.0, 4.0)], [TruthRow("a.mp4", 0.0, 6.0, BOX)])
    assert scores.near is None
    assert scores.far is not None


def test_unmatched_boxes_and_animals_do_not_count() -> None:
    scores = score([*ESTIMATES[:1], measured(1.0, 9.0, ELSEWHERE)], TRUTH)
    assert scores.all is not None
    assert (scores.all.n, scores.all.mae_m) == (1, 1.0)


def test_a_constant_is_scored_on_the_measured_animals() -> None:
    scores = score_constant(5.0, ESTIMATES[1:], TRUTH)
    assert scores.all is not None
    assert (scores.all.n, scores.all.mae_m) == (2, 3.5)
