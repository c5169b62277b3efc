"""Boxes of something else are left out of means, and recognised."""

from __future__ import annotations

import numpy as np
import pytest

from trapmeter.boxmodel.features import FEATURES, features
from trapmeter.records import Box, Observation


def named(observations):
    return dict(zip(FEATURES, features(observations).T, strict=True))


def box(x: float, bottom: float, height: float, score: float = 0.8) -> Box:
    return Box(x - 0.05, bottom - height, x + 0.05, bottom, score)


def track(n: int = 7, wrong: int = 3) -> list[Observation]:
    """An animal that stands still, with a box of something else in one second."""
    boxes = [box(0.5, 0.8, 0.3) for _ in range(n)]
    boxes[wrong] = box(0.1, 0.4, 0.05)
    return [Observation("a", float(t), b, 1) for t, b in enumerate(boxes)]


def test_a_box_of_something_else_is_left_out_and_stands_out():
    values = named(track())
    assert np.exp(values["robust3_log_h"][3]) == pytest.approx(0.3, rel=0.03)
    assert values["robust3_y2"][3] == pytest.approx(0.8, abs=0.01)
    assert values["robust3_agreement"][3] < 0.1
    assert values["robust3_agreement"][0] > 0.8
    # The mean that knows nothing of it is drawn away.
    assert np.exp(values["sure6_log_h"][3]) < 0.27


def test_a_second_without_a_box_takes_its_neighbours():
    rows = [*track(), Observation("a", 7.0, None, 1)]
    values = named(rows)
    assert np.exp(values["robust3_log_h"][7]) == pytest.approx(0.3, rel=0.03)
    assert np.isnan(values["robust3_agreement"][7])


def test_a_lone_box_is_its_own_mean():
    values = named([Observation("a", 0.0, box(0.5, 0.8, 0.3), 1)])
    assert np.exp(values["robust3_log_h"][0]) == pytest.approx(0.3)
    assert values["robust3_agreement"][0] == pytest.approx(0.5)


def test_a_box_that_recurs_in_other_media_is_recognised():
    stone, animal = box(0.2, 0.5, 0.1), box(0.6, 0.8, 0.3)
    rows = [Observation(name, 0.0, stone, 1, "s") for name in "abc"]
    rows += [Observation("d", 0.0, animal, 1, "s"), Observation("d", 1.0, animal, 1, "s")]
    values = named(rows)
    assert values["repeated_elsewhere"].tolist() == pytest.approx([2 / 3] * 3 + [0, 0])
    assert values["repeated_here"][3:].tolist() == [1.0, 1.0]
    assert np.isnan(values["repeated_here"][0])


def test_a_lone_medium_says_nothing_about_others():
    assert np.isnan(named(track())["repeated_elsewhere"]).all()
