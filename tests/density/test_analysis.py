from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from density.simulated import make_survey
from density.surveys import EDGES, true_density
from trapmeter.density.analysis import run_analysis
from trapmeter.density.candidates import AnalysisSettings
from trapmeter.density.detection.fit import fit_detection
from trapmeter.density.detection.selection import SelectBy, candidate_functions
from trapmeter.density.survey.survey import Station, Survey
from trapmeter.errors import InputError

HALF_NORMAL = candidate_functions(["half-normal"], ["none"])


def test_all_candidates_are_fitted_and_one_is_selected(survey):
    analysis = run_analysis(survey, AnalysisSettings(cutpoints_m=EDGES))
    assert (len(analysis.models), analysis.select_by, analysis.failures) == (8, SelectBy.QAIC, ())
    assert analysis.best.density.low_km2 < true_density() < analysis.best.density.high_km2
    assert all(model.qaic is not None for model in analysis.models)


def test_exact_distances_are_selected_by_aic_and_truncated_at_the_farthest(survey):
    analysis = run_analysis(survey, AnalysisSettings(candidate_functions(["half-normal", "hazard-rate"], ["none"])))
    assert analysis.select_by is SelectBy.AIC
    assert analysis.distances.right_m == survey.distance_m.max()
    assert analysis.best.qaic is None
    assert any("without a truncation" in warning for warning in analysis.warnings)


def test_candidates_that_fail_are_reported_and_the_others_stay(survey):
    analysis = run_analysis(
        survey, AnalysisSettings(candidate_functions([], ["cosine"]), cutpoints_m=(0.0, 3.0, 6.0, 10.0))
    )
    assert {name for name, _ in analysis.failures} >= {
        "half-normal + cosine(2)",
        "uniform + cosine(1, 2)",
        "hazard-rate",
    }
    assert {model.fit.function.name for model in analysis.models} == {"half-normal", "uniform + cosine(1)"}
    analysis = run_analysis(survey, AnalysisSettings(HALF_NORMAL, cutpoints_m=(0.0, 5.0, 10.0)))
    assert analysis.best.qaic is None


def test_draws_count_a_tenth_each(survey):
    drawn = replace(survey, distance_m=np.repeat(survey.distance_m, 10, axis=1))
    settings = AnalysisSettings(HALF_NORMAL, cutpoints_m=EDGES)
    once, tenths = run_analysis(survey, settings), run_analysis(drawn, settings)
    assert tenths.distances.n == pytest.approx(once.distances.n)
    assert tenths.best.density.density_km2 == pytest.approx(once.best.density.density_km2, rel=1e-6)


def stratified_survey(areas):
    stations = tuple(
        Station(f"{stratum}{n}", 10 if stratum == "n" else 20, stratum=stratum) for stratum in "ns" for n in range(12)
    )
    rng = np.random.default_rng(0)
    station = np.repeat(np.arange(24), rng.integers(3, 9, 24))
    return Survey(stations, station, rng.uniform(1, 10, (len(station), 1)), areas)


def test_strata_are_weighted_by_area_or_else_by_effort():
    settings = AnalysisSettings(HALF_NORMAL, cutpoints_m=EDGES)
    by_area = run_analysis(stratified_survey({"n": 3.0, "s": 1.0}), settings)
    parts = [by_area.best.by_stratum[name].density_km2 for name in "ns"]
    assert by_area.best.density.density_km2 == pytest.approx(0.75 * parts[0] + 0.25 * parts[1])
    by_effort = run_analysis(stratified_survey({}), settings)
    assert by_effort.best.density.density_km2 == pytest.approx((parts[0] + 2 * parts[1]) / 3)
    assert any("areas of some strata are unknown" in warning for warning in by_effort.warnings)


def test_a_stratum_without_detections_counts_and_is_noted():
    settings = AnalysisSettings(HALF_NORMAL, cutpoints_m=EDGES)
    full = stratified_survey({"n": 1.0, "s": 1.0})
    empty = (Station("e0", 10, stratum="e"), Station("e1", 10, stratum="e"))
    survey = replace(full, stations=(*full.stations, *empty), areas={"n": 1.0, "s": 1.0, "e": 2.0})
    found = run_analysis(survey, settings)
    assert found.best.density.density_km2 == pytest.approx(run_analysis(full, settings).best.density.density_km2 / 2)
    assert "stratum 'e' has no detection and counts as a stratum without animals" in found.warnings
    with pytest.raises(InputError, match="stratum 'e' has 1 station"):
        run_analysis(replace(survey, stations=survey.stations[:-1]), settings)


@pytest.mark.parametrize(
    ("metres", "n_stations", "settings", "message"),
    [
        ([3.0, 4.0, 5.0], 1, {"cutpoints_m": EDGES}, "needs at least 2 of them, got 1"),
        ([4.0] * 30, 5, {"cutpoints_m": EDGES}, "are in the same bin"),
        ([4.0] * 30, 5, {"right_m": 10.0}, "are in the same distance"),
        ([40.0] * 30, 5, {"cutpoints_m": EDGES}, r"no detection between 0 and 10 m \(30 outside\)"),
        (
            [4.0, 5.0, 6.0],
            5,
            {"cutpoints_m": EDGES, "right_m": 15.0},
            "make the first and the last cutpoint the truncation",
        ),
        ([4.0, 5.0, 6.0], 5, {"left_m": 5.0, "right_m": 3.0}, "0 <= left < right"),
        ([0.0, 0.0], 5, {}, "all distances are 0 m"),
    ],
)
def test_unsuitable_data_is_refused_with_advice(metres, n_stations, settings, message):
    with pytest.raises(InputError, match=message):
        run_analysis(make_survey(metres, n_stations=n_stations), AnalysisSettings(HALF_NORMAL, **settings))


def test_few_stations_and_many_distances_outside_give_warnings():
    survey = make_survey(np.linspace(1, 20, 50), n_stations=4)
    warnings = " ".join(run_analysis(survey, AnalysisSettings(HALF_NORMAL, cutpoints_m=EDGES)).warnings)
    for words in ("of 50 distances lie outside", "4 stations are few", "observations are few"):
        assert words in warnings


def warnings_for(metres, multiplier, settings):
    survey = make_survey(metres, n_stations=12, multiplier=multiplier)
    return " ".join(run_analysis(survey, settings).warnings)


def test_exact_distances_of_0_m_give_a_warning():
    metres = np.linspace(0.2, 12, 120)
    exact = AnalysisSettings(HALF_NORMAL, right_m=12.0)
    assert "1 distances of 0 m contribute nothing" in warnings_for([0.0, *metres], 1.0, exact)
    assert "of 0 m" not in warnings_for(metres, 1.0, exact)
    assert "of 0 m" not in warnings_for([0.0, *metres], 1.0, AnalysisSettings(HALF_NORMAL, cutpoints_m=EDGES))


@pytest.mark.parametrize(("per_metre", "has_warning"), [(1.0, False), (100.0, True), (0.001, True)])
def test_distances_in_another_unit_give_a_warning(per_metre, has_warning):
    metres = np.linspace(0.2, 12, 120) * per_metre
    settings = AnalysisSettings(HALF_NORMAL, right_m=12.0 * per_metre)
    assert ("check their unit" in warnings_for(metres, 0.1, settings)) == has_warning
    # Ordinary point transects reach as far as birds can be heard.
    assert "check their unit" not in warnings_for(metres, 1.0, settings)


def test_a_warning_advises_to_bin_exact_distances_of_camera_traps():
    metres = np.linspace(0.2, 12, 120)
    assert "give cutpoints to select by QAIC" in warnings_for(metres, 0.1, AnalysisSettings(right_m=12.0))
    assert "QAIC" not in warnings_for(metres, 0.1, AnalysisSettings(HALF_NORMAL, right_m=12.0))
    assert "QAIC" not in warnings_for(metres, 1.0, AnalysisSettings(right_m=12.0))


def test_distances_in_one_bin_leave_the_constant_function_with_a_note():
    functions = candidate_functions(["uniform", "half-normal", "hazard-rate"], ["none"])
    found = run_analysis(make_survey([5.0] * 60, n_stations=12), AnalysisSettings(functions, cutpoints_m=EDGES))
    assert [name for name, _ in found.failures] == ["half-normal", "hazard-rate"]
    assert all("in the same bin" in reason for _, reason in found.failures)
    assert any("assumes that every animal up to 10 m is detected" in note for note in found.warnings)


@pytest.mark.parametrize("error", [np.linalg.LinAlgError("singular"), ZeroDivisionError("division"), OverflowError()])
def test_a_candidate_that_fails_in_any_way_is_left_out(monkeypatch, survey, error):
    def fit(function, *arguments, **options):
        if function.key.name == "hazard-rate":
            raise error
        return fit_detection(function, *arguments, **options)

    monkeypatch.setattr("trapmeter.density.candidates.fit_detection", fit)
    functions = candidate_functions(["half-normal", "hazard-rate"], ["none"])
    found = run_analysis(survey, AnalysisSettings(functions, cutpoints_m=EDGES))
    assert found.best.fit.key == "half-normal"
    assert "can't be computed" in dict(found.failures)["hazard-rate"]
