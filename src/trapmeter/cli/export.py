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
    out: Annotated[Path, typer.Option("--out", "-o", help="File to write; its folder must exist.")],
    form: Annotated[
        str,
        typer.Option(
            "--format",
            help="megadetector (JSON), timelapse (CSV for its import), drivendata (video_id, time, distance) or geojson.",
        ),
    ],
    places: Annotated[
        Path | None,
        typer.Option(
            help="For geojson: a CSV file of site_id (or locationID, as in Camtrap DP), latitude and longitude."
        ),
    ] = None,
) -> None:
    """Write results of `predict` or `calibrate` in the format of another tool.

    For example:

    trapmeter export results/ --format megadetector --out boxes.json

    trapmeter export results/ --format timelapse --out timelapse.csv

    trapmeter export results/ --format geojson --places deployments.csv --out sites.geojson
    """
    from trapmeter.export import Format
    from trapmeter.export import export as write

    for line in write(results, out, one_of(Format, "--format", form), places):
        typer.echo(line)
    typer.echo(f"written: {out}")
