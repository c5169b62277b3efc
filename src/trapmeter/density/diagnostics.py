"""Diagnostics: warnings about the survey, the selected fit and the density estimate."""

from __future__ import annotations

import numpy as np

from trapmeter.density.detection.distances import BinnedDistances, Distances, ExactDistances
from trapmeter.density.detection.fit import DetectionFit
from trapmeter.density.detection.heaping import find_heaps_on_cutpoints
from trapmeter.density.detection.near_camera import find_misfit_near_camera
from trapmeter.density.estimate import DensityEstimate
from trapmeter.density.survey.survey import Survey

FEW_STATIONS = 10
FEW_OBSERVATIONS = 60
MANY_OUTSIDE = 0.2
POOR_CV = 1.0
FARTHEST_SHARE = 0.05
"""Share of the distances that a proposed truncation leaves out."""
NEAREST_EDR_M, FARTHEST_EDR_M = 0.5, 100.0
"""Effective detection radii of camera traps lie between these; others suggest centimetres, feet or kilometres."""


def diagnose(
    survey: Survey,
    distances: Distances,
    fit: DetectionFit,
    density: DensityEstimate,
    *,
    n_candidates: int,
    is_truncated: bool,
) -> list[str]:
    """Warnings for users, [] if there is nothing to warn about.

    Args:
        survey: with its stations.
        distances: those that were fitted.
        fit: the selected fit.
        density: its estimate.
        n_candidates: number of functions among which it was selected.
        is_truncated: whether a right truncation was given, by cutpoints or directly.
    """
    stations = survey.count_detections(distances.left_m, distances.right_m)
    n_all = len(survey.distance_m)
    n_outside = n_all - distances.n
    warnings = []
    if n_outside > MANY_OUTSIDE * n_all:
        warnings.append(
            f"{n_outside:,.0f} of {n_all:,.0f} distances lie outside {distances.left_m:g} to {distances.right_m:g} m and "
            "were left out; check cutpoints and truncation if that is not intended"
        )
    if not is_truncated:
        warnings.append(
            f"without a truncation distances count up to the farthest, {distances.right_m:g} m; leave out the "
            "farthest few, which contribute little (Buckland et al. 2001, section 4.3), such as with --truncation "
            f"{np.quantile(survey.distance_m, 1 - FARTHEST_SHARE):.3g}"
        )
    warnings += _note_heaps(survey, distances)
    is_exact = isinstance(distances, ExactDistances)
    n_at_0 = int((survey.distance_m == 0).sum()) if is_exact and distances.left_m == 0 else 0
    if n_at_0:
        warnings.append(
            f"{n_at_0:,} distances of 0 m contribute nothing to the detection function, because a point has no area; if they "
            f"were rounded, give cutpoints, such as {_example_cutpoints(survey, distances)}"
        )
    if is_exact and n_candidates > 1 and survey.multiplier < 1:
        warnings.append(
            "exact distances are selected by AIC, which assumes independent snapshots of one animal and so prefers too many "
            f"terms (Howe et al. 2019); give cutpoints to select by QAIC, such as {_example_cutpoints(survey, distances)}"
        )
    if survey.multiplier < 1 and not NEAREST_EDR_M < fit.edr_m < FARTHEST_EDR_M:
        warnings.append(
            f"an effective radius of {fit.edr_m:.3g} m is implausible for a camera trap; distances must be in metres: check "
            "their unit"
        )
    if len(stations) < FEW_STATIONS:
        warnings.append(
            f"{len(stations)} stations are few and make intervals rough; 20 or more are advised (Buckland et al. 2001, "
            "section 7.2)"
        )
    if distances.n < FEW_OBSERVATIONS:
        warnings.append(f"{distances.n:g} observations are few for a detection function; 60 to 80 are advised")
    if len(survey.strata) > 1 and not survey.has_areas:
        warnings.append(
            "the areas of some strata are unknown, so strata are weighted by effort, as in R; give areas to weight by area: "
            + " ".join(f"--areas.{stratum} AREA" for stratum in survey.strata)
        )
    warnings += [
        f"stratum {stratum!r} has no detection and counts as a stratum without animals"
        for stratum in survey.strata
        if not any(station.n for station in stations if station.stratum == stratum)
    ]
    if not fit.n_parameters:
        warnings.append(
            f"{fit.function.name} without terms assumes that every animal up to {fit.right_m:g} m is detected, so density is "
            "too low if some are missed; give finer cutpoints or another --key"
        )
    if fit.at_bound:
        warnings.append(
            f"{', '.join(fit.at_bound)} of {fit.function.name} ended on a bound, a sign of a poor fit; check the plot, and "
            "try other cutpoints, truncation or keys"
        )
    warnings += [f"{fit.function.name} {doubt}; it was chosen because you asked for this key" for doubt in fit.doubts]
    warnings += _note_near_camera(fit, distances)
    if not fit.is_converged:
        warnings.append(f"the search for {fit.function.name} did not converge; try other cutpoints")
    if not density.cv < POOR_CV:
        warnings.append(f"the standard error is as large as the density (cv {density.cv:.2f}): don't rely on it")
    return warnings


def _note_heaps(survey: Survey, distances: Distances) -> list[str]:
    """A note on heaps of measured distances on cutpoints; draws have none."""
    if not isinstance(distances, BinnedDistances) or survey.n_draws > 1:
        return []
    heaps = find_heaps_on_cutpoints(survey.distance_m[:, 0], distances.edges_m)
    if heaps is None:
        return []
    return [
        f"{heaps.n_on_cutpoints:,} of {distances.n:,.0f} distances lie exactly on a cutpoint, because they are rounded to "
        f"{heaps.unit_m:g} m; each counts in the nearer bin, which makes density too high. Put cutpoints between the round "
        f"numbers: --cutpoints {','.join(f'{edge:g}' for edge in heaps.cutpoints_m)}"
    ]


def _note_near_camera(fit: DetectionFit, distances: Distances) -> list[str]:
    """A note on animals near the camera that the fit can't explain, with the likely cause and the remedy."""
    misfit = find_misfit_near_camera(fit, distances)
    if misfit is None:
        return []
    counts = f"{misfit.observed:,.0f} animals were measured up to {misfit.end_m:g} m where {fit.function.name} expects "
    counts += f"{misfit.expected:,.0f}"
    cause = (
        "animals probably come to the camera or stay before it, which makes density far too high"
        if misfit.is_excess
        else "animals probably avoid the camera, or it looks over them, which makes density too low"
    )
    if isinstance(distances, BinnedDistances):
        farther = [edge for edge in distances.edges_m.tolist() if edge >= misfit.end_m]
        option = f"--cutpoints {','.join(f'{edge:g}' for edge in farther)}"
    else:
        option = f"--truncation {misfit.end_m:.3g},{distances.right_m:.3g}"
    return [
        f"{counts}: {cause}. Leave these distances out with {option}, and animals that react to the camera with --leave-out "
        "or --leave-out-tags (in a flat file, leave out their rows)"
    ]


def _example_cutpoints(survey: Survey, distances: Distances) -> str:
    """An option with cutpoints that suit the distances: of 1 m near the camera, wider beyond, in all at least six."""
    right_m = float(np.quantile(survey.distance_m, 1 - FARTHEST_SHARE))
    unit = max(min(1.0, right_m / 6), right_m / 15)
    steps = np.array([0, 1, 2, 3, 4, 5, 6, 8, 10, 12, 15]) * unit + distances.left_m
    edges = steps[steps <= max(right_m, steps[6])]
    return f"--cutpoints {','.join(f'{edge:.3g}' for edge in edges)}"
