from __future__ import annotations

import math

import numpy as np
import pytest

from density.simulated import detected_distances, half_normal, hazard_rate, make_survey
from trapmeter.density.analysis import run_analysis
from trapmeter.density.bootstrap import bootstrap_density
from trapmeter.density.candidates import AnalysisSettings
from trapmeter.density.detection.distances import bin_distances, truncate
from trapmeter.density.detection.doubts import delta_variance
from trapmeter.density.detection.fit import fit_detection
from trapmeter.density.detection.function import detection_function
from trapmeter.density.detection.selection import candidate_functions
from trapmeter.density.replicates import BootstrapSettings
from trapmeter.errors import InputError

EDGES = (0.0, 1, 2, 3, 4, 6, 8, 10)
HALF_NORMAL, HAZARD_RATE = detection_function("half-normal"), detection_function("hazard-rate")


def spiked(seed=2, n_at_camera=150):
    """Distances of a survey with many animals at the camera, within half a metre."""
    rng = np.random.default_rng(seed)
    return np.concatenate(
        [detected_distances(rng, 2000, 14.0, half_normal(3.5)), 0.5 * rng.random(n_at_camera)],
    )


@pytest.mark.parametrize("settings", [{"cutpoints_m": EDGES}, {"right_m": 10.0}])
def test_a_spike_is_shown_but_not_chosen_by_itself(settings):
    survey = make_survey(spiked(), n_stations=20)
    functions = candidate_functions(["half-normal", "hazard-rate"], ["none"])
    analysis = run_analysis(survey, AnalysisSettings(functions, **settings))
    hazard = next(model.fit for model in analysis.models if model.fit.key == "hazard-rate")
    assert hazard.aic < analysis.best.fit.aic
    assert analysis.best.fit.key == "half-normal"
    assert "falls to half within the" in hazard.doubts[0]
    asked = run_analysis(survey, AnalysisSettings((HAZARD_RATE,), **settings))
    assert asked.best.fit.doubts == hazard.doubts
    assert any("because you asked for this key" in note for note in asked.warnings)


def test_replicates_of_a_bootstrap_choose_no_spike_either():
    survey = make_survey(spiked(n_at_camera=100), n_stations=20)
    functions = candidate_functions(["half-normal", "hazard-rate"], ["none"])
    analysis = run_analysis(survey, AnalysisSettings(functions, cutpoints_m=EDGES))
    assert set(bootstrap_density(analysis, BootstrapSettings(20)).chosen) == {"half-normal"}


def test_doubts_about_all_functions_of_several_keys_are_refused():
    metres = [0.2] * 200 + [9.0] * 3
    functions = candidate_functions(["hazard-rate", "half-normal"], ["none"])
    coarse = AnalysisSettings(functions, cutpoints_m=(0.0, 8.0, 9.5, 10.0, 11.0))
    with pytest.raises(InputError, match=r"doubts about each function.*hazard-rate falls to half within the first bin"):
        run_analysis(make_survey(metres, n_stations=10), coarse)


@pytest.mark.parametrize(
    ("g", "left_m"), [(half_normal(2.0), 0.0), (half_normal(4.0), 2.0), (hazard_rate(3.0, 3.0), 0.0)]
)
def test_functions_with_a_shoulder_raise_no_doubts(g, left_m):
    metres = detected_distances(np.random.default_rng(1), 4000, 10.0, g)
    edges = [edge for edge in EDGES if edge >= left_m]
    for distances in (bin_distances(metres, edges), truncate(metres, left_m=left_m, right_m=10.0)):
        for function in (HALF_NORMAL, HAZARD_RATE):
            assert fit_detection(function, distances).doubts == ()


def test_parameters_that_are_not_determined_raise_a_doubt_but_no_infinite_interval():
    # Two bins with animals determine one parameter, not three.
    function = detection_function("half-normal", "cosine", 2)
    fit = fit_detection(function, bin_distances([0.5] * 45 + [9.0] * 15, [0, 2, 4, 6, 8, 10]))
    assert "has parameters that the distances don't determine" in fit.doubts
    assert math.isfinite(fit.pa_se)


def test_the_variance_of_determined_parameters_is_that_of_the_inverse():
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(50, 3)) * [1.0, 1e-6, 1e5]
    information, slopes = scores.T @ scores, np.array([0.3, 2e-7, 4e4])
    variance, is_identified = delta_variance(slopes, information)
    assert is_identified
    assert variance == pytest.approx(slopes @ np.linalg.solve(information, slopes), rel=1e-6)


@pytest.mark.parametrize("slopes", [[1.0, 1.0, 0.0], [2.0, 2.0, 0.0]])
def test_the_variance_leaves_out_combinations_that_are_not_determined(slopes):
    # Only the sum of the first two counts; the third has no effect.
    information = np.array([[4.0, 4, 0], [4, 4, 0], [0, 0, 0]])
    variance, is_identified = delta_variance(np.array(slopes), information)
    assert not is_identified
    assert variance == pytest.approx(slopes[0] ** 2 / 4)


def test_no_information_at_all_is_an_infinite_variance():
    assert delta_variance(np.ones(1), np.zeros((1, 1))) == (math.inf, False)
    assert delta_variance(np.zeros(0), np.zeros((0, 0))) == (0.0, True)
