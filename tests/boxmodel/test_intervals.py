from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from trapmeter.boxmodel.intervals import MIN_M, fit_box_uncertainty, to_distances
from trapmeter.uncertainty import MAX_M


def held_out_rows(n: int = 3000, seed: int = 3):
    """Raw predictions that are shrunk towards the mean, as real ones are; true distances; sites."""
    rng = np.random.default_rng(seed)
    truth = rng.uniform(1, 20, n)
    point = 1.0 + 0.5 * np.log1p(truth) + rng.normal(0, 0.15, n)
    raw = np.stack([point, point - 0.4, point + 0.6], axis=1)
    return raw, truth, [f"s{i % 40}" for i in range(n)]


UNCERTAINTY = fit_box_uncertainty(*held_out_rows())


@settings(deadline=None)
@given(arrays(np.float64, (5, 3), elements=st.floats(-20, 20)))
def test_any_raw_prediction_gives_an_ordered_distance_within_limits(raw):
    for distance in to_distances(raw, UNCERTAINTY):
        assert 0.0 <= distance.low_m <= distance.distance_m <= distance.high_m
        assert MIN_M - 1e-9 <= distance.distance_m <= MAX_M + 1e-9
        assert len(distance.draws_m) == 10


def test_a_wider_raw_interval_gives_a_wider_interval():
    narrow, wide = to_distances(np.log1p([[6.0, 5.0, 7.0], [6.0, 3.0, 12.0]]), UNCERTAINTY)
    assert wide.low_m < narrow.low_m
    assert wide.high_m > narrow.high_m
