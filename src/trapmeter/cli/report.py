"""The verb that makes the report of a folder of results anew: report."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trapmeter.cli.common import PlacesOption, default_jobs, need_package, one_of, places_of, tell

if TYPE_CHECKING:
    from trapmeter.predict.run import Run


class Form(StrEnum):
    """What the report is written as."""

    HTML = "html"
    PDF = "pdf"


def add_verbs(app: typer.Typer) -> None:
    """Adds report."""
    app.command()(report)


def report(
    results: Annotated[Path, typer.Argument(help="Folder of `trapmeter predict` or `trapmeter calibrate`.")],
    truth: Annotated[
        Path | None, typer.Option(help="Known distances to compare with: DrivenData labels or a table with distance_m.")
    ] = None,
    places: PlacesOption = None,
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
    form: Annotated[str, typer.Option("--format", help="html, or pdf (an extra).")] = Form.HTML,
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
    from trapmeter.predict.results import read_run
    from trapmeter.report.html import write_report
    from trapmeter.report.pdf import write_pdf
    from trapmeter.storage.address import location
    from trapmeter.tables.truth import read_truth

    written_as = one_of(Form, "--format", form)
    if written_as is Form.PDF:
        need_package("weasyprint", "pdf")
    if no_map and places is not None:
        raise InputError("--places and --no-map exclude each other: give one of them")
    run = read_run(results, None if media is None else location(media))
    if media is None and "://" in str(run.facts.get("root")):
        tell(f"no pictures: the media are not on this machine; give --media {run.facts['root']} to read them there")
    truth = truth or _as_before(run, "truth")
    places = None if no_map else places or _as_before(run, "places")
    known = None if truth is None else read_truth(truth)
    where = None if no_map else places_of(run, places)
    with progress_bars() as progress:
        write = write_pdf if written_as is Form.PDF else write_report
        path = write(run, results, truth=known, places=where, progress=progress, jobs=default_jobs(jobs))
    typer.echo(f"report: {path}")


def _as_before(run: Run, name: str) -> Path | None:
    """The file that the run was given; None, which is told, where it is gone."""
    arguments = run.facts.get("arguments")
    given = arguments.get(name) if isinstance(arguments, dict) else None
    if not isinstance(given, str):
        return None
    if not Path(given).exists():
        tell(f"--{name} {given}, which the run was given, is not there, seen from this folder: the report does without")
        return None
    return Path(given)
