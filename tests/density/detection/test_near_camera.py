from __future__ import annotations

import numpy as np
import pytest

from density.simulated import detected_distances, half_normal, make_survey
from trapmeter.density.analysis import run_analysis
from trapmeter.density.candidates import AnalysisSettings
from trapmeter.density.detection.selection import candidate_functions

EDGES = (0.0, 1, 2, 3, 4, 6, 8, 10)
TRUE_SIGMA_M = 3.5
FUNCTIONS = candidate_functions(["half-normal"], ["none"])


def animals(seed=6):
    return detected_distances(np.random.default_rng(seed), 3000, 14.0, half_normal(TRUE_SIGMA_M))


def avoiding():
    """Nobody comes nearer than 3 m."""
    metres = animals()
    return metres[metres >= 3]


def attracted():
    """A crowd between 1 and 1.6 m."""
    return np.concatenate([animals(), np.random.default_rng(1).uniform(1, 1.6, 300)])


def notes(metres, **settings):
    analysis = run_analysis(make_survey(metres, n_stations=20), AnalysisSettings(FUNCTIONS, **settings))
    return [note for note in analysis.warnings if "animals were measured up to" in note], analysis


@pytest.mark.parametrize(
    ("metres", "cause", "remedy"),
    [
        (avoiding(), "probably avoid the camera", "--cutpoints 3,4,6,8,10"),
        (attracted(), "probably come to the camera", "--cutpoints 2,3,4,6,8,10"),
    ],
)
def test_reactions_are_noted_and_the_remedy_gives_the_true_function(metres, cause, remedy):
    (note,), reacting = notes(metres, cutpoints_m=EDGES)
    assert cause in note
    assert f"{remedy}, and animals that react to the camera with --leave-out" in note
    edges = tuple(map(float, remedy.split()[1].split(",")))
    none, mended = notes(metres, cutpoints_m=edges)
    assert none == []
    assert np.exp(mended.best.fit.parameters[0]) == pytest.approx(TRUE_SIGMA_M, rel=0.1)
    assert np.exp(reacting.best.fit.parameters[0]) != pytest.approx(TRUE_SIGMA_M, rel=0.1)


def test_exact_distances_get_a_left_truncation():
    (note,), _ = notes(avoiding(), right_m=12.0)
    assert "probably avoid" in note
    assert "--truncation 3,12" in note


@pytest.mark.parametrize("settings", [{"cutpoints_m": EDGES}, {"cutpoints_m": EDGES[2:]}, {"right_m": 12.0}])
@pytest.mark.parametrize("seed", range(3))
def test_animals_that_dont_react_give_no_note(settings, seed):
    assert notes(animals(seed), **settings)[0] == []


def test_a_reaction_of_few_animals_is_no_note():
    assert notes(avoiding()[:30], cutpoints_m=EDGES)[0] == []
