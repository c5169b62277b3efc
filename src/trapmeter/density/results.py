"""The results of a density analysis as JSON and as CSV."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import Any

from trapmeter._version import __version__
from trapmeter.density.analysis import Analysis
from trapmeter.density.bootstrap import PartInterval
from trapmeter.density.detection.distances import BinnedDistances, ExactDistances
from trapmeter.density.detection.near_camera import find_misfit_near_camera
from trapmeter.density.estimate import DensityEstimate, GroupSize
from trapmeter.density.models import FittedModel
from trapmeter.density.run import DensityRun
from trapmeter.files import atomic_file
from trapmeter.tables.csvfile import to_cell

CSV_COLUMNS = (
    "model", "stratum", "selected", "key", "adjustments", "parameters", "n", "n_stations", "effort_snapshots", "lnl", "aic",
    "qaic", "chat", "pa", "pa_se", "edr_m", "density_km2", "se", "cv", "low", "high", "df", "column", "level", "group_size",
    "group_size_se",
)  # fmt: skip


def to_record(run: DensityRun) -> dict[str, Any]:
    """The run as plain values; unknown numbers (infinite or NaN) are None."""
    analysis = run.analysis
    distances, survey, density, headline = analysis.distances, analysis.survey, analysis.best.density, run.headline
    record: dict[str, Any] = _to_json_value(
        {
            "trapmeter": __version__,
            "selected": analysis.best.fit.function.name,
            "select_by": analysis.select_by,
            "density_km2": headline.density_km2,
            "se": headline.se_km2,
            "cv": headline.cv,
            "low": headline.low_km2,
            "high": headline.high_km2,
            "df": headline.df,
            "interval": headline.interval,
            "level": density.level,
            "cv_parts": {
                "encounter": density.encounter_cv,
                "detection": density.detection_cv,
                "availability": density.availability_cv,
            },
            "n": distances.n,
            "n_outside": float(survey.observation_weights().sum()) - distances.n,
            "n_stations": density.n_stations,
            "n_stations_without_detections": sum(
                not station.n for station in survey.count_detections(distances.left_m, distances.right_m)
            ),
            "effort_snapshots": density.effort_snapshots,
            "effort_basis": survey.basis,
            "multiplier": survey.multiplier,
            "left_m": distances.left_m,
            "right_m": distances.right_m,
            "cutpoints_m": distances.edges_m.tolist() if isinstance(distances, BinnedDistances) else [],
            "draws": survey.n_draws,
            "errors": None if survey.errors is None else survey.errors.name,
            "availability": {"share": analysis.availability.share, "se": analysis.availability.se},
            "availability_by": _availability_record(analysis),
            "near_camera": _near_camera_record(analysis),
            "formulas": [formula.name for formula in analysis.settings.formulas],
            "by": analysis.settings.by,
            "fits": [
                _fit_record(model, analysis, index == analysis.selected) for index, model in enumerate(analysis.models)
            ],
            "failures": [{"model": name, "reason": reason} for name, reason in analysis.failures],
            "bootstrap": _bootstrap_record(run),
            "warnings": list(run.warnings),
        }
    )
    return record


def write_json(path: str | Path, run: DensityRun) -> None:
    """Writes `to_record` as JSON, atomically.

    Raises:
        RunError: the file can't be written.
    """
    with atomic_file(Path(path)) as file:
        json.dump(to_record(run), file, indent=1, ensure_ascii=False, allow_nan=False)
        file.write("\n")


def write_csv(path: str | Path, run: DensityRun) -> None:
    """Writes a row for each fit, one for each of several strata, and one for each level, atomically.

    Raises:
        RunError: the file can't be written.
    """
    with atomic_file(Path(path)) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(CSV_COLUMNS)
        for fit in to_record(run)["fits"]:
            parts = [{**fit, "group_size": None, "group_size_se": None, **stratum} for stratum in fit["strata"]]
            parts += [{**fit, "pa_se": None, "edr_m": None, **level} for level in fit["levels"]]
            for row in (fit, *parts):
                writer.writerow([_to_cell(row.get(column)) for column in CSV_COLUMNS])


def _fit_record(model: FittedModel, analysis: Analysis, is_selected: bool) -> dict[str, Any]:
    fit = model.fit
    square, distances = fit.chi_square, analysis.distances
    goodness = fit.goodness(distances) if isinstance(distances, ExactDistances) else None
    return {
        "model": fit.function.name,
        "stratum": "",
        "selected": is_selected,
        "key": fit.key,
        "adjustments": "none" if fit.adjustment is None else fit.adjustment.name,
        "formula": None if fit.function.scale is None else fit.function.scale.formula.name,
        "parameters": fit.reported_parameters,
        "coefficients": list(fit.coefficients),
        "n": fit.n,
        "lnl": fit.lnl,
        "aic": fit.aic,
        "qaic": model.qaic,
        "chat": model.chat,
        "chi_square": None if square is None else {"statistic": square.statistic, "df": square.df, "p": square.p},
        "ks": None if goodness is None else {"statistic": goodness.ks, "p": goodness.ks_p},
        "cvm": None if goodness is None else {"statistic": goodness.cvm, "p": goodness.cvm_p},
        "bins": [
            {"low_m": count.low_m, "high_m": count.high_m, "observed": count.observed, "expected": count.expected}
            for count in (square.bins if square else ())
        ],
        "pa": fit.pa,
        "pa_se": fit.pa_se,
        "edr_m": fit.edr_m,
        **_density_record(model.density),
        **_group_record(model.group_size),
        "at_bound": list(fit.at_bound),
        "converged": fit.is_converged,
        "doubts": list(fit.doubts),
        "strata": [{"stratum": name, **_density_record(density)} for name, density in model.by_stratum.items()],
        "levels": [
            {
                "column": found.column,
                "level": found.level,
                "pa": found.pa,
                "availability": {"share": found.availability.share, "se": found.availability.se},
                "of_stations": found.is_of_stations,
                **_density_record(found.density),
                **_group_record(found.group_size),
            }
            for found in model.by_level
        ],
    }


def _near_camera_record(analysis: Analysis) -> dict[str, Any]:
    """What was left out near the camera, and what the selected function can't explain there."""
    survey, distances = analysis.survey, analysis.distances
    misfit = find_misfit_near_camera(analysis.best.fit, distances)
    return {
        "left_m": distances.left_m,
        "n_nearer": float(survey.observation_weights() @ (survey.distance_m < distances.left_m).mean(axis=1)),
        "misfit": None
        if misfit is None
        else {
            "end_m": misfit.end_m,
            "observed": misfit.observed,
            "expected": misfit.expected,
            "is_excess": misfit.is_excess,
        },
    }


def _group_record(size: GroupSize | None) -> dict[str, Any]:
    """The density of groups and their mean size; None if all animals are single."""
    if size is None:
        return {"group_size": None, "group_size_se": None, "groups": None}
    return {"group_size": size.mean, "group_size_se": size.se, "groups": _density_record(size.density)}


def _availability_record(analysis: Analysis) -> dict[str, Any] | None:
    by_level = analysis.availability_by_level
    if by_level is None:
        return None
    shares = {level: {"share": known.share, "se": known.se} for level, known in by_level.by_level.items()}
    return {"column": by_level.column, "levels": shares}


def _density_record(density: DensityEstimate) -> dict[str, Any]:
    return {
        "density_km2": density.density_km2,
        "se": density.se_km2,
        "cv": density.cv,
        "low": density.low_km2,
        "high": density.high_km2,
        "df": density.df,
        "n": density.n,
        "n_stations": density.n_stations,
        "effort_snapshots": density.effort_snapshots,
    }


def _bootstrap_record(run: DensityRun) -> dict[str, Any] | None:
    bootstrap = run.bootstrap
    if bootstrap is None:
        return None
    return {
        "replicates": bootstrap.settings.replicates,
        "seed": bootstrap.settings.seed,
        "scale_error": bootstrap.settings.scale_sd,
        "site_scale_error": bootstrap.settings.site_scale_sd,
        "median": bootstrap.median_km2,
        "low": bootstrap.low_km2,
        "high": bootstrap.high_km2,
        "percentile_low": bootstrap.percentiles_km2[0],
        "percentile_high": bootstrap.percentiles_km2[1],
        "log_low": bootstrap.log_low_km2,
        "log_high": bootstrap.log_high_km2,
        "se": bootstrap.se_km2,
        "cv": bootstrap.cv,
        "level": bootstrap.level,
        "failed": bootstrap.n_failed,
        "failures": dict(bootstrap.failures),
        "chosen": dict(bootstrap.chosen),
        "densities": list(bootstrap.densities),
        "groups": _part_record(bootstrap.groups),
        "group_size_se": bootstrap.group_size_se,
        "levels": [
            {"column": found.column, "level": found.level, **(_part_record(interval) or {})}
            for found, interval in zip(run.analysis.best.by_level, bootstrap.by_level, strict=True)
        ],
    }


def _part_record(interval: PartInterval | None) -> dict[str, Any] | None:
    if interval is None:
        return None
    return {"log_low": interval.low_km2, "log_high": interval.high_km2, "cv": interval.cv, "replicates": interval.n}


def _to_json_value(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _to_json_value(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_to_json_value(item) for item in value]
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    return value


def _to_cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.10g}"
    if isinstance(value, dict):
        return " ".join(f"{name}={number:.10g}" for name, number in value.items())
    return to_cell(str(value))
