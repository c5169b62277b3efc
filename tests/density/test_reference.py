"""Agreement with every row of the results of R's Distance and mrds, within the tolerances of shared/ctds/README.md.

Standard errors, intervals and chi-squares have none there: their tolerances are what R's early end of the search allows.
"""

from __future__ import annotations

import pytest

from density.simulated import DUIKER_CUTPOINTS, station_counts
from trapmeter.density.detection.distances import bin_distances, truncate
from trapmeter.density.detection.fit import fit_detection
from trapmeter.density.detection.function import detection_function
from trapmeter.density.estimate import estimate_density

PEAK = {
    "uni1": ("uniform", "cosine", 1),
    "uni2": ("uniform", "cosine", 2),
    "uni3": ("uniform", "cosine", 3),
    "hn0": ("half-normal",),
    "hn1": ("half-normal", "cosine", 1),
    "hn2": ("half-normal", "cosine", 2),
    "hr0": ("hazard-rate",),
    "hr1": ("hazard-rate", "polynomial", 1),
    "hr1cos": ("hazard-rate", "cosine", 1),
}
POINTS = {
    "PTExercise w20 hn": ("PTExercise", ("half-normal",)),
    "PTExercise w20 hr": ("PTExercise", ("hazard-rate",)),
    "PTExercise w20 unif": ("PTExercise", ("uniform", "cosine", 1)),
    "amakihi w82.5 hn": ("amakihi", ("half-normal",)),
    "amakihi w82.5 hr": ("amakihi", ("hazard-rate",)),
    "wren_snapshot w110 hn": ("wren_snapshot", ("half-normal",)),
    "wren_snapshot w110 hr": ("wren_snapshot", ("hazard-rate",)),
    "wren_5min w110 unif cos1,2": ("wren_5min", ("uniform", "cosine", 2)),
    "sparrow1980 w55 hn": ("Savannah_sparrow_1980", ("half-normal",)),
    "sparrow1980 w55 hr": ("Savannah_sparrow_1980", ("hazard-rate",)),
}
HECTARES_IN_KM2 = 100


def tolerances(form):
    """Relative tolerances of Pa and D, and of standard errors and limits of intervals."""
    return (5e-5, 2e-4) if len(form) == 1 else (2e-3, 4e-3)


@pytest.mark.parametrize("model", PEAK)
def test_duikers_at_peak_activity_agree_with_r(read_transects, peak, model):
    survey, r = read_transects("duiker_peak"), peak[model]
    fit = fit_detection(detection_function(*PEAK[model]), bin_distances(survey.distance_m, DUIKER_CUTPOINTS))
    strict, loose = tolerances(PEAK[model])
    assert (fit.n, fit.left_m, fit.right_m) == (5865, 2, 15)
    assert fit.is_converged
    assert fit.at_bound == ()
    assert fit.lnl >= float(r["lnl"]) - 1e-3
    assert fit.lnl == pytest.approx(float(r["lnl"]), abs=0.01)
    assert fit.aic == pytest.approx(float(r["AIC"]), abs=0.02)
    assert fit.pa == pytest.approx(float(r["Pa"]), rel=strict)
    assert fit.pa_se == pytest.approx(float(r["seP"]), rel=loose)
    assert fit.chi_square.statistic == pytest.approx(float(r["chisq"]), rel=loose)
    assert fit.chi_square.df == int(r["gdf"])
    assert fit.chi_square.per_df == pytest.approx(float(r["chat"]), rel=loose)
    key_parameters = {"uniform": [], "half-normal": [0], "hazard-rate": [1, 0]}[fit.key]
    # If the last term contributes little, R ends the search early and coefficients differ in the third digit.
    assert [*(fit.parameters[i] for i in key_parameters), *fit.coefficients] == pytest.approx(
        [float(text) for text in r["par"].split(";")], abs=1.1e-3
    )

    stations = station_counts(
        survey.station_ids, survey.distance_m, survey.effort_snapshots, left_m=fit.left_m, right_m=fit.right_m
    )
    density = estimate_density(fit, stations, multiplier=0.1166667)
    assert len(stations) == 21
    assert density.density_km2 == pytest.approx(float(r["D"]), rel=strict)
    assert density.se_km2 == pytest.approx(float(r["se"]), rel=loose)
    assert density.cv == pytest.approx(float(r["cv"]), rel=loose)
    assert density.low_km2 == pytest.approx(float(r["LCI"]), rel=loose)
    assert density.high_km2 == pytest.approx(float(r["UCI"]), rel=loose)
    assert density.df == pytest.approx(float(r["df"]), rel=loose)


@pytest.mark.parametrize("case", POINTS)
def test_point_transects_agree_with_r(read_transects, points, case):
    name, form = POINTS[case]
    survey, r = read_transects(name), points[case]
    right_m = float(case.split()[1].removeprefix("w"))
    fit = fit_detection(detection_function(*form), truncate(survey.distance_m, right_m=right_m))
    strict, loose = tolerances(form)
    assert fit.n == int(r["n"])
    assert fit.is_converged
    assert fit.lnl >= float(r["lnl"]) - 1e-3
    assert fit.lnl == pytest.approx(float(r["lnl"]), abs=0.01)
    assert fit.aic == pytest.approx(float(r["AIC"]), abs=0.02)
    assert fit.pa == pytest.approx(float(r["Pa"]), rel=strict)
    assert fit.edr_m == pytest.approx(float(r["edr"]), rel=strict)

    stations = station_counts(survey.station_ids, survey.distance_m, survey.effort_snapshots, right_m=right_m)
    density = estimate_density(fit, stations)
    assert density.density_km2 == pytest.approx(HECTARES_IN_KM2 * float(r["D"]), rel=strict)
    assert density.se_km2 == pytest.approx(HECTARES_IN_KM2 * float(r["se"]), rel=loose)
    assert density.low_km2 == pytest.approx(HECTARES_IN_KM2 * float(r["lci"]), rel=loose)
    assert density.high_km2 == pytest.approx(HECTARES_IN_KM2 * float(r["uci"]), rel=loose)
    assert density.df == pytest.approx(float(r["df"]), rel=loose)


def test_every_row_of_r_is_compared(peak, points):
    assert set(PEAK) == set(peak)
    assert set(POINTS) == set(points)
