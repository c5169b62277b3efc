"""The verbs that turn a folder of results into a report or another format: report and export."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trapmeter.cli.options import SiteLocationsOption, parse_choice, print_progress, site_locations_for
from trapmeter.errors import require_extra
from trapmeter.parallel.engine import default_jobs

if TYPE_CHECKING:
    from trapmeter.prediction.run import PredictRun


class ReportFormat(StrEnum):
    """What the report is written as."""

    HTML = "html"
    PDF = "pdf"


def add_report(app: typer.Typer) -> None:
    """Adds report."""
    app.command()(report)


def report(
    results: Annotated[Path, typer.Argument(help="Folder of `trapmeter predict` or `trapmeter calibrate`.")],
    truth: Annotated[
        Path | None, typer.Option(help="Known distances to compare with: DrivenData labels or a table with distance_m.")
    ] = None,
    places: SiteLocationsOption = None,
    no_map: Annotated[
        bool, typer.Option("--no-map", help="Leave out the map of the sites, which tells where your cameras stand.")
    ] = False,
    media: Annotated[
        str | None,
        typer.Option(
            help="Folder in which the media lie now, where they were moved since they were measured; or their address, which "
            "is always to be told."
        ),
    ] = None,
    form: Annotated[str, typer.Option("--format", help="html, or pdf (an extra).")] = ReportFormat.HTML,
    jobs: Annotated[int | None, typer.Option("--jobs", "-j", help="Worker processes (default: one per core).")] = None,
) -> None:
    """Make the report of a folder of results anew, as report.html or report.pdf in that folder.

    Known distances and places that the run was given are used again, where their files are still there; give others, or what
    you have learnt since. Nothing is measured again.

    For example:

    trapmeter report results/

    trapmeter report results/ --truth labels.csv --places deployments.csv

    trapmeter report results/ --no-map

    trapmeter report calibrated/ --media /media/card1 --format pdf
    """
    from trapmeter.console import progress_bars
    from trapmeter.errors import InputError
    from trapmeter.prediction.results import read_run
    from trapmeter.report.run_report import write_html, write_pdf
    from trapmeter.storage.address import parse_path
    from trapmeter.tables.truth import read_truth

    written_as = parse_choice(ReportFormat, "--format", form)
    if written_as is ReportFormat.PDF:
        require_extra("weasyprint", "pdf")
    if no_map and places is not None:
        raise InputError("--places and --no-map exclude each other: give one of them")
    run = read_run(results, None if media is None else parse_path(media))
    if media is None and "://" in str(run.facts.get("root")):
        print_progress(
            f"no pictures: the media are not on this machine; give --media {run.facts['root']} to read them there"
        )
    truth = truth or _file_of_run(run, "truth")
    places = None if no_map else places or _file_of_run(run, "places")
    known = None if truth is None else read_truth(truth)
    where = None if no_map else site_locations_for(run, places)
    with progress_bars() as progress:
        write = write_pdf if written_as is ReportFormat.PDF else write_html
        path = write(run, results, truth=known, places=where, progress=progress, jobs=default_jobs(jobs))
    typer.echo(f"report: {path}")


def _file_of_run(run: PredictRun, name: str) -> Path | None:
    """The file that the run was given; None, which is told, where it is gone."""
    arguments = run.facts.get("arguments")
    given = arguments.get(name) if isinstance(arguments, dict) else None
    if not isinstance(given, str):
        return None
    if not Path(given).exists():
        print_progress(
            f"--{name} {given}, which the run was given, is not there, seen from this folder: the report does without"
        )
        return None
    return Path(given)


def add_export(app: typer.Typer) -> None:
    """Adds export."""
    app.command()(export)


def export(
    results: Annotated[Path, typer.Argument(help="Folder of `trapmeter predict`, or its distances.csv.")],
    out: Annotated[
        Path,
        typer.Option(
            "--out", "-o", help="File to write (a new folder, for a package that is one); its folder must exist."
        ),
    ],
    form: Annotated[
        str,
        typer.Option(
            "--format",
            help="megadetector (JSON), timelapse (CSV for its import), drivendata (video_id, time, distance), geojson or "
            "camtrap-dp.",
        ),
    ],
    places: Annotated[
        Path | None,
        typer.Option(
            help="For geojson: a CSV file of site_id, latitude and longitude, or a Camtrap DP or its deployments.csv."
        ),
    ] = None,
    package: Annotated[
        Path | None,
        typer.Option(
            help="For camtrap-dp: the package to copy, with distances in its observations (folder, zip or datapackage.json)."
        ),
    ] = None,
) -> None:
    """Write results of `predict` or `calibrate` in the format of another tool.

    For example:

    trapmeter export results/ --format megadetector --out boxes.json

    trapmeter export results/ --format timelapse --out timelapse.csv

    trapmeter export results/ --format geojson --places deployments.csv --out sites.geojson

    trapmeter export results/ --format camtrap-dp --package survey-dp/ --out survey-dp-distances/
    """
    from trapmeter.export import ExportFormat
    from trapmeter.export import export_results as write

    for line in write(results, out, parse_choice(ExportFormat, "--format", form), places, package):
        typer.echo(line)
    typer.echo(f"written: {out}")
