from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from trapmeter.boxmodel.intervals import MAX_M, MIN_M, Offsets, fit_offsets, to_distances, to_target

NO_OFFSETS = Offsets(0.0, 0.0, 0.0, 0.0)


@given(arrays(np.float64, (5, 3), elements=st.floats(-20, 20)), st.floats(-3, 3))
def test_low_point_high_are_ordered_and_sane_whatever_the_trees_say(raw, offset):
    offsets = Offsets(offset, -offset, offset, offset)
    for answer in to_distances(raw, np.array([True, False, True, False, True]), offsets):
        assert 0.0 <= answer.low_m <= answer.distance_m <= answer.high_m <= MAX_M
        assert answer.distance_m >= MIN_M


def test_offsets_belong_to_rows_with_or_without_box():
    raw = np.log1p(np.array([[5.0, 4.0, 6.0], [5.0, 4.0, 6.0]]))
    boxed, unboxed = to_distances(raw, np.array([True, False]), Offsets(0.0, 0.0, np.log(2.0), np.log(2.0)))
    assert (boxed.low_m, boxed.high_m) == pytest.approx((4.0, 6.0))
    assert (unboxed.low_m, unboxed.high_m) == pytest.approx((1.5, 13.0))


def test_fitted_offsets_leave_a_twentieth_beyond_each_end():
    rng = np.random.default_rng(3)
    truth = to_target(rng.uniform(1, 20, 4000))
    raw = np.stack([truth, truth, truth], axis=1) + rng.normal(0, [0, 0.3, 0.1], (4000, 3))
    is_boxed = rng.uniform(size=4000) < 0.8
    offsets = fit_offsets(raw, truth, is_boxed)
    for rows, low_by, high_by in (
        (is_boxed, offsets.boxed_low, offsets.boxed_high),
        (~is_boxed, offsets.unboxed_low, offsets.unboxed_high),
    ):
        assert np.mean(truth[rows] < raw[rows, 1] - low_by) == pytest.approx(0.05, abs=0.002)
        assert np.mean(truth[rows] > raw[rows, 2] + high_by) == pytest.approx(0.05, abs=0.002)


def test_too_wide_intervals_are_narrowed():
    truth = np.linspace(1.0, 2.0, 100)
    raw = np.stack([truth, truth - 1.0, truth + 1.0], axis=1)
    offsets = fit_offsets(raw, truth, np.ones(100, bool))
    assert offsets == Offsets(pytest.approx(-1.0), pytest.approx(-1.0), 0.0, 0.0)


def test_few_rows_take_the_worst_of_them():
    offsets = fit_offsets(np.array([[0.0, 0.3, 0.0], [0.0, 0.5, 0.0]]), np.zeros(2), np.ones(2, bool))
    assert (offsets.boxed_low, offsets.boxed_high) == (0.5, 0.0)
    assert fit_offsets(np.zeros((0, 3)), np.zeros(0), np.zeros(0, bool)) == NO_OFFSETS
