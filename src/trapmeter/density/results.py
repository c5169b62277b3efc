"""What an estimation gave, as JSON and as CSV: a record for each fit, the selected one named."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import Any

from trapmeter import __version__
from trapmeter.density.analysis import Analysis, FittedModel
from trapmeter.density.distances import BinnedDistances, ExactDistances
from trapmeter.density.estimate import Density
from trapmeter.density.run import DensityRun
from trapmeter.files import whole_file
from trapmeter.tables.celltext import to_cell

CSV_COLUMNS = (
    "model", "stratum", "selected", "key", "adjustments", "parameters", "n", "n_stations", "effort_snapshots", "lnl", "aic",
    "qaic", "chat", "pa", "pa_se", "edr_m", "density_km2", "se", "cv", "low", "high", "df",
)  # fmt: skip


def result(run: DensityRun) -> dict[str, Any]:
    """Everything as plain values; numbers that nobody knows (infinite, or not a number) are None."""
    analysis = run.analysis
    distances, survey, density = analysis.distances, analysis.survey, analysis.best.density
    record: dict[str, Any] = _plain(
        {
            "trapmeter": __version__,
            "selected": analysis.best.fit.function.name,
            "select_by": analysis.select_by,
            "density_km2": density.density_km2,
            "se": density.se_km2,
            "cv": density.cv,
            "low": density.low_km2,
            "high": density.high_km2,
            "df": density.df,
            "level": density.level,
            "cv_parts": {
                "encounter": density.encounter_cv,
                "detection": density.detection_cv,
                "availability": density.availability_cv,
            },
            "n": distances.n,
            "n_outside": len(survey.distance_m) - distances.n,
            "n_stations": density.n_stations,
            "n_stations_without_detections": sum(
                not one.n for one in survey.stations(distances.left_m, distances.right_m)
            ),
            "effort_snapshots": density.effort_snapshots,
            "multiplier": survey.multiplier,
            "left_m": distances.left_m,
            "right_m": distances.right_m,
            "cutpoints_m": distances.edges_m.tolist() if isinstance(distances, BinnedDistances) else [],
            "draws": survey.n_draws,
            "errors": None if survey.errors is None else survey.errors.name,
            "availability": {"share": analysis.availability.share, "se": analysis.availability.se},
            "fits": [
                _fit(model, analysis, number == analysis.selected) for number, model in enumerate(analysis.models)
            ],
            "failures": [{"model": name, "reason": reason} for name, reason in analysis.failures],
            "bootstrap": _bootstrap(run),
            "warnings": list(run.warnings),
        }
    )
    return record


def write_json(path: Path, run: DensityRun) -> None:
    """Writes `result`; the file appears whole or not at all.

    Raises:
        RunError: it can't be written.
    """
    with whole_file(path) as file:
        json.dump(result(run), file, indent=1, ensure_ascii=False, allow_nan=False)
        file.write("\n")


def write_csv(path: Path, run: DensityRun) -> None:
    """Writes a row for each fit, and with several strata one for each of them; the file appears whole or not at all.

    Raises:
        RunError: it can't be written.
    """
    with whole_file(path) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(CSV_COLUMNS)
        for fit in result(run)["fits"]:
            for part in (fit, *({**fit, **stratum} for stratum in fit["strata"])):
                writer.writerow([_cell(part.get(column)) for column in CSV_COLUMNS])


def _fit(model: FittedModel, analysis: Analysis, is_selected: bool) -> dict[str, Any]:
    fit = model.fit
    adjustment = fit.adjustment
    square, distances = fit.chi_square, analysis.distances
    goodness = fit.goodness(distances) if isinstance(distances, ExactDistances) else None
    return {
        "model": fit.function.name,
        "stratum": "",
        "selected": is_selected,
        "key": fit.key,
        "adjustments": "none"
        if adjustment is None
        else f"{adjustment.series}({', '.join(map(str, adjustment.orders))})",
        "parameters": dict(zip(fit.function.parameter_names, fit.parameters, strict=True)),
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
            {"low_m": one.low_m, "high_m": one.high_m, "observed": one.observed, "expected": one.expected}
            for one in (square.bins if square else ())
        ],
        "pa": fit.pa,
        "pa_se": fit.pa_se,
        "edr_m": fit.edr_m,
        **_density(model.density),
        "at_bound": list(fit.at_bound),
        "converged": fit.is_converged,
        "strata": [{"stratum": name, **_density(density)} for name, density in model.by_stratum.items()],
    }


def _density(density: Density) -> dict[str, Any]:
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


def _bootstrap(run: DensityRun) -> dict[str, Any] | None:
    found = run.bootstrap
    if found is None:
        return None
    return {
        "replicates": found.settings.replicates,
        "seed": found.settings.seed,
        "scale_error": found.settings.scale_sd,
        "site_scale_error": found.settings.site_scale_sd,
        "median": found.median_km2,
        "low": found.low_km2,
        "high": found.high_km2,
        "percentile_low": found.percentiles_km2[0],
        "percentile_high": found.percentiles_km2[1],
        "log_low": found.log_low_km2,
        "log_high": found.log_high_km2,
        "se": found.se_km2,
        "cv": found.cv,
        "level": found.level,
        "failed": found.n_failed,
        "failures": dict(found.failures),
        "chosen": dict(found.chosen),
        "densities": list(found.densities),
    }


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    return value


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.10g}"
    if isinstance(value, dict):
        return " ".join(f"{name}={number:.10g}" for name, number in value.items())
    return to_cell(str(value))
