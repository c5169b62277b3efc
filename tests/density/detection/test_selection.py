from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from density.simulated import half_normal, hazard_rate, seen_distances
from trapmeter.density.detection.distances import BinnedDistances, bin_distances, truncate
from trapmeter.density.detection.fit import fit_detection
from trapmeter.density.detection.function import detection_function
from trapmeter.density.detection.selection import estimate_overdispersion, qaic, select_by_aic, select_by_qaic
from trapmeter.errors import InputError

EDGES = [0, 1, 2, 3, 4, 6, 8, 10, 12]
FORMS = [
    detection_function("half-normal"),
    detection_function("half-normal", "cosine", 1),
    detection_function("half-normal", "cosine", 2),
    detection_function("hazard-rate"),
    detection_function("uniform", "cosine", 1),
]


@pytest.fixture(scope="module")
def fits():
    # Every animal is seen in ten snapshots at the same distance.
    seen = np.repeat(seen_distances(np.random.default_rng(0), 1500, 12.0, hazard_rate(4.5, 2.5)), 10)
    return [fit_detection(form, bin_distances(seen, EDGES)) for form in FORMS]


def test_aic_takes_the_least(fits):
    best = select_by_aic(fits)
    assert best.aic == min(fit.aic for fit in fits)
    assert best in fits


def test_qaic_goes_in_two_steps(fits):
    found = select_by_qaic(fits)
    assert [one.fit for one in found.scored_fits] == fits
    chat = estimate_overdispersion(fits[2])
    assert chat == pytest.approx(fits[2].chi_square.statistic / 4)
    # Of the half-normals all have the c-hat of the one with most terms.
    for one in found.scored_fits[:3]:
        assert one.chat == chat
        assert one.qaic == pytest.approx(-2 * one.fit.lnl / chat + 2 * one.fit.n_parameters)
    assert [one.is_best_of_key for one in found.scored_fits[3:]] == [True, True]
    assert [one.is_best_of_key for one in found.scored_fits[:3]].count(True) == 1
    of_keys = [one.fit for one in found.scored_fits if one.is_best_of_key]
    assert found.best is min(of_keys, key=estimate_overdispersion)


def test_among_keys_chi_square_decides_and_not_the_likelihood(fits):
    by_chat = min(fits[3:], key=estimate_overdispersion)
    unlikely = replace(by_chat, lnl=by_chat.lnl - 1e4)
    other = next(fit for fit in fits[3:] if fit is not by_chat)
    assert other.aic < unlikely.aic
    assert select_by_qaic([other, unlikely]).best is unlikely


def test_animals_that_are_seen_many_times_make_aic_take_too_many_terms():
    seen = np.repeat(seen_distances(np.random.default_rng(4), 800, 12.0, half_normal(4.0)), 20)
    half_normals = [fit_detection(form, bin_distances(seen, EDGES)) for form in FORMS[:3]]
    assert select_by_aic(half_normals).n_parameters > 1
    assert select_by_qaic(half_normals).best.n_parameters == 1


def test_a_chat_below_1_counts_as_1(fits):
    assert qaic(fits[0], 0.2) == fits[0].aic
    assert qaic(fits[0], 2.0) == pytest.approx(-fits[0].lnl + 2)


def test_the_duikers_of_howe_et_al_have_a_hazard_rate(read_survey):
    survey = read_survey("duiker_peak")
    binned = bin_distances(survey.distance_m, [2, 3, 4, 5, 6, 7, 8, 10, 12, 15])
    fits = [fit_detection(form, binned) for form in FORMS]
    assert select_by_qaic(fits).best.key == "hazard-rate"


def test_what_does_not_compare_is_refused(fits):
    other = fit_detection(FORMS[0], BinnedDistances(np.array([0.0, 4, 8, 12]), np.array([5.0, 9, 4])))
    exact = fit_detection(FORMS[0], truncate([1.0, 4.0, 9.0], right_m=12))
    full = fit_detection(
        detection_function("hazard-rate"), BinnedDistances(np.array([0.0, 4, 8, 12]), np.array([9.0, 9, 4]))
    )
    with pytest.raises(InputError, match="at least one fit"):
        select_by_aic([])
    with pytest.raises(InputError, match="different observations"):
        select_by_aic([fits[0], other])
    with pytest.raises(InputError, match="exact distances lacks"):
        select_by_qaic([exact])
    with pytest.raises(InputError, match="3 bins leave no degrees of freedom for the 2 parameters"):
        select_by_qaic([full])
    assert select_by_aic([exact]) is exact
