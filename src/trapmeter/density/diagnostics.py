"""Diagnostics: warnings about the survey, the selected fit and the density estimate."""

from __future__ import annotations

from trapmeter.density.detection.distances import Distances, ExactDistances
from trapmeter.density.detection.fit import DetectionFit
from trapmeter.density.estimate import DensityEstimate
from trapmeter.density.survey.survey import Survey

FEW_STATIONS = 10
FEW_OBSERVATIONS = 60
MANY_OUTSIDE = 0.2
POOR_CV = 1.0
NEAREST_EDR_M, FARTHEST_EDR_M = 0.5, 100.0
"""Between these lie the effective detection radii of camera traps; others are of centimetres, feet or kilometres."""


def diagnose(
    survey: Survey,
    distances: Distances,
    fit: DetectionFit,
    density: DensityEstimate,
    *,
    n_candidates: int,
    is_truncated: bool,
) -> list[str]:
    """Sentences for people, [] where all is as it should be.

    Args:
        survey: with its stations.
        distances: those that were fitted.
        fit: the selected one.
        density: what it gives.
        n_candidates: how many functions it was selected among.
        is_truncated: whether a right truncation was given, by cutpoints or apart.
    """
    stations = survey.count_detections(distances.left_m, distances.right_m)
    found = []
    every = len(survey.distance_m)
    outside = every - distances.n
    if outside > MANY_OUTSIDE * every:
        found.append(
            f"{outside:,.0f} of {every:,.0f} distances lie outside {distances.left_m:g} to {distances.right_m:g} m and were "
            "left out; check cutpoints and truncation if that is not intended"
        )
    if not is_truncated:
        found.append(
            f"no truncation was given: the farthest distance, {distances.right_m:g} m, is taken; give --truncation to leave "
            "out the farthest few, which say little of detection (Buckland et al. 2001, section 4.3)"
        )
    is_exact = isinstance(distances, ExactDistances)
    n_at_0 = int((survey.distance_m == 0).sum()) if is_exact and distances.left_m == 0 else 0
    if n_at_0:
        found.append(
            f"{n_at_0:,} distances of 0 m tell nothing of how detection falls, for nothing stands at a point; if they were "
            "rounded, give cutpoints"
        )
    if is_exact and n_candidates > 1 and survey.multiplier < 1:
        found.append(
            "exact distances are judged by AIC, which takes snapshots of one animal as independent and so prefers too many "
            "terms (Howe et al. 2019); give cutpoints to select by QAIC"
        )
    if survey.multiplier < 1 and not NEAREST_EDR_M < fit.edr_m < FARTHEST_EDR_M:
        found.append(
            f"an effective radius of {fit.edr_m:.3g} m is none of a camera trap: distances are taken as metres; check "
            "their unit"
        )
    if len(stations) < FEW_STATIONS:
        found.append(
            f"{len(stations)} stations are few: intervals from so few are rough; 20 or more are advised (Buckland et al. "
            "2001, section 7.2)"
        )
    if distances.n < FEW_OBSERVATIONS:
        found.append(f"{distances.n:g} observations are few for a detection function; 60 to 80 are advised")
    if len(survey.strata) > 1 and not survey.has_areas:
        found.append(
            "the areas of strata are not all known, so that strata count by their effort, as in R; give areas to weight them"
        )
    found += [
        f"stratum {stratum!r} has no detection: it counts as one without animals"
        for stratum in survey.strata
        if not any(one.n for one in stations if one.stratum == stratum)
    ]
    if survey.errors is not None:
        found.append(
            "the interval by formula takes errors of distances as independent, which those of one camera are not; take the "
            "bootstrap's"
        )
    if fit.at_bound:
        found.append(
            f"{', '.join(fit.at_bound)} of {fit.function.name} ended on the edge of what is allowed, a sign that "
            "distances don't suit it; look at the plot, and try other cutpoints, truncation or keys"
        )
    if not fit.is_converged:
        found.append(f"the search for {fit.function.name} ended before its best was certain; try other cutpoints")
    if not density.cv < POOR_CV:
        found.append(f"the standard error is as large as the density itself (cv {density.cv:.2f}): don't rely on it")
    return found
