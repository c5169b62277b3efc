"""Correction of a site by its labels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trapmeter.calibration.gaussian_process import (
    MAX_ERROR_LOG,
    Covariance,
    Floats,
    SiteRows,
    fit_label_correction,
    make_site_rows,
)
from trapmeter.records import Box, Observation

COVARIANCE = Covariance()
predictions_m = st.lists(st.floats(0.5, 25.0), min_size=1, max_size=12)


def rows(metres: list[float], *, boxed: bool = True) -> SiteRows:
    box = Box(0.4, 0.5, 0.6, 0.8, 0.9) if boxed else None
    observations = [Observation(f"{i}.mp4", 0.0, box, 1, "S1") for i in range(len(metres))]
    return make_site_rows(observations, np.log1p(np.array(metres, np.float64)))


def shift(labelled: SiteRows, errors: Floats, rows_to_correct: SiteRows) -> Floats:
    return fit_label_correction(labelled, labelled.prediction_log + errors, COVARIANCE).shift_log(rows_to_correct)


def test_no_label_means_no_correction() -> None:
    rows_to_correct = rows([1.0, 5.0, 20.0])
    assert shift(rows([]), np.zeros(0), rows_to_correct).tolist() == [0.0, 0.0, 0.0]


@given(predictions_m)
def test_labels_that_agree_with_the_model_change_nothing(metres: list[float]) -> None:
    labelled = rows(metres)
    np.testing.assert_allclose(shift(labelled, np.zeros(len(metres)), rows([2.0, 9.0])), 0.0, atol=1e-12)


@given(st.floats(0.05, MAX_ERROR_LOG), st.sampled_from([-1.0, 1.0]))
def test_more_labels_with_the_same_error_bring_the_correction_nearer_to_it(size: float, sign: float) -> None:
    error, rows_to_correct, before = sign * size, rows([5.0]), 0.0
    for count in (1, 2, 4, 8, 16):
        now = float(shift(rows([5.0] * count), np.full(count, error), rows_to_correct)[0])
        assert before < sign * now < size
        before = sign * now


@given(st.permutations(range(5)))
def test_the_order_of_labels_changes_nothing(order: list[int]) -> None:
    metres, errors = [2.0, 4.0, 4.0, 7.0, 15.0], np.array([0.1, -0.3, 0.2, 0.4, -0.1])
    labelled, rows_to_correct = rows(metres), rows([3.0, 6.0, 12.0])
    index = np.array(order)
    mixed = shift(labelled.take(index), errors[index], rows_to_correct)
    assert mixed.tolist() == shift(labelled, errors, rows_to_correct).tolist()


@given(predictions_m, st.integers(0, 2**32 - 1))
def test_without_boxes_a_greater_prediction_remains_the_greater(metres: list[float], seed: int) -> None:
    errors = np.random.default_rng(seed).normal(0, 0.5, len(metres))
    rows_to_correct = rows(np.linspace(0.3, 30.0, 60).tolist(), boxed=False)
    corrected = rows_to_correct.prediction_log + shift(rows(metres, boxed=False), errors, rows_to_correct)
    assert (np.diff(corrected) >= -1e-9).all()


def test_an_outlier_counts_as_the_largest_error_allowed() -> None:
    labelled, rows_to_correct = rows([5.0]), rows([5.0])
    odd, large = (shift(labelled, np.array([error]), rows_to_correct) for error in (3.0, MAX_ERROR_LOG))
    assert odd == pytest.approx(large)


def test_labels_of_one_video_count_less_than_those_of_many() -> None:
    box = Box(0.4, 0.5, 0.6, 0.8, 0.9)
    prediction_log = np.log1p(np.full(6, 5.0))
    one = make_site_rows([Observation("a.mp4", float(i), box, 1, "S1") for i in range(6)], prediction_log)
    many = make_site_rows([Observation(f"{i}.mp4", 0.0, box, 1, "S1") for i in range(6)], prediction_log)
    rows_to_correct = rows([5.0])
    assert 0 < shift(one, np.full(6, 0.3), rows_to_correct)[0] < shift(many, np.full(6, 0.3), rows_to_correct)[0]


def test_rows_similar_to_the_label_are_corrected_most() -> None:
    near, far = Box(0.4, 0.4, 0.6, 0.95, 0.9), Box(0.4, 0.45, 0.43, 0.5, 0.9)
    labelled = make_site_rows([Observation("a.mp4", 0.0, near, 1, "S1")], np.log1p(np.array([3.0])))
    rows_to_correct = make_site_rows(
        [Observation("b.mp4", 0.0, box, 1, "S1") for box in (near, far)], np.log1p(np.array([3.0, 9.0]))
    )
    similar, different = shift(labelled, np.array([0.4]), rows_to_correct)
    assert similar > different > 0
