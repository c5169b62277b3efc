"""Runs a density analysis and writes its results: HTML report, JSON, CSV, flat file and R script."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from trapmeter._version import __version__
from trapmeter.density.detection.distances import ExactDistances
from trapmeter.density.level_curves import level_curves
from trapmeter.density.r_script import make_r_script
from trapmeter.density.results import write_csv, write_json
from trapmeter.density.run import BY_BOOTSTRAP, BY_FORMULA, DensityRun, list_inputs, run_survey
from trapmeter.density.settings import DensitySettings
from trapmeter.density.survey.flat_file import rows_from_survey
from trapmeter.errors import InputError, RunError
from trapmeter.files import atomic_file, check_writable, lock_folder
from trapmeter.progress import Progress, no_progress
from trapmeter.report import density_plots as plots
from trapmeter.report.html_page import page_template, safe
from trapmeter.tables.flatfile import write_flat_file

REPORT, JSON, CSV, SCRIPT = "density.html", "density.json", "density.csv", "density.R"
FLAT_FILE = "flatfile.csv"
OUTPUT_FILES = (REPORT, JSON, CSV, FLAT_FILE, SCRIPT)
"""The files that `write_density_folder` writes."""
FOLDED_ABOVE_STATIONS = 40
"""Longer tables of stations are collapsed."""


class StationRow(NamedTuple):
    """A station in the report's table. per_thousand: detections per 1,000 snapshots."""

    station_id: str
    stratum: str
    effort_snapshots: float
    n: float
    per_thousand: float


@dataclass(frozen=True, slots=True)
class ReportedDensity:
    """A density run and the files it was written to: json and csv as requested, report is the HTML page of the folder."""

    run: DensityRun
    json: Path | None = None
    csv: Path | None = None
    report: Path | None = None


def density_and_report(
    settings: DensitySettings,
    *,
    json: str | Path | None = None,
    csv: str | Path | None = None,
    out: str | Path | None = None,
    also_read: Sequence[str | Path] = (),
    progress: Progress = no_progress,
) -> ReportedDensity:
    """Estimates density and writes the requested results.

    The outputs are checked and the folder is locked before the estimation, so that a typing error doesn't cost a bootstrap.

    Args:
        settings: the survey and how to analyse it.
        json: file for the full results.
        csv: file with a row for each fit and stratum.
        out: folder for everything that `write_density_folder` writes; created if it doesn't exist.
        also_read: input files that the settings don't name, such as the configuration file; they are never overwritten.
        progress: called as the bootstrap advances.

    Raises:
        InputError: a table is invalid, nothing can be estimated from it, or an output would overwrite an input.
        RunError: an output can't be written, or another run is writing to the folder.
    """
    json_path, csv_path, folder = (None if path is None else Path(path) for path in (json, csv, out))
    for path in (json_path, csv_path):
        check_writable(path)
    outputs = [(path, option) for path, option in ((json_path, "--json"), (csv_path, "--csv")) if path is not None]
    outputs += [] if folder is None else [(folder / name, "--out") for name in OUTPUT_FILES]
    _check_outputs(outputs, [*list_inputs(settings), *map(Path, also_read)])
    with nullcontext() if folder is None else lock_folder(folder):
        run = run_survey(settings, progress)
        report = None if folder is None else write_density_folder(folder, run)
    if json_path is not None:
        write_json(json_path, run)
    if csv_path is not None:
        write_csv(csv_path, run)
    return ReportedDensity(run, json_path, csv_path, report)


def _check_outputs(outputs: Iterable[tuple[Path, str]], inputs: Sequence[Path]) -> None:
    """Refuses to overwrite an input. outputs: each file with the option that names it."""
    for path, option in outputs:
        if any(_is_same_file(path, source) for source in inputs):
            raise InputError(f"{path} is an input and would be overwritten; choose another {option}")


def _is_same_file(path: Path, other: Path) -> bool:
    """Whether both paths lead to one file, also through links."""
    try:
        return path.samefile(other)
    except OSError:  # one of them doesn't exist
        return False


def write_density_folder(out: str | Path, run: DensityRun) -> Path:
    """Writes density.html, density.json, density.csv, flatfile.csv and density.R into a folder; returns the report's path.

    Raises:
        RunError: the folder can't be created, or a file can't be written.
    """
    folder = Path(out)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"{folder} can't be used as the results folder: {error.strerror or error}") from error
    write_json(folder / JSON, run)
    write_csv(folder / CSV, run)
    availability = run.analysis.availability.share
    write_flat_file(folder / FLAT_FILE, rows_from_survey(run.analysis.survey, availability))
    for name, text in ((SCRIPT, make_r_script(run.analysis, FLAT_FILE)), (REPORT, render_density(run))):
        with atomic_file(folder / name) as file:
            file.write(text)
    return folder / REPORT


def render_density(run: DensityRun) -> str:
    """The report: one self-contained HTML page. The same run gives the same bytes."""
    analysis, best = run.analysis, run.analysis.best
    distances = analysis.distances
    stations = station_rows(run)
    square = best.fit.chi_square
    return page_template("density.html.j2").render(
        run=run,
        analysis=analysis,
        best=best,
        fit=best.fit,
        density=best.density,
        headline=run.headline,
        distances=distances,
        stations=stations,
        levels=run.level_intervals,
        curves=[(name, safe(plots.level_svg(best.fit, name, curves))) for name, curves in level_curves(run.analysis)],
        bins=square.bins if square else (),
        square=square,
        intervals=_intervals(run),
        goodness=best.fit.goodness(distances) if isinstance(distances, ExactDistances) else None,
        qq_svg=safe(plots.qq_svg(best.fit, distances)) if isinstance(distances, ExactDistances) else "",
        many_stations=FOLDED_ABOVE_STATIONS,
        version=__version__,
        name=run.settings.file.name,
        detection_svg=safe(plots.detection_svg(best.fit, distances)),
        pdf_svg=safe(plots.pdf_svg(best.fit, distances)),
        encounter_svg=safe(plots.encounter_svg([row.per_thousand for row in stations])),
        activity_svg=safe(plots.activity_svg(run.activity)) if run.activity else "",
        bootstrap_svg=safe(plots.bootstrap_svg(run.bootstrap, best.density.density_km2)) if run.bootstrap else "",
    )


def station_rows(run: DensityRun) -> Sequence[StationRow]:
    """Every station, including those without detections, with its detections inside the truncation."""
    survey, distances = run.analysis.survey, run.analysis.distances
    detections = [counts.n for counts in survey.count_detections(distances.left_m, distances.right_m)]
    return [
        StationRow(station.station_id, station.stratum, effort, n, 1000 * n / effort)
        for station, n in zip(survey.stations, detections, strict=True)
        for effort in [station.effort_snapshots]
    ]


def _intervals(run: DensityRun) -> list[tuple[str, float, float]]:
    """Name, lower and upper limit of every interval, animals per km2: by formula, and those of the bootstrap."""
    density, bootstrap = run.analysis.best.density, run.bootstrap
    intervals = [(BY_FORMULA, density.low_km2, density.high_km2)]
    if bootstrap is not None:
        intervals += [
            (BY_BOOTSTRAP, bootstrap.log_low_km2, bootstrap.log_high_km2),
            ("bootstrap, percentiles", *bootstrap.percentiles_km2),
            ("bootstrap, expanded percentiles", bootstrap.low_km2, bootstrap.high_km2),
        ]
    return intervals
