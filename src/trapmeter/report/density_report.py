"""Writes the results of a density analysis: HTML report, JSON, CSV, flat file and R script."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from trapmeter._version import __version__
from trapmeter.density.detection.distances import ExactDistances
from trapmeter.density.results import make_r_script, write_csv, write_json
from trapmeter.density.run import DensityRun
from trapmeter.density.survey.flat_file import rows_from_survey
from trapmeter.errors import RunError
from trapmeter.files import atomic_file
from trapmeter.report import density_plots as plots
from trapmeter.report.html_page import page_template, safe
from trapmeter.tables.flatfile import write_flat_file

REPORT, JSON, CSV, SCRIPT = "density.html", "density.json", "density.csv", "density.R"
FLAT_FILE = "flatfile.csv"
OUTPUT_FILES = (REPORT, JSON, CSV, FLAT_FILE, SCRIPT)
"""All that `write_density_folder` writes."""
FOLDED_ABOVE_STATIONS = 40
"""Longer tables are folded up."""


class StationRow(NamedTuple):
    """A station as the report lists it. per_thousand: detections in 1,000 snapshots."""

    station_id: str
    stratum: str
    effort_snapshots: float
    n: float
    per_thousand: float


def write_density_folder(out: Path, run: DensityRun) -> Path:
    """Writes density.html, density.json, density.csv, flatfile.csv and density.R into a folder; returns the report's path.

    Raises:
        RunError: the folder can't be made, or a file can't be written.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(
            f"{out} can't be used as a folder for results: {error.strerror or error}; name another"
        ) from error
    write_json(out / JSON, run)
    write_csv(out / CSV, run)
    availability = run.analysis.availability.share
    write_flat_file(out / FLAT_FILE, rows_from_survey(run.analysis.survey, availability))
    for name, text in ((SCRIPT, make_r_script(run.analysis, FLAT_FILE)), (REPORT, render_density(run))):
        with atomic_file(out / name) as file:
            file.write(text)
    return out / REPORT


def render_density(run: DensityRun) -> str:
    """The report: one page that needs nothing else. The same run gives the same bytes."""
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
        distances=distances,
        stations=stations,
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
    """Every station with its detections inside the truncation, those without any too."""
    survey, distances = run.analysis.survey, run.analysis.distances
    counted = survey.count_detections(distances.left_m, distances.right_m)
    return [
        StationRow(
            camera.station_id, camera.stratum, camera.effort_snapshots, one.n, 1000 * one.n / camera.effort_snapshots
        )
        for camera, one in zip(survey.stations, counted, strict=True)
    ]


def _intervals(run: DensityRun) -> list[tuple[str, float, float]]:
    """Every interval by name with its ends, animals per km2: by formula, and those of the bootstrap."""
    density, found = run.analysis.best.density, run.bootstrap
    intervals = [("by formula", density.low_km2, density.high_km2)]
    if found is not None:
        intervals += [
            ("bootstrap, lognormal", found.log_low_km2, found.log_high_km2),
            ("bootstrap, percentiles", *found.percentiles_km2),
            ("bootstrap, expanded percentiles", found.low_km2, found.high_km2),
        ]
    return intervals
