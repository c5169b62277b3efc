"""Intervals that hold at each distance, and draws with the spread of the truth."""

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


def shrunken(n: int, seed: int, sites: int = 60):
    """Answers as a model gives them that is judged by its mean error: drawn to the middle, with noise of each site."""
    rng = np.random.default_rng(seed)
    truth = np.clip(rng.gamma(3.0, 2.3, n), 0.6, 25.0)
    site = rng.integers(0, sites, n)
    point = 0.9 + 0.5 * np.log1p(truth) + rng.normal(0, 0.08, sites)[site] + rng.normal(0, 0.15, n)
    return point, truth, [f"{seed}-{s}" for s in site]


LEARNT = fit_uncertainty(*shrunken(8000, 0))


def test_nine_of_ten_truths_lie_inside_at_every_distance() -> None:
    point, truth, _ = shrunken(8000, 1)
    distances = LEARNT.distances(point)
    inside = np.array([d.low_m <= t <= d.high_m for d, t in zip(distances, truth, strict=True)])
    assert inside.mean() == pytest.approx(0.9, abs=0.02)
    for low, high in pairwise((0, 2, 4, 6, 10, 15, 26)):
        band = (truth >= low) & (truth < high)
        assert inside[band].mean() > 0.85, (low, high, band.sum())


def test_an_interval_around_the_answer_alone_would_fail_at_the_ends() -> None:
    # What the belt is for: with one pair of offsets for all, far animals lie outside.
    point, truth, _ = shrunken(8000, 1)
    residual = np.log1p(truth) - point
    low, high = np.quantile(residual, [0.05, 0.95])
    far = truth > 15
    assert ((residual >= low) & (residual <= high))[far].mean() < 0.5


def test_draws_have_the_spread_of_the_truth() -> None:
    point, truth, _ = shrunken(8000, 2)
    distances = LEARNT.distances(point)
    draws = np.array([d.draws_m for d in distances])
    answers = np.array([d.distance_m for d in distances])
    assert draws.shape == (8000, len(DRAW_LEVELS))
    assert draws.std() == pytest.approx(truth.std(), rel=0.06)
    assert answers.std() < 0.6 * truth.std()
    for low, high in pairwise((0, 2, 4, 6, 10, 15)):
        share = ((truth >= low) & (truth < high)).mean()
        assert ((draws >= low) & (draws < high)).mean() == pytest.approx(share, abs=0.015)


def test_rounded_labels_are_spread_over_what_rounds_to_them() -> None:
    point, truth, sites = shrunken(8000, 3)
    rounded = np.where(truth < 8, np.round(truth * 2) / 2, np.round(truth))
    draws = np.array([d.draws_m for d in fit_uncertainty(point, rounded, sites).distances(point)])
    # Classes whose edges are labels would get all of a heap or nothing of it.
    for low, high in pairwise((2, 3, 4, 5, 6, 8, 10, 12)):
        share = ((truth >= low) & (truth < high)).mean()
        assert ((draws >= low) & (draws < high)).mean() == pytest.approx(share, abs=0.015)


@settings(deadline=None, max_examples=50)
@given(arrays(np.float64, 6, elements=st.floats(-5, 9)), arrays(np.float64, 6, elements=st.floats(0.02, 5)))
def test_whatever_comes_the_order_holds(point, scale) -> None:
    for distance in LEARNT.distances(point, scale, scale[::-1]):
        assert 0 <= distance.low_m <= distance.distance_m <= distance.high_m
        assert list(distance.draws_m) == sorted(distance.draws_m)


def test_intervals_move_smoothly_with_the_answer() -> None:
    distances = LEARNT.distances(np.linspace(0.8, 3.0, 400))
    for end in ("low_m", "high_m"):
        steps = np.abs(np.diff([np.log1p(getattr(d, end)) for d in distances]))
        assert steps.max() < 8 * (GRID[1] - GRID[0])


@pytest.mark.parametrize("n", [1, 2, 12, 130])
def test_few_rows_give_something_that_can_be_used(n: int) -> None:
    point, truth, sites = shrunken(n, 4)
    for distance in fit_uncertainty(point, truth, sites).distances(point):
        assert distance.low_m <= distance.distance_m <= distance.high_m


def test_no_rows_are_refused() -> None:
    with pytest.raises(InputError, match="no held-out row"):
        fit_uncertainty([], [], [])


def test_json_keeps_everything() -> None:
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
def test_something_else_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(InputError, match="not the uncertainty of a model"):
        Uncertainty.from_json({**LEARNT.to_json(), **change})


def test_an_ensembles_is_between_its_members() -> None:
    other = fit_uncertainty(*shrunken(8000, 5))
    point = np.log1p([2.0, 5.0, 9.0])
    both = mean_uncertainty([LEARNT, other]).distances(point)
    for mine, one, two in zip(both, LEARNT.distances(point), other.distances(point), strict=True):
        assert min(one.high_m, two.high_m) - 0.5 <= mine.high_m <= max(one.high_m, two.high_m) + 0.5
        assert min(one.draws_m[5], two.draws_m[5]) - 0.1 <= mine.draws_m[5] <= max(one.draws_m[5], two.draws_m[5]) + 0.1
    assert mean_uncertainty([LEARNT]) is LEARNT


def test_where_nobody_measured_the_errors_anything_is_possible() -> None:
    assert (unmeasured_distance(4.0).low_m, unmeasured_distance(4.0).high_m, unmeasured_distance(4.0).draws_m) == (
        0.0,
        MAX_M,
        (),
    )
    assert "nobody has measured" in unmeasured_distance(4.0).doubt
