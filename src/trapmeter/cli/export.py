"""The verb that writes results in the formats of other tools: export."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from trapmeter.cli.common import one_of


def add_verbs(app: typer.Typer) -> None:
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
    from trapmeter.export import Format
    from trapmeter.export import export as write

    for line in write(results, out, one_of(Format, "--format", form), places, package):
        typer.echo(line)
    typer.echo(f"written: {out}")
