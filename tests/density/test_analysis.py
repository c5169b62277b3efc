"""The whole estimation on small surveys, its bootstrap, and what is said of poor data."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from density.surveys import flat_text, true_density
from trapmeter.density.analysis import AnalysisSettings, SelectBy, run_analysis
from trapmeter.density.bootstrap import bootstrap_density
from trapmeter.density.detection.selection import candidate_functions
from trapmeter.density.estimate import Availability
from trapmeter.density.replicates import BootstrapSettings
from trapmeter.density.survey.flat_file import survey_from_rows
from trapmeter.density.survey.survey import Station, Survey
from trapmeter.errors import InputError
from trapmeter.tables.flatfile import read_flat_file

EDGES = (0.0, 2.0, 4.0, 6.0, 8.0, 10.0)
HALF_NORMAL = candidate_functions(["half-normal"], ["none"])


@pytest.fixture(scope="module")
def survey(tmp_path_factory):
    path = tmp_path_factory.mktemp("flat") / "flat.csv"
    path.write_text(flat_text(n_stations=40))
    return survey_from_rows(read_flat_file(path))


def test_candidates_are_those_of_howe_unless_named():
    assert len(candidate_functions()) == 8
    assert [one.name for one in candidate_functions(["hr"])] == ["hazard-rate", "hazard-rate + cosine(2)"]
    assert [one.name for one in candidate_functions(["half-normal"], ["hermite:1"])] == ["half-normal + hermite(4)"]
    assert [one.name for one in candidate_functions(["uniform"], ["none"])] == ["uniform"]
    assert "uniform" not in [one.name for one in candidate_functions([], ["none", "cosine"])]
    for wrong in (["none", "sine"], ["cosine:two"], [":1"]):
        with pytest.raises(InputError, match="expected the adjustment none, cosine"):
            candidate_functions([], wrong)
    with pytest.raises(InputError, match="expected the key"):
        candidate_functions(["halfnormal"])


def test_all_candidates_are_fitted_and_one_is_selected(survey):
    analysis = run_analysis(survey, AnalysisSettings(cutpoints_m=EDGES))
    assert (len(analysis.models), analysis.select_by, analysis.failures) == (8, SelectBy.QAIC, ())
    assert analysis.best.density.low_km2 < true_density() < analysis.best.density.high_km2
    assert all(model.qaic is not None for model in analysis.models)


def test_exact_distances_are_judged_by_aic_and_truncated_at_the_farthest(survey):
    analysis = run_analysis(survey, AnalysisSettings(candidate_functions(["half-normal", "hazard-rate"], ["none"])))
    assert analysis.select_by is SelectBy.AIC
    assert analysis.distances.right_m == survey.distance_m.max()
    assert analysis.best.qaic is None
    assert any("no truncation was given" in warning for warning in analysis.warnings)


def test_a_candidate_that_can_t_be_fitted_is_told_and_the_others_stay(survey):
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
    once, tenths = (run_analysis(one, AnalysisSettings(HALF_NORMAL, cutpoints_m=EDGES)) for one in (survey, drawn))
    assert tenths.distances.n == pytest.approx(once.distances.n)
    assert tenths.best.density.density_km2 == pytest.approx(once.best.density.density_km2, rel=1e-6)


def strata(areas):
    cameras = tuple(
        Station(f"{stratum}{n}", 10 if stratum == "n" else 20, stratum=stratum) for stratum in "ns" for n in range(12)
    )
    rng = np.random.default_rng(0)
    camera = np.repeat(np.arange(24), rng.integers(3, 9, 24))
    return Survey(cameras, camera, rng.uniform(1, 10, (len(camera), 1)), areas)


def test_strata_are_weighted_by_area_or_else_by_effort():
    settings = AnalysisSettings(HALF_NORMAL, cutpoints_m=EDGES)
    by_area = run_analysis(strata({"n": 3.0, "s": 1.0}), settings)
    parts = [by_area.best.by_stratum[name].density_km2 for name in "ns"]
    assert by_area.best.density.density_km2 == pytest.approx(0.75 * parts[0] + 0.25 * parts[1])
    by_effort = run_analysis(strata({}), settings)
    assert by_effort.best.density.density_km2 == pytest.approx((parts[0] + 2 * parts[1]) / 3)
    assert any("areas of strata are not all known" in warning for warning in by_effort.warnings)


def test_a_stratum_without_detections_counts_and_is_said():
    settings = AnalysisSettings(HALF_NORMAL, cutpoints_m=EDGES)
    full = strata({"n": 1.0, "s": 1.0})
    empty = (Station("e0", 10, stratum="e"), Station("e1", 10, stratum="e"))
    survey = replace(full, stations=(*full.stations, *empty), areas={"n": 1.0, "s": 1.0, "e": 2.0})
    found = run_analysis(survey, settings)
    assert found.best.density.density_km2 == pytest.approx(run_analysis(full, settings).best.density.density_km2 / 2)
    assert "stratum 'e' has no detection: it counts as one without animals" in found.warnings
    with pytest.raises(InputError, match="stratum 'e' has 1 station"):
        run_analysis(replace(survey, stations=survey.stations[:-1]), settings)


@pytest.mark.parametrize(
    ("metres", "n_cameras", "settings", "message"),
    [
        ([3.0, 4.0, 5.0], 1, {"cutpoints_m": EDGES}, "at least 2 are needed, got 1"),
        ([4.0] * 30, 5, {"cutpoints_m": EDGES}, "have the same bin"),
        ([4.0] * 30, 5, {"right_m": 10.0}, "have the same distance"),
        ([40.0] * 30, 5, {"cutpoints_m": EDGES}, r"no detection between 0 and 10 m \(30 beyond\)"),
        ([4.0, 5.0, 6.0], 5, {"cutpoints_m": EDGES, "right_m": 15.0}, "let the first and the last cutpoint be"),
        ([4.0, 5.0, 6.0], 5, {"left_m": 5.0, "right_m": 3.0}, "0 <= left < right"),
        ([0.0, 0.0], 5, {}, "all distances are 0 m"),
    ],
)
def test_poor_data_is_refused_with_what_to_do(metres, n_cameras, settings, message):
    cameras = tuple(Station(f"c{n}", 10) for n in range(n_cameras))
    survey = Survey(cameras, np.arange(len(metres)) % n_cameras, np.array(metres)[:, None])
    with pytest.raises(InputError, match=message):
        run_analysis(survey, AnalysisSettings(HALF_NORMAL, **settings))


def test_few_stations_and_many_outside_are_warned_of():
    cameras = tuple(Station(f"c{n}", 10) for n in range(4))
    metres = np.linspace(1, 20, 50)[:, None]
    analysis = run_analysis(
        Survey(cameras, np.arange(50) % 4, metres), AnalysisSettings(HALF_NORMAL, cutpoints_m=EDGES)
    )
    said = " ".join(analysis.warnings)
    for words in ("of 50 distances lie outside", "4 stations are few", "observations are few"):
        assert words in said


def said_of(metres, multiplier, settings):
    cameras = tuple(Station(f"c{n}", 10, multiplier) for n in range(12))
    survey = Survey(cameras, np.arange(len(metres)) % 12, np.array(metres)[:, None])
    return " ".join(run_analysis(survey, settings).warnings)


def test_distances_of_0_m_are_said_and_change_little():
    metres = np.linspace(0.2, 12, 120)
    exact = AnalysisSettings(HALF_NORMAL, right_m=12.0)
    assert "1 distances of 0 m tell nothing" in said_of([0.0, *metres], 1.0, exact)
    assert "of 0 m" not in said_of(metres, 1.0, exact)
    assert "of 0 m" not in said_of([0.0, *metres], 1.0, AnalysisSettings(HALF_NORMAL, cutpoints_m=EDGES))


@pytest.mark.parametrize(("per_metre", "is_odd"), [(1.0, False), (100.0, True), (0.001, True)])
def test_distances_of_another_unit_are_said(per_metre, is_odd):
    metres = np.linspace(0.2, 12, 120) * per_metre
    settings = AnalysisSettings(HALF_NORMAL, right_m=12.0 * per_metre)
    assert ("check their unit" in said_of(metres, 0.1, settings)) == is_odd
    # Ordinary point transects reach as far as birds are heard.
    assert "check their unit" not in said_of(metres, 1.0, settings)


def test_exact_snapshots_of_camera_traps_are_better_binned():
    metres = np.linspace(0.2, 12, 120)
    assert "give cutpoints to select by QAIC" in said_of(metres, 0.1, AnalysisSettings(right_m=12.0))
    assert "QAIC" not in said_of(metres, 0.1, AnalysisSettings(HALF_NORMAL, right_m=12.0))
    assert "QAIC" not in said_of(metres, 1.0, AnalysisSettings(right_m=12.0))


def test_the_bootstrap_is_the_same_for_a_seed_and_near_the_formula(survey):
    analysis = run_analysis(survey, AnalysisSettings(HALF_NORMAL, cutpoints_m=EDGES))
    found = bootstrap_density(analysis, BootstrapSettings(200, seed=4))
    assert found.densities == bootstrap_density(analysis, BootstrapSettings(200, seed=4)).densities
    assert found.densities != bootstrap_density(analysis, BootstrapSettings(200, seed=5)).densities
    density = analysis.best.density
    assert found.low_km2 < density.density_km2 < found.high_km2
    assert found.median_km2 == pytest.approx(density.density_km2, rel=0.05)
    assert found.cv == pytest.approx(density.cv, rel=0.25)
    assert (found.n_failed, found.chosen) == (0, {"half-normal": 200})


def test_exact_distances_and_availability_are_replicated_too(survey):
    settings = AnalysisSettings(HALF_NORMAL, right_m=10.0)
    plain, seen = (run_analysis(survey, settings, share) for share in (None, Availability(0.5, 0.1)))
    certain, unsure = (bootstrap_density(one, BootstrapSettings(60)) for one in (plain, seen))
    assert certain.median_km2 == pytest.approx(plain.best.density.density_km2, rel=0.1)
    assert unsure.median_km2 == pytest.approx(2 * certain.median_km2, rel=0.15)
    assert unsure.cv > certain.cv


def test_errors_of_scale_widen_the_spread(survey):
    analysis = run_analysis(survey, AnalysisSettings(HALF_NORMAL, cutpoints_m=EDGES))
    plain, unsure = (bootstrap_density(analysis, BootstrapSettings(60, scale_sd=sd)) for sd in (0.0, 0.2))
    assert unsure.cv > 1.3 * plain.cv


def test_workers_give_the_same_as_one_process(survey):
    analysis = run_analysis(survey, AnalysisSettings(HALF_NORMAL, cutpoints_m=EDGES))
    one, two = (bootstrap_density(analysis, BootstrapSettings(30, jobs=jobs)) for jobs in (1, 2))
    assert one.densities == two.densities


def test_failures_are_counted_and_too_many_refused():
    cameras = tuple(Station(f"c{n}", 10) for n in range(6))
    # Two cameras alone saw anything, each in one bin: replicates with both can be fitted.
    survey = Survey(cameras, np.repeat([0, 1], 30), np.repeat([1.0, 5.0], 30)[:, None])
    analysis = run_analysis(survey, AnalysisSettings(HALF_NORMAL, cutpoints_m=EDGES))
    with pytest.raises(InputError, match=r"only \d+ of 100 bootstrap replicates could be fitted"):
        bootstrap_density(analysis, BootstrapSettings(100))
    with pytest.raises(InputError, match="20 or more bootstrap replicates"):
        BootstrapSettings(5)
    with pytest.raises(InputError, match="errors of scale"):
        BootstrapSettings(scale_sd=10)
