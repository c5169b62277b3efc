from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from trapmeter.boxmodel.intervals import MIN_M, fit_box_uncertainty, to_distances
from trapmeter.uncertainty import MAX_M


def world(n: int = 3000, seed: int = 3):
    """Trees that are drawn to the middle, as real ones are: answers, truths and sites."""
    rng = np.random.default_rng(seed)
    truth = rng.uniform(1, 20, n)
    point = 1.0 + 0.5 * np.log1p(truth) + rng.normal(0, 0.15, n)
    raw = np.stack([point, point - 0.4, point + 0.6], axis=1)
    return raw, truth, [f"s{i % 40}" for i in range(n)]


UNCERTAINTY = fit_box_uncertainty(*world())


@settings(deadline=None)
@given(arrays(np.float64, (5, 3), elements=st.floats(-20, 20)))
def test_whatever_the_trees_say_a_distance_is_ordered_and_sane(raw):
    for answer in to_distances(raw, UNCERTAINTY):
        assert 0.0 <= answer.low_m <= answer.distance_m <= answer.high_m
        assert MIN_M - 1e-9 <= answer.distance_m <= MAX_M + 1e-9
        assert len(answer.draws_m) == 10


def test_a_wider_spread_of_the_trees_gives_a_wider_interval():
    narrow, wide = to_distances(np.log1p([[6.0, 5.0, 7.0], [6.0, 3.0, 12.0]]), UNCERTAINTY)
    assert wide.low_m < narrow.low_m
    assert wide.high_m > narrow.high_m
