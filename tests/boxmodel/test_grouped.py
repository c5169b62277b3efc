from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trapmeter.boxmodel import grouped

NAN = float("nan")


def ints(*values):
    return np.array(values, dtype=np.int64)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], [NAN, NAN, NAN]),
        ([NAN], [NAN, NAN, NAN]),
        ([4.0], [4.0, 4.0, 4.0]),
        ([4.0, NAN], [4.0, 4.0, 4.0]),
        ([1.0, 3.0], [1.0, 2.0, 3.0]),
        ([3.0, 1.0, 2.0], [1.0, 2.0, 3.0]),
    ],
)
def test_quantiles_of_one_group_interpolate_and_leave_out_nan(values, expected):
    n = len(values)
    found = grouped.quantiles(ints(*[0] * n), np.array(values), ints(*[1] * n), 1, (0.0, 0.5, 1.0))
    np.testing.assert_allclose(found[0], expected)


def test_quantiles_follow_the_weights():
    found = grouped.quantiles(ints(0, 0, 0), np.array([1.0, 2.0, 9.0]), ints(1, 1, 98), 1, (0.5,))
    assert found[0, 0] == pytest.approx(9.0, abs=0.2)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(-5, 5)), min_size=1, max_size=30))
def test_quantiles_of_a_group_do_not_depend_on_other_groups(rows):
    group, value = ints(*[g for g, _ in rows]), np.array([float(v) for _, v in rows])
    levels = (0.0, 0.05, 0.5, 0.95, 1.0)
    found = grouped.quantiles(group, value, np.ones_like(group), 4, levels)
    for g in range(4):
        of_group = value[group == g]
        if len(of_group):
            np.testing.assert_allclose(found[g], np.quantile(of_group, levels, method="hazen"), atol=1e-12)
        else:
            assert np.isnan(found[g]).all()


def test_equal_values_share_their_mean_rank():
    found = grouped.ranks(ints(0, 0, 0, 0, 1), np.array([5.0, 1.0, 5.0, NAN, 7.0]), 2)
    np.testing.assert_allclose(found, [2 / 3, 1 / 6, 2 / 3, NAN, 0.5])


def test_means_leave_out_nan_and_are_nan_for_empty_groups():
    found = grouped.means(ints(0, 0, 0), np.array([1.0, 3.0, NAN]), np.array([1.0, 3.0, 9.0]), 2)
    np.testing.assert_allclose(found, [2.5, NAN])


def test_a_line_has_the_prior_slope_without_spread_and_the_values_slope_with_it():
    x = np.concatenate([[0.5, 0.5], np.linspace(0, 1, 50)])
    y = np.concatenate([[0.1, 0.3], 2 * np.linspace(0, 1, 50)])
    group = ints(*[0] * 2, *[1] * 50)
    mean_x, mean_y, slope = grouped.line(group, x, y, np.ones(52), 3, 0.8, 0.005)
    assert (mean_x[0], mean_y[0], slope[0]) == pytest.approx((0.5, 0.2, 0.8))
    assert slope[1] == pytest.approx(2.0, abs=0.1)
    assert np.isnan([mean_x[2], mean_y[2], slope[2]]).all()


def test_equal_shares_give_every_owner_the_same_weight():
    shares = grouped.equal_shares(ints(0, 0, 0, 1), np.array([1.0, 1.0, 1.0, 1.0]))
    assert shares[:3].sum() == shares[3] == grouped.WEIGHT_UNITS
