from __future__ import annotations

import re

import numpy as np
import pytest

from density.simulated import make_survey
from density.surveys import write_flat
from trapmeter.density.analysis import run_analysis
from trapmeter.density.candidates import AnalysisSettings
from trapmeter.density.replicates import DEFAULT_REPLICATES
from trapmeter.density.run import BY_BOOTSTRAP, BY_FORMULA, run_density

CHOICES = {"cutpoints": [0, 2, 4, 6, 8, 10], "key": "half-normal", "adjust": "none", "jobs": 1}
FORMULA = {**CHOICES, "bootstrap": 0}


def test_the_headline_is_the_recommended_interval_of_those_computed(tmp_path):
    flat = write_flat(tmp_path)
    without, with_bootstrap = run_density(flat, **FORMULA), run_density(flat, bootstrap=40, **CHOICES)
    density = without.analysis.best.density
    assert without.headline.interval == BY_FORMULA
    assert (without.headline.low_km2, without.headline.cv) == (density.low_km2, density.cv)
    found = with_bootstrap.headline
    assert found.interval == BY_BOOTSTRAP
    assert found.density_km2 == density.density_km2
    assert (found.low_km2, found.high_km2) == (
        with_bootstrap.bootstrap.log_low_km2,
        with_bootstrap.bootstrap.log_high_km2,
    )
    assert found.low_km2 < found.density_km2 < found.high_km2


def test_a_note_names_the_bootstrap_if_there_is_none(tmp_path):
    flat = write_flat(tmp_path)
    assert "--bootstrap 1000" in run_density(flat, **FORMULA).warnings[-1]
    errors = run_density(flat, distance_cv=0.2, **FORMULA).warnings[-1]
    assert "errors of distances are independent" in errors
    assert not any("by formula" in note for note in run_density(flat, bootstrap=40, **CHOICES).warnings)


def test_the_recommended_interval_is_the_default(tmp_path):
    run = run_density(write_flat(tmp_path), **CHOICES)
    assert run.bootstrap.settings.replicates == DEFAULT_REPLICATES
    assert run.headline.interval == BY_BOOTSTRAP
    assert not any("--bootstrap" in note for note in run.warnings)


def test_a_bootstrap_that_fails_leaves_the_interval_by_formula_and_says_so(tmp_path):
    # Only two stations have detections, each in one bin: only replicates with both can be fitted.
    rows = [f"s{number % 2},1,{1 + 4 * (number % 2)}" for number in range(60)] + [f"s{n},1,NA" for n in range(2, 6)]
    flat = tmp_path / "flat.csv"
    flat.write_text("\n".join(["Sample.Label,Effort,distance", *rows]))
    run = run_density(flat, bootstrap=100, **CHOICES)
    assert (run.bootstrap, run.headline.interval) == (None, BY_FORMULA)
    assert "no interval by bootstrap: only" in run.warnings[-1]
    assert "assumes that snapshots are independent" in run.warnings[-1]


@pytest.mark.parametrize("scale", [0.3, 1.0, 8.0])
def test_proposed_cutpoints_and_truncation_can_be_used(scale):
    metres = scale * np.linspace(0.2, 12, 120)
    notes = " ".join(run_analysis(make_survey(metres, n_stations=12, multiplier=0.1), AnalysisSettings()).warnings)
    edges = tuple(map(float, re.search(r"--cutpoints ([\d.,]+\d)", notes)[1].split(",")))
    right = float(re.search(r"--truncation ([\d.]+\d)", notes)[1])
    assert len(edges) >= 7
    for settings in (AnalysisSettings(cutpoints_m=edges), AnalysisSettings(right_m=right)):
        assert len(run_analysis(make_survey(metres, n_stations=12), settings).models) == 8
