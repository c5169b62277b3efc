"""The verb that corrects results by what is known of the sites: calibrate."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trapmeter.errors import InputError
from trapmeter.geometry import DEFAULT_HFOV_DEG

if TYPE_CHECKING:
    from trapmeter.calibration.run import Calibration


def add_verbs(app: typer.Typer) -> None:
    """Adds calibrate."""
    app.command()(calibrate)


def calibrate(
    results: Annotated[Path, typer.Argument(help="Folder of `trapmeter predict`, or its distances.csv.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the corrected results; made if need be.")],
    labels: Annotated[
        Path | None,
        typer.Option(
            help="Known distances of some seconds: a CSV file of video_id, time, distance, or what --pick wrote."
        ),
    ] = None,
    points: Annotated[
        Path | None,
        typer.Option(
            help="Reference points: a CSV file of site_id, x, y (fractions, or pixels with width and height), distance_m."
        ),
    ] = None,
    cameras: Annotated[
        Path | None,
        typer.Option(
            help="Facts of the cameras: a CSV file of site_id, hfov_deg or focal_35mm, height_m, pitch_deg, aspect."
        ),
    ] = None,
    pick: Annotated[
        int | None, typer.Option(help="Only write which so many seconds of each site are worth a label (to-label.csv).")
    ] = None,
    trained_hfov: Annotated[
        float, typer.Option(help="Horizontal field of view in degrees of the cameras that the model learnt from.")
    ] = DEFAULT_HFOV_DEG,
) -> None:
    """Correct the distances of a run by whatever is known of its sites; nothing of it is required.

    Labels, reference points and camera facts each work alone, and together. Sites of which nothing is known stay as
    they are. Writes distances.csv in the same format, with point, interval and draws moved alike, calibration.csv (what
    was corrected at each site), calibration.png and run.json.

    For example:

    trapmeter calibrate results/ --pick 10 --out labels/

    trapmeter calibrate results/ --labels labels/to-label.csv --out calibrated/

    trapmeter calibrate results/ --points points.csv --cameras cameras.csv --out calibrated/
    """
    from trapmeter.calibration.run import CalibrateSettings, pick_seconds
    from trapmeter.calibration.run import calibrate as run

    if pick is not None:
        if labels is not None or points is not None or cameras is not None:
            raise InputError("--pick needs none of --labels, --points and --cameras; leave them out")
        path, n_rows = pick_seconds(results, out, pick)
        typer.echo(f"{n_rows} seconds to label: fill in distance_m in {path}")
        return
    done = run(CalibrateSettings(results, out, labels, points, cameras, trained_hfov))
    _tell(done, out)


def _tell(done: Calibration, out: Path) -> None:
    n_rows = sum(estimate.distance is not None for estimate in done.estimates)
    typer.echo(f"{done.n_moved:,} of {n_rows:,} distances corrected, at {len(done.corrections):,} sites")
    if done.n_labels_unused:
        typer.echo(f"{done.n_labels_unused:,} labels are of seconds at which no animal was measured, and were left out")
    for site in done.corrections:
        if site.label_error_m is not None and site.label_error_left_out_m is not None:
            typer.echo(
                f"{site.site_id}: error at labelled seconds {site.label_error_m:.2f} m, "
                f"{site.label_error_left_out_m:.2f} m when corrected by the labels of the other videos"
            )
    typer.echo(f"table: {out / 'distances.csv'}")
    typer.echo(f"picture: {out / 'calibration.png'}")
