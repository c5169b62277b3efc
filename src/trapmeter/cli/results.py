"""The verbs that turn a folder of results into a report or another format: report and export."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from trapmeter.cli.options import SiteLocationsOption, default_jobs, parse_choice, print_progress


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
    form: Annotated[str, typer.Option("--format", help="html, or pdf (an extra).")] = "html",
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
    from trapmeter.report.run_report import write_report

    with progress_bars() as progress:
        path = write_report(
            results,
            truth=truth,
            places=places,
            has_map=not no_map,
            media=media,
            form=form,
            jobs=default_jobs(jobs),
            progress=progress,
            announce=print_progress,
        )
    typer.echo(f"report: {path}")


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
