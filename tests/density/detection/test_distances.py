from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trapmeter.density.detection.distances import BinnedDistances, ExactDistances, bin_distances, truncate
from trapmeter.errors import InputError


@pytest.mark.parametrize(
    ("distance_m", "counts", "n_outside"),
    [
        ([2.0], [1, 0], 0),
        ([3.0, 3.001], [1, 1], 0),
        ([5.0, 2.0], [1, 1], 0),
        ([1.999, 2.0, 5.001], [1, 0], 2),
    ],
)
def test_a_bin_includes_its_upper_edge_and_the_first_bin_both_edges_as_in_r(distance_m, counts, n_outside):
    binned = bin_distances(distance_m, [2, 3, 5])
    assert binned.counts.tolist() == counts
    assert (binned.left_m, binned.right_m, binned.n, binned.n_outside) == (2, 5, sum(counts), n_outside)


def test_truncation_keeps_both_ends():
    kept = truncate([1.9, 2.0, 4.0, 5.0, 5.1], left_m=2, right_m=5, weights=[1, 0.5, 0.25, 1, 1])
    assert kept.distance_m.tolist() == [2, 4, 5]
    assert kept.weights.tolist() == [0.5, 0.25, 1]
    assert (kept.n, kept.n_outside) == (1.75, 2)


@given(st.lists(st.floats(0, 30), min_size=1, max_size=40), st.integers(0, 99))
def test_every_observation_is_counted_inside_or_outside(distance_m, seed):
    weights = np.random.default_rng(seed).uniform(0.01, 1, len(distance_m))
    binned = bin_distances([*distance_m, 4.0], [2, 3, 5, 11], [*weights, 1.0])
    inside = [2 <= r <= 11 for r in distance_m]
    assert binned.n == pytest.approx(1 + weights[inside].sum())
    assert binned.n_outside == inside.count(False)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: bin_distances([], [0, 5]), r"no detection between 0 and 5 m \(0 outside\)"),
        (lambda: bin_distances([9.0, 12.0], [0, 5]), r"no detection between 0 and 5 m \(2 outside\)"),
        (lambda: truncate([], right_m=5), r"no detection between 0 and 5 m \(0 outside\)"),
        (lambda: truncate([9.0], right_m=5), r"no detection between 0 and 5 m \(1 outside\)"),
        (lambda: bin_distances([-1.0, 3.0], [0, 5]), "distances in metres >= 0, got 1 others, such as -1"),
        (lambda: truncate([3.0, math.nan], right_m=5), "distances in metres >= 0, got 1 others, such as nan"),
        (lambda: truncate([[3.0]], right_m=5), "a list of distances"),
        (lambda: truncate([3.0], right_m=5, weights=[0.5, 0.5]), "a weight for each"),
        (lambda: truncate([3.0], right_m=5, weights=[0.0]), "weights above 0"),
        (lambda: truncate([3.0], left_m=5, right_m=5), "left < right"),
        (lambda: truncate([3.0], left_m=-1, right_m=5), "0 <= left"),
        (lambda: bin_distances([3.0], [5]), "at least two rising cutpoints"),
        (lambda: bin_distances([3.0], [0, 5, 4]), "at least two rising cutpoints"),
        (lambda: bin_distances([3.0], [-1, 5]), "0 <= left < right"),
        (lambda: bin_distances([3.0], [2, 5], left_m=1), "run from 2 to 5 m, but the truncation is at 1 and 5 m"),
        (lambda: bin_distances([3.0], [2, 5], right_m=8), "run from 2 to 5 m, but the truncation is at 2 and 8 m"),
        (lambda: ExactDistances(np.array([3.0, 9.0]), np.ones(2), 0, 5), "1 outside, such as 9 m"),
        (lambda: BinnedDistances(np.array([0.0, 1.0]), np.ones(2)), "a count for each of the 1 bins"),
        (lambda: BinnedDistances(np.array([0.0, 1.0]), -np.ones(1)), "counts >= 0"),
        (lambda: BinnedDistances(np.array([0.0, 1.0]), np.zeros(1)), "no detection between"),
    ],
)
def test_invalid_distances_are_refused(make, message):
    with pytest.raises(InputError, match=message):
        make()


def test_distances_of_0_m_are_binned():
    assert bin_distances([0.0, 3.0], [0, 2, 5]).counts.tolist() == [1, 1]
