from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from density.simulated import EDGES, detected_distances, half_normal, hazard_rate
from trapmeter.density.detection.distances import BinnedDistances, bin_distances, truncate
from trapmeter.density.detection.fit import fit_detection
from trapmeter.density.detection.function import (
    KEY_FUNCTIONS,
    Adjustment,
    DetectionFunction,
    detection_function,
    monotonicity_points,
)
from trapmeter.errors import InputError

HALF_NORMAL, HAZARD_RATE = detection_function("half-normal"), detection_function("hazard-rate")


def expected_counts(g, n=1e6):
    """The expected counts of n detections."""
    r = np.linspace(0, EDGES[-1], 240_001)
    cumulative = np.concatenate([[0], np.cumsum((r[1:] * g(r[1:]) + r[:-1] * g(r[:-1])) / 2)])
    return n * np.diff(np.interp(EDGES, r, cumulative)) / cumulative[-1]


def test_a_half_normal_without_truncation_has_its_textbook_estimate():
    # sigma^2 = sum r^2 / 2n if w is far away (Buckland et al. 2001, section 5.2); edr = sigma sqrt(2).
    r = detected_distances(np.random.default_rng(0), 20_000, 60.0, half_normal(4.0))
    fit = fit_detection(HALF_NORMAL, truncate(r, right_m=60))
    assert math.exp(fit.parameters[0]) == pytest.approx(math.sqrt((r**2).sum() / (2 * len(r))), rel=1e-6)
    assert fit.edr_m == pytest.approx(math.exp(fit.parameters[0]) * math.sqrt(2), rel=1e-9)
    # One observation estimates log(sigma) with variance 1/4, and Pa is proportional to sigma squared.
    assert fit.pa_cv == pytest.approx(1 / math.sqrt(len(r)), rel=0.15)


@pytest.mark.parametrize(
    ("function", "g", "parameters"),
    [
        (HALF_NORMAL, half_normal(3.0), [math.log(3)]),
        (HAZARD_RATE, hazard_rate(5.0, 4.0), [math.log(5), math.log(4)]),
        (
            detection_function("uniform", "cosine", 2),
            lambda r: 1 + 0.4 * (np.cos(np.pi * r / 12) - 1) + 0.02 * (np.cos(2 * np.pi * r / 12) - 1),
            [0.4, 0.02],
        ),
        (
            detection_function("half-normal", "cosine", 1),
            lambda r: half_normal(5.0)(r) * (1 - 0.1 * (np.cos(2 * np.pi * r / 12) - 1)),
            [math.log(5), -0.1],
        ),
        (
            detection_function("half-normal", "hermite", 1),
            lambda r: half_normal(5.0)(r) * (1 - 0.2 * ((r / 12) ** 4 - 6 * (r / 12) ** 2)),
            [math.log(5), -0.2],
        ),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_expected_counts_give_back_their_parameters(function, g, parameters):
    fit = fit_detection(function, BinnedDistances(EDGES, expected_counts(g)))
    assert fit.parameters == pytest.approx(parameters, abs=2e-4)
    assert fit.chi_square.statistic == pytest.approx(0, abs=1e-2)
    assert fit.is_converged


@pytest.mark.parametrize(
    ("function", "g"), [(HALF_NORMAL, half_normal(3.0)), (HAZARD_RATE, hazard_rate(4.0, 3.0))], ids=["hn", "hr"]
)
@pytest.mark.parametrize("is_binned", [True, False])
def test_errors_over_simulated_surveys_match_the_standard_error(function, g, is_binned):
    rng = np.random.default_rng(1)
    r = np.linspace(0, 12, 100_001)
    true_pa = 2 / 144 * (r * g(r)).sum() * (r[1] - r[0])
    z = []
    for _ in range(60):
        detected = detected_distances(rng, 4000, 12.0, g)
        fit = fit_detection(function, bin_distances(detected, EDGES) if is_binned else truncate(detected, right_m=12))
        z.append((fit.pa - true_pa) / fit.pa_se)
    assert abs(np.mean(z)) < 0.4
    assert 0.8 < np.std(z) < 1.25


@pytest.mark.parametrize(
    ("function", "g"),
    [
        (HALF_NORMAL, half_normal(3.5)),
        (HAZARD_RATE, hazard_rate(5.0, 3.0)),
        (detection_function("half-normal", "cosine", 1), half_normal(3.5)),
    ],
    ids=["hn", "hr", "cosine"],
)
def test_left_truncation_gives_the_same_function(function, g):
    detected = detected_distances(np.random.default_rng(2), 60_000, 12.0, g)
    whole = fit_detection(function, bin_distances(detected, EDGES))
    cut = fit_detection(function, bin_distances(detected, EDGES[2:]))
    exact = fit_detection(function, truncate(detected, left_m=2, right_m=12))
    assert cut.left_m == exact.left_m == 2
    assert cut.g(EDGES[2:]) == pytest.approx(whole.g(EDGES[2:]), abs=0.03)
    # Animals within 2 m count as missed.
    r = np.linspace(0.001, 2, 2000)
    near = 2 / 144 * (r * g(r)).sum() * (r[1] - r[0])
    assert near > 0.02
    assert whole.pa - cut.pa == pytest.approx(near, abs=0.006)
    assert exact.pa == pytest.approx(cut.pa, rel=0.02)


@settings(max_examples=20)
@given(st.lists(st.tuples(st.floats(0.1, 12), st.integers(1, 5)), min_size=8, max_size=40), st.booleans())
def test_weights_are_equivalent_to_repetitions(rows, is_binned):
    r, times = (np.array(column, float) for column in zip(*rows, strict=True))
    repeated = np.repeat(r, times.astype(int))
    if is_binned:
        ones, weighted = bin_distances(repeated, EDGES), bin_distances(r, EDGES, times)
        if (ones.counts > 0).sum() < 2:
            return
    else:
        ones, weighted = truncate(repeated, right_m=12), truncate(r, right_m=12, weights=times)
        if len(set(r)) < 2:
            return
    one, other = fit_detection(HALF_NORMAL, ones), fit_detection(HALF_NORMAL, weighted)
    assert (one.n, one.lnl, one.pa, one.pa_se) == pytest.approx((other.n, other.lnl, other.pa, other.pa_se))


@pytest.mark.parametrize("function", [HALF_NORMAL, HAZARD_RATE, detection_function("uniform", "cosine", 2)])
def test_a_tenth_of_the_counts_changes_only_the_precision(function):
    counts = expected_counts(half_normal(3.0), 500).round()
    whole = fit_detection(function, BinnedDistances(EDGES, counts))
    tenth = fit_detection(function, BinnedDistances(EDGES, counts / 10))
    assert tenth.pa == pytest.approx(whole.pa, rel=1e-5)
    assert (tenth.n, tenth.lnl) == pytest.approx((whole.n / 10, whole.lnl / 10))
    assert tenth.pa_se == pytest.approx(whole.pa_se * math.sqrt(10), rel=1e-4)
    assert tenth.chi_square.statistic == pytest.approx(whole.chi_square.statistic / 10, rel=1e-3)


@pytest.mark.parametrize("unit", [0.01, 100.0])
@pytest.mark.parametrize("function", [HALF_NORMAL, HAZARD_RATE, detection_function("half-normal", "cosine", 2)])
def test_units_do_not_matter(function, unit):
    detected = detected_distances(np.random.default_rng(3), 2000, 12.0, half_normal(4.0))
    one, other = (fit_detection(function, truncate(detected * scale, right_m=12 * scale)) for scale in (1.0, unit))
    assert other.pa == pytest.approx(one.pa, rel=1e-4)
    assert other.edr_m == pytest.approx(one.edr_m * unit, rel=1e-4)
    assert other.lnl == pytest.approx(one.lnl - one.n * math.log(unit), abs=1e-4)


@pytest.mark.parametrize(
    ("key", "series", "n_terms"),
    [
        ("uniform", "cosine", 3),
        ("half-normal", "cosine", 2),
        ("half-normal", "hermite", 2),
        ("hazard-rate", "polynomial", 1),
    ],
)
def test_adjusted_functions_never_rise(key, series, n_terms):
    function = detection_function(key, series, n_terms)
    # Few detections near the camera and many at 7 m: an unconstrained function would follow them.
    counts = BinnedDistances(EDGES, np.array([1.0, 3, 10, 20, 60, 150, 40, 10]))
    fit = fit_detection(function, counts)
    values = fit.g(monotonicity_points(12.0))
    assert (np.diff(values) <= 1e-6).all()
    assert values[-1] >= -1e-6
    free = fit_detection(function, counts, is_monotone=False)
    assert np.diff(free.g(monotonicity_points(12.0))).max() > 0.01
    assert free.lnl > fit.lnl + 1
    assert (free.g(monotonicity_points(12.0)) >= -1e-6).all()


@pytest.mark.parametrize(
    ("key", "series"), [("uniform", "cosine"), ("half-normal", "cosine"), ("half-normal", "hermite")]
)
@pytest.mark.parametrize("seed", range(4))
def test_more_terms_never_fit_worse(key, series, seed):
    detected = detected_distances(np.random.default_rng(seed), 900, 12.0, hazard_rate(5.0, 3.0))
    binned = bin_distances(detected, EDGES)
    lnl = [fit_detection(detection_function(key, series if n else None, n), binned).lnl for n in range(4)]
    assert all(more >= less - 1e-9 for less, more in pairwise(lnl))
    assert lnl[-1] > lnl[0]


def test_a_fit_from_a_start_gives_the_same_result():
    detected = detected_distances(np.random.default_rng(5), 900, 12.0, hazard_rate(5.0, 3.0))
    function, binned = detection_function("half-normal", "cosine", 2), bin_distances(detected, EDGES)
    whole = fit_detection(function, binned)
    for start in (whole.parameters, fit_detection(detection_function("half-normal", "cosine", 1), binned).parameters):
        again = fit_detection(function, binned, start=start)
        assert again.pa == pytest.approx(whole.pa, rel=1e-4)


def test_a_uniform_key_alone_has_nothing_to_fit():
    fit = fit_detection(detection_function("uniform"), bin_distances([3.0, 5.0], [2, 4, 10]))
    assert (fit.n_parameters, fit.pa_se, fit.parameters) == (0, 0, ())
    assert fit.pa == pytest.approx(1 - (2 / 10) ** 2)
    assert fit.aic == -2 * fit.lnl


def test_hazard_rates_keep_their_shoulder_out_of_the_left_truncation():
    counts = np.array([4000.0, 900, 300, 120, 60, 30])
    fit = fit_detection(HAZARD_RATE, BinnedDistances(np.array([2.0, 3, 4, 6, 8, 10, 12]), counts))
    assert math.exp(fit.parameters[0]) == pytest.approx(2)
    assert fit.at_bound == ("log_sigma",)


@pytest.mark.parametrize("start", [None, [math.log(1.2), math.log(1.5)]])
def test_no_start_leads_below_the_left_truncation(start):
    # These counts come from a spike, where a search may start, and which explains them better than any allowed function.
    cut = BinnedDistances(EDGES[4:], expected_counts(hazard_rate(1.2, 1.5))[4:])
    fit = fit_detection(HAZARD_RATE, cut, start=start)
    assert math.exp(fit.parameters[0]) == pytest.approx(4)
    assert fit.at_bound[0] == "log_sigma"


def test_terms_may_be_scaled_by_sigma():
    function = DetectionFunction(KEY_FUNCTIONS["half-normal"], Adjustment("hermite", (4,), "sigma"))
    detected = detected_distances(np.random.default_rng(6), 3000, 12.0, hazard_rate(5.0, 3.0))
    fit = fit_detection(function, truncate(detected, right_m=12))
    assert fit.is_converged
    assert fit.lnl > fit_detection(HALF_NORMAL, truncate(detected, right_m=12)).lnl
    # lnl is at a maximum: changing any parameter lowers it.
    for number in range(2):
        for step in (-0.01, 0.01):
            moved = np.array(fit.parameters)
            moved[number] += step
            g = function.g(detected, moved, 12.0)[0]
            r = (np.arange(20_000) + 0.5) * 12 / 20_000
            whole = (r * function.g(r, moved, 12.0)[0]).sum() * 12 / 20_000
            assert np.log(detected * g / whole).sum() < fit.lnl


def test_pdf_and_cdf_of_a_fit_agree():
    detected = detected_distances(np.random.default_rng(7), 3000, 12.0, half_normal(4.0))
    fit = fit_detection(HALF_NORMAL, truncate(detected, left_m=1, right_m=12))
    r = np.linspace(1, 12, 20_001)
    pdf = fit.pdf(r)
    steps = (pdf[1:] + pdf[:-1]) / 2 * (r[1] - r[0])
    assert steps.sum() == pytest.approx(1, rel=1e-6)
    assert fit.cdf(r)[1:] == pytest.approx(np.cumsum(steps), abs=1e-6)
    assert fit.cdf([0.0, 1.0, 12.0, 99.0]).tolist() == pytest.approx([0, 0, 1, 1])
    assert fit.pdf([0.5, 12.5]).tolist() == [0, 0]
    assert fit.g(0.0).tolist() == [1]


@pytest.mark.parametrize(
    ("function", "distances", "message"),
    [
        (HALF_NORMAL, truncate([3.0] * 90, right_m=12), "all 90 observations are in the same distance"),
        (HALF_NORMAL, bin_distances([3.1, 3.5], EDGES), "all 2 observations are in the same bin"),
        (HAZARD_RATE, bin_distances([1.0, 3.0, 7.0], [0, 2, 12]), "2 parameters and needs 3 bins, got 2"),
        (HAZARD_RATE, truncate([3.0, 4.0], right_m=12), "2 observations are too few for the 2 parameters"),
        (HALF_NORMAL, truncate([3.0, 4.0], right_m=12, weights=[0.1, 0.2]), "0.3 observations are too few"),
    ],
)
def test_distances_without_information_are_refused(function, distances, message):
    with pytest.raises(InputError, match=message):
        fit_detection(function, distances)


def test_a_start_of_another_function_is_refused():
    with pytest.raises(InputError, match="at most 1 parameters, got 2"):
        fit_detection(HALF_NORMAL, bin_distances([1.0, 3.0, 7.0], EDGES), start=[1.0, 2.0])


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("counts", [[9, 0, 0, 0, 0, 0, 0, 1], [1, 0, 0, 0, 0, 0, 0, 9], [5, 0, 5, 0, 5, 0, 0, 0]])
@pytest.mark.parametrize(
    "function",
    [
        HALF_NORMAL,
        HAZARD_RATE,
        detection_function("uniform", "cosine", 3),
        detection_function("half-normal", "hermite", 2),
    ],
    ids=lambda function: function.name,
)
def test_extreme_counts_give_finite_fits_without_warnings(function, counts):
    fit = fit_detection(function, BinnedDistances(EDGES, np.array(counts, float)))
    assert 0 < fit.pa <= 1 + 1e-9
    assert fit.pa_se > 0
    assert math.isfinite(fit.lnl)
