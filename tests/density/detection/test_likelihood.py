from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest

from density.simulated import detected_distances, half_normal
from trapmeter.density.detection.distances import BinnedDistances, bin_distances, truncate
from trapmeter.density.detection.function import detection_function
from trapmeter.density.detection.likelihood import make_likelihood

EDGES = [1.0, 2.0, 3.5, 6.0, 10.0]
SIGMA = 3.0


def integral(low, high):
    """The integral of r exp(-r^2 / (2 sigma^2)) from low to high."""
    return SIGMA**2 * (math.exp(-(low**2) / (2 * SIGMA**2)) - math.exp(-(high**2) / (2 * SIGMA**2)))


def test_half_normal_integrals_agree_with_the_formula():
    likelihood = make_likelihood(
        detection_function("half-normal"), BinnedDistances(np.array(EDGES), np.arange(1.0, 5.0))
    )
    parameters = np.array([math.log(SIGMA)])
    whole = integral(1, 10)
    shares = [integral(low, high) / whole for low, high in pairwise(EDGES)]
    assert likelihood.shares(parameters).value.tolist() == pytest.approx(shares, rel=1e-12)
    assert likelihood.lnl(parameters).value == pytest.approx(sum(n * math.log(p) for n, p in enumerate(shares, 1)))
    assert likelihood.pa(parameters).value == pytest.approx(2 / 10**2 * whole, rel=1e-12)


def test_exact_half_normal_likelihood_agrees_with_the_formula():
    distances = truncate([1.5, 4.0, 4.0, 9.0], left_m=1, right_m=10)
    likelihood = make_likelihood(detection_function("half-normal"), distances)
    expected = sum(math.log(r * math.exp(-(r**2) / (2 * SIGMA**2)) / integral(1, 10)) for r in (1.5, 4.0, 4.0, 9.0))
    assert likelihood.lnl(np.array([math.log(SIGMA)])).value == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("key", ["half-normal", "hazard-rate"])
def test_a_distance_of_0_m_counts_like_a_very_small_one(key):
    far = [1.5, 4.0, 4.0, 9.0]
    at_0, near = (
        make_likelihood(detection_function(key), truncate([least, *far], right_m=10)) for least in (0.0, 1e-6)
    )
    one, other = (np.array([math.log(sigma), 1.0][: 1 + (key == "hazard-rate")]) for sigma in (3.0, 4.0))
    differences = [float(case.lnl(one).value - case.lnl(other).value) for case in (at_0, near)]
    assert differences[0] == pytest.approx(differences[1], rel=1e-9)
    assert at_0.lnl(one).slopes == pytest.approx(near.lnl(one).slopes, rel=1e-9)


@pytest.mark.parametrize("log_shape", [0.0, 1.0, 2.5, 3.4])
@pytest.mark.parametrize("sigma_m", [0.5, 2.0, 8.0])
def test_integrals_of_spikes_and_steps_are_accurate(sigma_m, log_shape):
    form, parameters = detection_function("hazard-rate"), np.array([math.log(sigma_m), log_shape])
    r = (np.arange(400_000) + 0.5) * (10 / 400_000)
    fine = 2 / 10**2 * (r * form.g(r, parameters, 10.0)[0]).sum() * (10 / 400_000)
    for distances in (truncate([1.0, 2.0], right_m=10), bin_distances([1.0, 2.0], [0, 1, 2, 3.5, 6, 10])):
        assert make_likelihood(form, distances).pa(parameters).value == pytest.approx(fine, rel=1e-4)


@pytest.mark.parametrize(
    ("form", "parameters"),
    [
        (("half-normal",), [1.2]),
        (("hazard-rate",), [1.2, 0.9]),
        (("uniform", "cosine", 2), [0.4, 0.05]),
        (("half-normal", "hermite", 1), [1.2, 0.1]),
    ],
)
@pytest.mark.parametrize("is_binned", [True, False])
def test_slopes_are_derivatives(form, parameters, is_binned):
    r = detected_distances(np.random.default_rng(0), 500, 10.0, half_normal(SIGMA))
    distances = bin_distances(r, EDGES) if is_binned else truncate(r, left_m=1, right_m=10)
    likelihood = make_likelihood(detection_function(*form), distances)
    parameters = np.array(parameters)
    for quantity in (likelihood.lnl, likelihood.pa):
        slopes = quantity(parameters).slopes
        for number in range(len(parameters)):
            step = np.zeros(len(parameters))
            step[number] = 1e-6
            numerical = (quantity(parameters + step).value - quantity(parameters - step).value) / 2e-6
            assert slopes[number] == pytest.approx(float(numerical), rel=1e-5, abs=1e-6)


def test_information_is_the_sum_of_squared_scores():
    binned = BinnedDistances(np.array([0.0, 2.0, 5.0]), np.array([3.0, 4.0]))
    likelihood = make_likelihood(detection_function("half-normal"), binned)
    at = math.log(SIGMA)

    def log_shares(log_sigma):
        return np.log(likelihood.shares(np.array([log_sigma])).value)

    scores = (log_shares(at + 1e-6) - log_shares(at - 1e-6)) / 2e-6
    assert likelihood.information(np.array([at])) == pytest.approx(
        np.array([[3 * scores[0] ** 2 + 4 * scores[1] ** 2]])
    )


@pytest.mark.filterwarnings("error")
def test_negative_functions_have_a_finite_likelihood_with_a_gradient_towards_valid_ones():
    likelihood = make_likelihood(
        detection_function("uniform", "cosine", 1), bin_distances([1.0, 3.0, 9.0], [0, 2, 5, 10])
    )
    below, further = likelihood.lnl(np.array([0.9])), likelihood.lnl(np.array([3.0]))
    assert np.isfinite(further.value)
    assert further.value < below.value
    assert further.slopes[0] < 0
