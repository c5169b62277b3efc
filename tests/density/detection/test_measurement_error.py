"""Fits with measurement error recover the true detection function, and without error they change nothing."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from density.simulated import detected_distances, half_normal, hazard_rate, make_survey
from trapmeter.density.analysis import run_analysis
from trapmeter.density.bootstrap import bootstrap_density
from trapmeter.density.candidates import AnalysisSettings
from trapmeter.density.detection.distances import bin_distances
from trapmeter.density.detection.fit import fit_detection
from trapmeter.density.detection.function import detection_function
from trapmeter.density.detection.held_out_errors import HeldOutErrors, exempt_known_distances
from trapmeter.density.detection.likelihood import make_likelihood
from trapmeter.density.detection.measurement_error import ErrorMatrix, PartlyKnownError, RandomError, nodes_up_to
from trapmeter.density.detection.selection import candidate_functions
from trapmeter.density.replicates import BootstrapSettings
from trapmeter.errors import InputError

EDGES = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 12.0]
FARTHEST_M = 30.0


def detected(rng, n, g):
    return detected_distances(rng, n, FARTHEST_M, g)


def pairs(rng, n=6000, bias=1.2, sd=0.3, n_sites=30):
    """Held-out pairs whose predictions are pulled towards 5 m, too far by a factor, and noisy."""
    truth = rng.uniform(0.2, FARTHEST_M, n)
    return HeldOutErrors("pairs", truth, predicted(rng, truth, bias, sd), np.arange(n) % n_sites)


def predicted(rng, truth, bias=1.2, sd=0.3):
    return bias * 5.0**0.4 * truth**0.6 * np.exp(rng.normal(0, sd, len(truth)))


def relative_density(key, distances):
    return distances.n / fit_detection(detection_function(key), distances).pa


def test_an_error_matrix_without_error_changes_nothing():
    r = detected(np.random.default_rng(0), 20000, half_normal(4.0))
    plain = bin_distances(r, EDGES)
    nodes, weights = nodes_up_to(EDGES[-1])
    inside = np.stack([(nodes >= low) & (nodes < high) for low, high in pairwise(EDGES)])
    same = replace(plain, error_matrix=ErrorMatrix(nodes, weights, inside.astype(float), EDGES[-1]))
    a, b = (fit_detection(detection_function("half-normal"), distances) for distances in (plain, same))
    # The only difference: the panels of the quadrature don't end at the edges of bins.
    assert b.pa == pytest.approx(a.pa, rel=0.01)
    assert b.edr_m == pytest.approx(a.edr_m, rel=0.01)


@pytest.mark.parametrize(("key", "g"), [("half-normal", half_normal(4.0)), ("hazard-rate", hazard_rate(5.0, 4.0))])
@pytest.mark.parametrize("kind", ["random", "held-out"])
def test_allowing_for_the_error_removes_the_bias_of_density(key, g, kind):
    rng = np.random.default_rng(1)
    truth = detected(rng, 200_000, g)
    if kind == "random":
        error = RandomError(0.3)
        sd = math.sqrt(math.log1p(0.3**2))
        measured = truth * np.exp(rng.normal(0, sd, len(truth)) - sd**2 / 2)
    else:
        error, measured = pairs(rng, 60_000), predicted(rng, truth)
    expected = relative_density(key, bin_distances(truth, EDGES))
    plain = bin_distances(measured, EDGES)
    corrected = replace(plain, error_matrix=error.matrices_for_bins(plain.edges_m).mean())
    assert abs(relative_density(key, plain) / expected - 1) > 0.03
    assert relative_density(key, corrected) == pytest.approx(expected, rel=0.04)


@pytest.mark.parametrize(("key", "g"), [("half-normal", half_normal(4.0)), ("hazard-rate", hazard_rate(5.0, 4.0))])
@pytest.mark.parametrize("share", [0.3, 0.7])
def test_distances_that_people_measured_count_as_true(key, g, share):
    rng = np.random.default_rng(1)
    truth = detected(rng, 200_000, g)
    is_known = rng.random(len(truth)) < share
    mixed = bin_distances(np.where(is_known, truth, predicted(rng, truth)), EDGES)
    expected = relative_density(key, bin_distances(truth, EDGES))
    held_out = pairs(rng, 60_000)
    errors, _ = exempt_known_distances(held_out, is_known.tolist())
    assert errors.name == f"pairs; {is_known.mean():.0%} of the distances are known"
    corrected = replace(mixed, error_matrix=errors.matrices_for_bins(mixed.edges_m).mean())
    assert relative_density(key, corrected) == pytest.approx(expected, rel=0.04)
    # As if all distances had the error of the model.
    assert (
        relative_density(key, replace(mixed, error_matrix=held_out.matrices_for_bins(mixed.edges_m).mean()))
        > 1.15 * expected
    )


def test_only_held_out_errors_exempt_distances_that_people_measured():
    held_out = pairs(np.random.default_rng(1))
    assert exempt_known_distances(None, [True]) == (None, ())
    assert exempt_known_distances(RandomError(0.2), [True, False]) == (RandomError(0.2), ())
    assert exempt_known_distances(held_out, [False, False]) == (held_out, ())
    errors, notes = exempt_known_distances(held_out, [True, True])
    assert errors is None
    assert notes == ("people measured 2 of 2 distances, which count as true; the error applies to the others",)
    assert exempt_known_distances(held_out, [True, False])[0] == PartlyKnownError(held_out, 0.5)


@pytest.mark.parametrize("form", [("half-normal",), ("hazard-rate",), ("half-normal", "cosine", 1)])
def test_slopes_are_derivatives(form):
    distances = bin_distances([1.5, 2.5, 4.5, 7.0], EDGES)
    distances = replace(distances, error_matrix=RandomError(0.2).matrices_for_bins(distances.edges_m).mean())
    likelihood = make_likelihood(detection_function(*form), distances)
    parameters = np.array([1.2, 0.9, 0.1][: len(likelihood.function.parameter_names)])
    if form[-1] == 1:
        parameters = np.array([1.2, 0.1])
    for quantity in (likelihood.lnl, likelihood.pa):
        for number in range(len(parameters)):
            step = np.zeros(len(parameters))
            step[number] = 1e-5
            slope = (quantity(parameters + step).value - quantity(parameters - step).value) / 2e-5
            assert quantity(parameters).slopes[number] == pytest.approx(float(slope), rel=1e-5)


def test_a_random_error_keeps_every_near_animal_inside():
    edges = np.array([0.0, 5.0, 1000.0])
    matrix = RandomError(0.2).matrices_for_bins(edges).mean()
    assert matrix.shares[:, matrix.nodes_m < 300].sum(axis=0) == pytest.approx(1)
    assert matrix.shares[0][matrix.nodes_m < 2].min() > 0.99


@pytest.mark.parametrize("cv", [0.0, 1.0, -0.1, math.nan])
def test_a_random_error_out_of_range_is_refused(cv):
    with pytest.raises(InputError, match=r"such as 0\.2 for 20 %"):
        RandomError(cv)


def survey(rng, errors=None, n_stations=20):
    truth = detected(rng, 60_000, half_normal(4.0))
    station = rng.integers(n_stations, size=len(truth))
    return make_survey(predicted(rng, truth), n_stations=n_stations, station=station, errors=errors)


@pytest.mark.slow
def test_the_bootstrap_resamples_the_sites_of_held_out_pairs():
    rng = np.random.default_rng(2)
    # Sites differ in bias, so a few of them determine the error only roughly.
    truth = rng.uniform(0.2, FARTHEST_M, 4000)
    site = np.arange(4000) % 8
    differing = HeldOutErrors("few", truth, predicted(rng, truth) * np.exp(rng.normal(0, 0.2, 8))[site], site)
    alike = HeldOutErrors("few", differing.truth_m, differing.predicted_m, np.zeros(4000, np.intp))
    settings = AnalysisSettings(candidate_functions(["half-normal"], ["none"]), tuple(EDGES))
    spread = []
    for errors in (alike, differing):
        analysis = run_analysis(survey(np.random.default_rng(3), errors), settings)
        found = bootstrap_density(analysis, BootstrapSettings(40))
        assert found == bootstrap_density(analysis, BootstrapSettings(40))
        spread.append(found.cv)
    assert spread[1] > 1.5 * spread[0]


def test_a_measurement_error_is_refused_for_exact_distances_and_draws():
    rng = np.random.default_rng(2)
    with pytest.raises(InputError, match="give cutpoints"):
        run_analysis(survey(rng, RandomError(0.2)), AnalysisSettings())
    with pytest.raises(ValueError, match="got draws"):
        make_survey(np.ones((3, 10)), n_stations=1, errors=RandomError(0.2))
