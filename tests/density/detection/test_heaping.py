from __future__ import annotations

import numpy as np
import pytest

from density.simulated import detected_distances, half_normal, make_survey
from trapmeter.density.analysis import run_analysis
from trapmeter.density.candidates import AnalysisSettings
from trapmeter.density.detection.distances import bin_distances
from trapmeter.density.detection.fit import fit_detection
from trapmeter.density.detection.function import detection_function
from trapmeter.density.detection.heaping import find_heaps_on_cutpoints
from trapmeter.density.detection.selection import candidate_functions

EDGES = np.array([0.0, 1, 2, 3, 4, 6, 8])


def animals(n=6000, sigma_m=3.5, right_m=14.0):
    return detected_distances(np.random.default_rng(4), n, right_m, half_normal(sigma_m))


def rounded(metres, unit):
    return np.round(metres / unit) * unit


def test_heaps_on_cutpoints_are_found_with_cutpoints_between_them():
    heaps = find_heaps_on_cutpoints(rounded(animals(), 0.5), EDGES)
    assert heaps.unit_m == 0.5
    assert heaps.cutpoints_m == (0, 1.25, 2.25, 3.25, 4.25, 6.25, 8.25)
    assert heaps.n_on_cutpoints == np.isin(rounded(animals(), 0.5), EDGES[1:]).sum()


def test_a_first_cutpoint_above_0_moves_before_its_heap():
    assert find_heaps_on_cutpoints(rounded(animals(), 1), EDGES[2:]).cutpoints_m == (1.5, 3.5, 4.5, 6.5, 8.5)


@pytest.mark.parametrize("unit", [1.0, 0.5, 0.25, 0.2])
def test_the_proposed_cutpoints_give_the_density_of_exact_distances(unit):
    metres = animals()
    truth = fit_detection(detection_function("half-normal"), bin_distances(metres, EDGES))
    proposed = find_heaps_on_cutpoints(rounded(metres, unit), EDGES).cutpoints_m
    fit = fit_detection(detection_function("half-normal"), bin_distances(rounded(metres, unit), proposed))
    # Both radii describe the same function on ranges that differ by half a unit.
    assert fit.parameters == pytest.approx(truth.parameters, abs=0.02)


@pytest.mark.parametrize(
    "metres", [animals(), rounded(animals(), 0.01), rounded(animals(), 1) + 0.5, np.array([20.0, 30.0])]
)
def test_distances_without_heaps_on_cutpoints_get_no_proposal(metres):
    assert find_heaps_on_cutpoints(metres, EDGES) is None


def test_the_note_names_the_option_that_mends_it():
    settings = AnalysisSettings(candidate_functions(["half-normal"], ["none"]), tuple(EDGES))
    noted = run_analysis(make_survey(rounded(animals(), 1), n_stations=20), settings).warnings
    assert any("--cutpoints 0,1.5,2.5,3.5,4.5,6.5,8.5" in note for note in noted)
    assert not any(
        "cutpoint" in note for note in run_analysis(make_survey(animals(), n_stations=20), settings).warnings
    )
