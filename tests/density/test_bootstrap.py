from __future__ import annotations

import numpy as np
import pytest

from density.simulated import make_survey
from density.surveys import EDGES
from trapmeter.density.analysis import run_analysis
from trapmeter.density.bootstrap import bootstrap_density
from trapmeter.density.candidates import AnalysisSettings
from trapmeter.density.detection.selection import candidate_functions
from trapmeter.density.replicates import BootstrapSettings
from trapmeter.density.survey.survey import Availability
from trapmeter.errors import InputError

HALF_NORMAL = candidate_functions(["half-normal"], ["none"])


def test_a_seed_gives_the_same_bootstrap_which_agrees_with_the_formula(survey):
    analysis = run_analysis(survey, AnalysisSettings(HALF_NORMAL, cutpoints_m=EDGES))
    found = bootstrap_density(analysis, BootstrapSettings(200, seed=4))
    assert found.densities == bootstrap_density(analysis, BootstrapSettings(200, seed=4)).densities
    assert found.densities != bootstrap_density(analysis, BootstrapSettings(200, seed=5)).densities
    density = analysis.best.density
    assert found.low_km2 < density.density_km2 < found.high_km2
    assert found.median_km2 == pytest.approx(density.density_km2, rel=0.05)
    assert found.cv == pytest.approx(density.cv, rel=0.25)
    assert (found.n_failed, found.chosen) == (0, {"half-normal": 200})


def test_availability_adds_to_the_spread_of_replicates(survey):
    settings = AnalysisSettings(HALF_NORMAL, right_m=10.0)
    plain, partial = (run_analysis(survey, settings, share) for share in (None, Availability(0.5, 0.1)))
    certain, uncertain = (bootstrap_density(analysis, BootstrapSettings(60)) for analysis in (plain, partial))
    assert certain.median_km2 == pytest.approx(plain.best.density.density_km2, rel=0.1)
    assert uncertain.median_km2 == pytest.approx(2 * certain.median_km2, rel=0.15)
    assert uncertain.cv > certain.cv


def test_errors_of_scale_widen_the_spread(survey):
    analysis = run_analysis(survey, AnalysisSettings(HALF_NORMAL, cutpoints_m=EDGES))
    plain, uncertain = (bootstrap_density(analysis, BootstrapSettings(60, scale_sd=sd)) for sd in (0.0, 0.2))
    assert uncertain.cv > 1.3 * plain.cv


def test_workers_give_the_same_replicates_as_one_process(survey):
    analysis = run_analysis(survey, AnalysisSettings(HALF_NORMAL, cutpoints_m=EDGES))
    one, two = (bootstrap_density(analysis, BootstrapSettings(30, jobs=jobs)) for jobs in (1, 2))
    assert one.densities == two.densities


def test_a_bootstrap_with_too_many_failures_is_refused():
    # Only two stations have detections, each in one bin: only replicates with both can be fitted.
    survey = make_survey(np.repeat([1.0, 5.0], 30), n_stations=6, station=np.repeat([0, 1], 30))
    analysis = run_analysis(survey, AnalysisSettings(HALF_NORMAL, cutpoints_m=EDGES))
    with pytest.raises(InputError, match=r"only \d+ of 100 bootstrap replicates could be fitted"):
        bootstrap_density(analysis, BootstrapSettings(100))


def test_invalid_bootstrap_settings_are_refused():
    with pytest.raises(InputError, match="20 or more bootstrap replicates"):
        BootstrapSettings(5)
    with pytest.raises(InputError, match="errors of scale"):
        BootstrapSettings(scale_sd=10)
