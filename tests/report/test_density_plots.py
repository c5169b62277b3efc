from __future__ import annotations

import numpy as np
import pytest

from density.simulated import detected_distances, half_normal, make_survey
from trapmeter.density.analysis import run_analysis
from trapmeter.density.candidates import AnalysisSettings
from trapmeter.density.detection.measurement_error import RandomError
from trapmeter.density.detection.selection import candidate_functions
from trapmeter.report.density_plots import _corrected_shares, detection_svg, pdf_svg

EDGES = (0.0, 1, 2, 3, 4, 6, 8, 10)


def analyse(errors):
    rng = np.random.default_rng(3)
    metres = detected_distances(rng, 20_000, 20.0, half_normal(4.0))
    true = np.histogram(metres, EDGES)[0]
    if errors is not None:
        sd = np.sqrt(np.log1p(0.3**2))
        metres = metres * np.exp(rng.normal(-(sd**2) / 2, sd, len(metres)))
    settings = AnalysisSettings(candidate_functions(["half-normal"], ["none"]), EDGES)
    return run_analysis(make_survey(metres, n_stations=20, errors=errors), settings), true


def test_corrected_counts_are_those_without_error():
    analysis, true = analyse(RandomError(0.3))
    fit, distances = analysis.best.fit, analysis.distances
    corrected = _corrected_shares(fit, distances.counts)
    assert corrected == pytest.approx(true / true.sum(), abs=0.02)
    assert distances.counts / distances.n != pytest.approx(true / true.sum(), abs=0.02)


@pytest.mark.parametrize(("errors", "n_legends"), [(None, 0), (RandomError(0.3), 1)])
def test_pictures_tell_measured_from_corrected_distances(errors, n_legends):
    analysis, _ = analyse(errors)
    fit, distances = analysis.best.fit, analysis.distances
    assert (_corrected_shares(fit, distances.counts) is None) == (errors is None)
    for draw in (detection_svg, pdf_svg):
        assert draw(fit, distances).count("legend_1") >= n_legends
        assert ("legend_1" in draw(fit, distances)) == bool(n_legends)
