from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from density.simulated import DUIKER_CUTPOINTS, EDGES, detected_distances, half_normal, hazard_rate
from trapmeter.density.detection.distances import BinnedDistances, bin_distances, truncate
from trapmeter.density.detection.fit import fit_detection
from trapmeter.density.detection.function import detection_function
from trapmeter.density.detection.selection import (
    candidate_functions,
    estimate_overdispersion,
    qaic,
    select_by_aic,
    select_by_qaic,
)
from trapmeter.errors import InputError

FORMS = [
    detection_function("half-normal"),
    detection_function("half-normal", "cosine", 1),
    detection_function("half-normal", "cosine", 2),
    detection_function("hazard-rate"),
    detection_function("uniform", "cosine", 1),
]


@pytest.fixture(scope="module")
def fits():
    # Every animal is detected in ten snapshots at the same distance.
    detected = np.repeat(detected_distances(np.random.default_rng(0), 1500, 12.0, hazard_rate(4.5, 2.5)), 10)
    return [fit_detection(form, bin_distances(detected, EDGES)) for form in FORMS]


def test_candidates_are_those_of_howe_et_al_unless_named():
    assert len(candidate_functions()) == 8
    assert [function.name for function in candidate_functions(["hr"])] == ["hazard-rate", "hazard-rate + cosine(2)"]
    assert [function.name for function in candidate_functions(["half-normal"], ["hermite:1"])] == [
        "half-normal + hermite(4)"
    ]
    assert [function.name for function in candidate_functions(["uniform"], ["none"])] == ["uniform"]
    assert "uniform" not in [function.name for function in candidate_functions([], ["none", "cosine"])]
    for invalid in (["none", "sine"], ["cosine:two"], [":1"]):
        with pytest.raises(InputError, match="expected the adjustment none, cosine"):
            candidate_functions([], invalid)
    with pytest.raises(InputError, match="expected the key"):
        candidate_functions(["halfnormal"])


def test_the_fit_with_the_least_aic_is_selected(fits):
    best = select_by_aic(fits)
    assert best.aic == min(fit.aic for fit in fits)
    assert best in fits


def test_qaic_selects_in_two_steps(fits):
    found = select_by_qaic(fits)
    assert [scored.fit for scored in found.scored_fits] == fits
    chat = estimate_overdispersion(fits[2])
    assert chat == pytest.approx(fits[2].chi_square.statistic / 4)
    # All half-normals share the c-hat of the one with most terms.
    for scored in found.scored_fits[:3]:
        assert scored.chat == chat
        assert scored.qaic == pytest.approx(-2 * scored.fit.lnl / chat + 2 * scored.fit.n_parameters)
    assert [scored.is_best_of_key for scored in found.scored_fits[3:]] == [True, True]
    assert [scored.is_best_of_key for scored in found.scored_fits[:3]].count(True) == 1
    best_of_keys = [scored.fit for scored in found.scored_fits if scored.is_best_of_key]
    assert found.best is min(best_of_keys, key=estimate_overdispersion)


def test_chi_square_selects_among_keys_whatever_the_likelihood(fits):
    by_chat = min(fits[3:], key=estimate_overdispersion)
    unlikely = replace(by_chat, lnl=by_chat.lnl - 1e4)
    other = next(fit for fit in fits[3:] if fit is not by_chat)
    assert other.aic < unlikely.aic
    assert select_by_qaic([other, unlikely]).best is unlikely


def test_repeated_detections_make_aic_select_too_many_terms():
    detected = np.repeat(detected_distances(np.random.default_rng(4), 800, 12.0, half_normal(4.0)), 20)
    half_normals = [fit_detection(form, bin_distances(detected, EDGES)) for form in FORMS[:3]]
    assert select_by_aic(half_normals).n_parameters > 1
    assert select_by_qaic(half_normals).best.n_parameters == 1


def test_a_chat_below_1_counts_as_1(fits):
    assert qaic(fits[0], 0.2) == fits[0].aic
    assert qaic(fits[0], 2.0) == pytest.approx(-fits[0].lnl + 2)


def test_the_duikers_of_howe_et_al_have_a_hazard_rate(read_transects):
    binned = bin_distances(read_transects("duiker_peak").distance_m, DUIKER_CUTPOINTS)
    fits = [fit_detection(form, binned) for form in FORMS]
    assert select_by_qaic(fits).best.key == "hazard-rate"


def test_fits_that_cannot_be_compared_are_refused(fits):
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


def names(keys, adjustments):
    return [function.name for function in candidate_functions(keys, adjustments)]


def test_a_key_may_have_adjustments_of_its_own():
    assert names(["unif", "hn", "hr"], ["hr=poly"]) == [
        "uniform + cosine(1)",
        "uniform + cosine(1, 2)",
        "uniform + cosine(1, 2, 3)",
        "half-normal",
        "half-normal + cosine(2)",
        "half-normal + cosine(2, 3)",
        "hazard-rate",
        "hazard-rate + polynomial(4)",
    ]
    assert names([], ["none", "uniform=cosine:1", "hazard-rate=polynomial:1", "hazard-rate=none"]) == [
        "uniform + cosine(1)",
        "half-normal",
        "hazard-rate + polynomial(4)",
        "hazard-rate",
    ]


@pytest.mark.parametrize(
    ("keys", "adjustments", "message"),
    [
        (["half-normal"], ["hazard-rate=polynomial"], "for the key hazard-rate, but the keys are half-normal"),
        ([], ["gamma=cosine"], "expected the key .* got 'gamma'"),
        ([], ["uniform=sine"], "expected the adjustment none, cosine"),
    ],
)
def test_adjustments_of_unknown_or_absent_keys_are_refused(keys, adjustments, message):
    with pytest.raises(InputError, match=message):
        candidate_functions(keys, adjustments)
