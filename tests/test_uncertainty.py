"""Intervals that cover the truth at each distance, and draws with the spread of the truth."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from trapmeter.errors import InputError
from trapmeter.uncertainty import (
    DRAW_LEVELS,
    GRID,
    MAX_M,
    Uncertainty,
    fit_uncertainty,
    mean_uncertainty,
    unmeasured_distance,
)


def shrunken_predictions(n: int, seed: int, sites: int = 60):
    """Predictions of a model trained for the least mean error: drawn to the middle, with an error for each site."""
    rng = np.random.default_rng(seed)
    truth = np.clip(rng.gamma(3.0, 2.3, n), 0.6, 25.0)
    site = rng.integers(0, sites, n)
    point = 0.9 + 0.5 * np.log1p(truth) + rng.normal(0, 0.08, sites)[site] + rng.normal(0, 0.15, n)
    return point, truth, [f"{seed}-{s}" for s in site]


LEARNT = fit_uncertainty(*shrunken_predictions(8000, 0))


def test_intervals_cover_nine_of_ten_truths_at_every_distance() -> None:
    point, truth, _ = shrunken_predictions(8000, 1)
    distances = LEARNT.distances(point)
    inside = np.array([d.low_m <= t <= d.high_m for d, t in zip(distances, truth, strict=True)])
    assert inside.mean() == pytest.approx(0.9, abs=0.02)
    for low, high in pairwise((0, 2, 4, 6, 10, 15, 26)):
        band = (truth >= low) & (truth < high)
        assert inside[band].mean() > 0.85, (low, high, band.sum())


def test_intervals_of_constant_width_would_fail_at_the_ends() -> None:
    # The reason for the belt: with the same offsets everywhere, far animals lie outside.
    point, truth, _ = shrunken_predictions(8000, 1)
    residual = np.log1p(truth) - point
    low, high = np.quantile(residual, [0.05, 0.95])
    far = truth > 15
    assert ((residual >= low) & (residual <= high))[far].mean() < 0.5


def test_draws_have_the_spread_of_the_truth() -> None:
    point, truth, _ = shrunken_predictions(8000, 2)
    distances = LEARNT.distances(point)
    draws = np.array([d.draws_m for d in distances])
    predictions = np.array([d.distance_m for d in distances])
    assert draws.shape == (8000, len(DRAW_LEVELS))
    assert draws.std() == pytest.approx(truth.std(), rel=0.06)
    assert predictions.std() < 0.6 * truth.std()
    for low, high in pairwise((0, 2, 4, 6, 10, 15)):
        share = ((truth >= low) & (truth < high)).mean()
        assert ((draws >= low) & (draws < high)).mean() == pytest.approx(share, abs=0.015)


def test_rounded_labels_are_spread_over_the_distances_that_round_to_them() -> None:
    point, truth, sites = shrunken_predictions(8000, 3)
    rounded = np.where(truth < 8, np.round(truth * 2) / 2, np.round(truth))
    draws = np.array([d.draws_m for d in fit_uncertainty(point, rounded, sites).distances(point)])
    # Without it, a class whose edges are labels would get all or none of the rows at an edge.
    for low, high in pairwise((2, 3, 4, 5, 6, 8, 10, 12)):
        share = ((truth >= low) & (truth < high)).mean()
        assert ((draws >= low) & (draws < high)).mean() == pytest.approx(share, abs=0.015)


@settings(deadline=None, max_examples=50)
@given(arrays(np.float64, 6, elements=st.floats(-5, 9)), arrays(np.float64, 6, elements=st.floats(0.02, 5)))
def test_interval_ends_and_draws_are_always_in_order(point, scale) -> None:
    for distance in LEARNT.distances(point, scale, scale[::-1]):
        assert 0 <= distance.low_m <= distance.distance_m <= distance.high_m
        assert list(distance.draws_m) == sorted(distance.draws_m)


def test_intervals_move_smoothly_with_the_prediction() -> None:
    distances = LEARNT.distances(np.linspace(0.8, 3.0, 400))
    for end in ("low_m", "high_m"):
        steps = np.abs(np.diff([np.log1p(getattr(d, end)) for d in distances]))
        assert steps.max() < 8 * (GRID[1] - GRID[0])


@pytest.mark.parametrize("n", [1, 2, 12, 130])
def test_few_rows_give_valid_intervals(n: int) -> None:
    point, truth, sites = shrunken_predictions(n, 4)
    for distance in fit_uncertainty(point, truth, sites).distances(point):
        assert distance.low_m <= distance.distance_m <= distance.high_m


def test_no_rows_are_refused() -> None:
    with pytest.raises(InputError, match="no held-out row"):
        fit_uncertainty([], [], [])


def test_json_is_lossless() -> None:
    assert Uncertainty.from_json(LEARNT.to_json()) == LEARNT


@pytest.mark.parametrize(
    "change",
    [
        {"belt_low": [1.0]},
        {"node_log": []},
        {"draws_log": [[1.0] * 9]},
        {"belt_high": [float("nan")] * len(GRID)},
        {"belt_high": ["a"] * len(GRID)},
        {"belt_high": None},
    ],
)
def test_malformed_json_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(InputError, match="not the uncertainty of a model"):
        Uncertainty.from_json({**LEARNT.to_json(), **change})


def test_the_uncertainty_of_an_ensemble_lies_between_its_members() -> None:
    other = fit_uncertainty(*shrunken_predictions(8000, 5))
    point = np.log1p([2.0, 5.0, 9.0])
    both = mean_uncertainty([LEARNT, other]).distances(point)
    for mean, first, second in zip(both, LEARNT.distances(point), other.distances(point), strict=True):
        assert min(first.high_m, second.high_m) - 0.5 <= mean.high_m <= max(first.high_m, second.high_m) + 0.5
        assert (
            min(first.draws_m[5], second.draws_m[5]) - 0.1
            <= mean.draws_m[5]
            <= max(first.draws_m[5], second.draws_m[5]) + 0.1
        )
    assert mean_uncertainty([LEARNT]) is LEARNT


def test_a_model_without_measured_errors_gets_the_widest_interval() -> None:
    assert (unmeasured_distance(4.0).low_m, unmeasured_distance(4.0).high_m, unmeasured_distance(4.0).draws_m) == (
        0.0,
        MAX_M,
        (),
    )
    assert "nobody has measured" in unmeasured_distance(4.0).doubt
