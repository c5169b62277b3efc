"""Errors of distances in the likelihood: what is known of them is undone, and no error at all changes nothing."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from density.simulated import half_normal, hazard_rate, seen_distances
from trapmeter.density.analysis import AnalysisSettings, run_analysis
from trapmeter.density.bootstrap import bootstrap_density
from trapmeter.density.detection.distances import bin_distances
from trapmeter.density.detection.fit import fit_detection
from trapmeter.density.detection.function import detection_function
from trapmeter.density.detection.held_out_errors import (
    DEEP_CHIMPACT,
    HeldOutErrors,
    exempt_known_distances,
    read_held_out,
)
from trapmeter.density.detection.likelihood import make_likelihood
from trapmeter.density.detection.measurement_error import ErrorMatrix, PartlyKnownError, RandomError, nodes_up_to
from trapmeter.density.detection.selection import candidate_functions
from trapmeter.density.replicates import BootstrapSettings
from trapmeter.density.survey.survey import Station, Survey
from trapmeter.errors import InputError

EDGES = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 12.0]
FARTHEST_M = 30.0


def seen(rng, n, g):
    return seen_distances(rng, n, FARTHEST_M, g)


def pairs(rng, n=6000, bias=1.2, sd=0.3, n_sites=30):
    """Held-out answers that are drawn to 5 m, too far by a factor, and noisy."""
    truth = rng.uniform(0.2, FARTHEST_M, n)
    return HeldOutErrors("pairs", truth, answered(rng, truth, bias, sd), np.arange(n) % n_sites)


def answered(rng, truth, bias=1.2, sd=0.3):
    return bias * 5.0**0.4 * truth**0.6 * np.exp(rng.normal(0, sd, len(truth)))


def per_area(key, distances):
    return distances.n / fit_detection(detection_function(key), distances).pa


def test_a_blur_without_error_changes_nothing():
    r = seen(np.random.default_rng(0), 20000, half_normal(4.0))
    plain = bin_distances(r, EDGES)
    nodes, weights, farthest_m = nodes_up_to(EDGES[-1])
    inside = np.stack([(nodes >= low) & (nodes < high) for low, high in pairwise(EDGES)])
    same = replace(plain, error_matrix=ErrorMatrix(nodes, weights, inside.astype(float), farthest_m))
    a, b = (fit_detection(detection_function("half-normal"), one) for one in (plain, same))
    # The quadrature's panels don't end at the edges of bins, which is all that differs.
    assert b.pa == pytest.approx(a.pa, rel=0.01)
    assert b.edr_m == pytest.approx(a.edr_m, rel=0.01)


@pytest.mark.parametrize(("key", "g"), [("half-normal", half_normal(4.0)), ("hazard-rate", hazard_rate(5.0, 4.0))])
@pytest.mark.parametrize("kind", ["random", "held-out"])
def test_density_comes_out_where_the_plain_way_is_biased(key, g, kind):
    rng = np.random.default_rng(1)
    truth = seen(rng, 200_000, g)
    if kind == "random":
        error = RandomError(0.3)
        sd = math.sqrt(math.log1p(0.3**2))
        measured = truth * np.exp(rng.normal(0, sd, len(truth)) - sd**2 / 2)
    else:
        error, measured = pairs(rng, 60_000), answered(rng, truth)
    want = per_area(key, bin_distances(truth, EDGES))
    plain = bin_distances(measured, EDGES)
    mended = replace(plain, error_matrix=error.matrices_for_bins(plain.edges_m).mean())
    assert abs(per_area(key, plain) / want - 1) > 0.03
    assert per_area(key, mended) == pytest.approx(want, rel=0.04)


@pytest.mark.parametrize(("key", "g"), [("half-normal", half_normal(4.0)), ("hazard-rate", hazard_rate(5.0, 4.0))])
@pytest.mark.parametrize("share", [0.3, 0.7])
def test_distances_that_people_measured_have_no_error(key, g, share):
    rng = np.random.default_rng(1)
    truth = seen(rng, 200_000, g)
    is_known = rng.random(len(truth)) < share
    told = bin_distances(np.where(is_known, truth, answered(rng, truth)), EDGES)
    want = per_area(key, bin_distances(truth, EDGES))
    held_out = pairs(rng, 60_000)
    errors = exempt_known_distances(held_out, is_known.tolist(), [])
    assert errors.name == f"pairs; {is_known.mean():.0%} of the distances are known"
    mended = replace(told, error_matrix=errors.matrices_for_bins(told.edges_m).mean())
    assert per_area(key, mended) == pytest.approx(want, rel=0.04)
    # As if all had the model's error.
    assert per_area(key, replace(told, error_matrix=held_out.matrices_for_bins(told.edges_m).mean())) > 1.15 * want


def test_only_a_models_errors_spare_what_people_measured():
    held_out, notes = pairs(np.random.default_rng(1)), []
    assert exempt_known_distances(None, [True], notes) is None
    assert exempt_known_distances(RandomError(0.2), [True, False], notes) == RandomError(0.2)
    assert exempt_known_distances(held_out, [False, False], notes) is held_out
    assert notes == []
    assert exempt_known_distances(held_out, [True, True], notes) is None
    assert notes == ["2 of 2 distances were measured by people and are taken as true; errors are of the others"]
    assert exempt_known_distances(held_out, [True, False], notes) == PartlyKnownError(held_out, 0.5)


@pytest.mark.parametrize("form", [("half-normal",), ("hazard-rate",), ("half-normal", "cosine", 1)])
def test_slopes_are_those_of_the_function(form):
    distances = bin_distances([1.5, 2.5, 4.5, 7.0], EDGES)
    distances = replace(distances, error_matrix=RandomError(0.2).matrices_for_bins(distances.edges_m).mean())
    likelihood = make_likelihood(detection_function(*form), distances)
    parameters = np.array([1.2, 0.9, 0.1][: len(likelihood.function.parameter_names)])
    if form[-1] == 1:
        parameters = np.array([1.2, 0.1])
    for found in (likelihood.lnl, likelihood.pa):
        for number in range(len(parameters)):
            step = np.zeros(len(parameters))
            step[number] = 1e-5
            slope = (found(parameters + step).value - found(parameters - step).value) / 2e-5
            assert found(parameters).slopes[number] == pytest.approx(float(slope), rel=1e-5)


def test_a_random_error_keeps_the_mean_and_loses_nobody_near():
    edges = np.array([0.0, 5.0, 1000.0])
    blur = RandomError(0.2).matrices_for_bins(edges).mean()
    assert blur.shares[:, blur.nodes_m < 300].sum(axis=0) == pytest.approx(1)
    assert blur.shares[0][blur.nodes_m < 2].min() > 0.99


@pytest.mark.parametrize("cv", [0.0, 1.0, -0.1, math.nan])
def test_a_random_error_out_of_range_is_refused(cv):
    with pytest.raises(InputError, match=r"such as 0\.2 for 20 %"):
        RandomError(cv)


def survey(rng, errors=None, n_cameras=20):
    truth = seen(rng, 60_000, half_normal(4.0))
    cameras = tuple(Station(f"c{number}", 10) for number in range(n_cameras))
    return Survey(cameras, rng.integers(n_cameras, size=len(truth)), answered(rng, truth)[:, None], errors=errors)


@pytest.mark.slow
def test_the_bootstrap_draws_sites_of_the_held_out_answers():
    rng = np.random.default_rng(2)
    # Sites that differ in bias: what few of them tell of the error is uncertain.
    truth = rng.uniform(0.2, FARTHEST_M, 4000)
    site = np.arange(4000) % 8
    differing = HeldOutErrors("few", truth, answered(rng, truth) * np.exp(rng.normal(0, 0.2, 8))[site], site)
    alike = HeldOutErrors("few", differing.truth_m, differing.answer_m, np.zeros(4000, np.intp))
    settings = AnalysisSettings(candidate_functions(["half-normal"], ["none"]), tuple(EDGES))
    spread = []
    for errors in (alike, differing):
        analysis = run_analysis(survey(np.random.default_rng(3), errors), settings)
        found = bootstrap_density(analysis, BootstrapSettings(40))
        assert found == bootstrap_density(analysis, BootstrapSettings(40))
        spread.append(found.cv)
    assert spread[1] > 1.5 * spread[0]


def test_exact_distances_are_refused_and_draws_have_no_error_beside():
    rng = np.random.default_rng(2)
    with pytest.raises(InputError, match="give cutpoints"):
        run_analysis(survey(rng, RandomError(0.2)), AnalysisSettings())
    with pytest.raises(ValueError, match="got draws"):
        Survey((Station("a", 1),), np.zeros(3, np.intp), np.ones((3, 10)), errors=RandomError(0.2))


def test_held_out_answers_that_end_too_near_are_refused():
    errors = HeldOutErrors("near", np.linspace(1, 8.01, 200), np.linspace(1, 8, 200), np.zeros(200, np.intp))
    with pytest.raises(InputError, match=r"near: the truths of the held-out answers end at 8\.01 m"):
        errors.matrices_for_bins(np.array(EDGES))


def test_held_out_answers_are_read(tmp_path):
    path = tmp_path / "oof.csv"
    path.write_text("site_id,truth_m,full_distance_m\n" + "a,3,3.5\nb,20,15\n" * 60)
    found = read_held_out(path)
    assert (found.name, found.predicted_m[:2].tolist(), found.site[:2].tolist()) == ("oof.csv", [3.5, 15], [0, 1])
    path.write_text("truth_m,distance_m\n3,4\n")
    with pytest.raises(InputError, match="has 1 predictions with a truth, expected 100 or more"):
        read_held_out(path)
    path.write_text("video_id,distance\na,4\n")
    with pytest.raises(InputError, match="truth_m, distance_m are missing"):
        read_held_out(path)


def test_the_embedded_answers_are_those_of_the_public_labels(shared):
    found = read_held_out(DEEP_CHIMPACT)
    assert len(found.truth_m) == 15229
    assert found.site.max() == 152
    labels = shared / "deep-chimpact/train_labels.csv"
    if not labels.exists():
        pytest.skip("no public labels")
    rows = labels.read_text().splitlines()[1:]
    assert sorted(found.truth_m) == pytest.approx(sorted(float(row.split(",")[2]) for row in rows))
