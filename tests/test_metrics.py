"""Errors, coverage, bootstrap intervals and distance bands."""

from __future__ import annotations

import numpy as np
import pytest

from trapmeter.errors import InputError
from trapmeter.metrics import bias, bootstrap_interval, by_band, coverage, mae, mean_width, median_baseline_mae


@pytest.mark.parametrize(
    "call",
    [
        lambda: mae([], []),
        lambda: bias([], []),
        lambda: coverage([], [], []),
        lambda: mean_width([], []),
        lambda: median_baseline_mae([]),
        lambda: by_band([], [0, 1]),
        lambda: bootstrap_interval([], []),
    ],
)
def test_empty_input_is_refused(call):
    with pytest.raises(InputError, match=r"0 rows|got none"):
        call()


@pytest.mark.parametrize(
    "call", [lambda: mae([1.0], [1.0, 2.0]), lambda: bias([[1.0]], [[1.0]]), lambda: mae(1.0, 1.0)]
)
def test_shapes_must_fit(call):
    with pytest.raises(ValueError, match="one-dimensional arrays of one length"):
        call()


def test_errors_and_intervals():
    assert mae([1, 4], [2, 2]) == 1.5
    assert bias([1, 4], [2, 2]) == 0.5
    assert coverage([0, 2, 3], [1, 3, 4], [1, 2, 5]) == pytest.approx(2 / 3)
    assert mean_width([0, 2], [1, 5]) == 2.0
    assert median_baseline_mae([1, 2, 9]) == pytest.approx(8 / 3)


def test_bootstrap_draws_whole_groups():
    values = np.repeat([0.0, 1.0, 2.0, 3.0], 50)
    sites = np.repeat(list("abcd"), 50).tolist()
    low, high = bootstrap_interval(values, sites)
    assert (low, high) == bootstrap_interval(values, sites)
    assert (low, high) != bootstrap_interval(values, sites, seed=1, draws=999)
    by_row = bootstrap_interval(values, range(len(values)))
    assert low < by_row[0] < 1.5 < by_row[1] < high
    narrow = bootstrap_interval(values, sites, level=0.5)
    assert low <= narrow[0] <= narrow[1] <= high


def test_bootstrap_intervals_have_the_stated_coverage():
    rng = np.random.default_rng(0)
    hits = 0
    for seed in range(200):
        sites = np.repeat(np.arange(30), 5)
        values = np.repeat(rng.normal(size=30), 5) + 0.1 * rng.normal(size=150)
        low, high = bootstrap_interval(values, sites.tolist(), draws=200, level=0.9, seed=seed)
        hits += low <= 0.0 <= high
    assert 0.82 <= hits / 200 <= 0.96


def test_bootstrap_takes_statistics_of_several_columns():
    pairs = np.array([[1.0, 2.0], [3.0, 3.0], [5.0, 2.0]])
    low, high = bootstrap_interval(pairs, ["a", "b", "c"], statistic=lambda rows: mae(rows[:, 0], rows[:, 1]))
    assert (low, high) == (0.0, 3.0)


def test_bootstrap_refuses_invalid_input():
    with pytest.raises(InputError, match="at least 2 groups"):
        bootstrap_interval([1.0, 2.0], ["a", "a"])
    with pytest.raises(ValueError, match="one group per value"):
        bootstrap_interval([1.0, 2.0], ["a"])
    with pytest.raises(ValueError, match="0 < level < 1"):
        bootstrap_interval([1.0, 2.0], ["a", "b"], level=95)


def test_bands_are_half_open_and_contain_every_element():
    bands = by_band([0.0, 4.9, 5.0, 30.0], [0, 5, 10, 20, np.inf])
    assert [band.index.tolist() for band in bands] == [[0, 1], [2], [], [3]]
    assert (bands[0].low_m, bands[-1].high_m) == (0.0, np.inf)


@pytest.mark.parametrize(
    ("truth", "edges", "message"),
    [
        ([5.0], [0, 5], "1 distances lie outside"),
        ([np.nan], [0, 5], "1 distances lie outside"),
        ([1.0], [0], "rising edges"),
        ([1.0], [0, 5, 5], "rising edges"),
    ],
)
def test_invalid_bands_are_refused(truth, edges, message):
    with pytest.raises(ValueError, match=message):
        by_band(truth, edges)
