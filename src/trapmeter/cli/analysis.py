"""The verbs that correct results by what is known of the sites: calibrate, and points to make a table for it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trapmeter.cli.options import CamerasOption, ShoulderOption, SpeciesOption, TrainedHfovOption
from trapmeter.errors import InputError
from trapmeter.geometry import DEFAULT_HFOV_DEG

if TYPE_CHECKING:
    from trapmeter.calibration.run import Calibration
    from trapmeter.tables.corrections import SiteCorrection


def add_verbs(app: typer.Typer) -> None:
    """Adds calibrate and points."""
    app.command()(calibrate)
    app.command()(points)


def calibrate(
    results: Annotated[Path, typer.Argument(help="Folder of `trapmeter predict`, or its distances.csv.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the corrected results; made if need be.")],
    labels: Annotated[
        Path | None,
        typer.Option(
            help="Known distances of some seconds: a CSV file of video_id, time, distance, what --pick wrote, or a Camtrap "
            "DP in which people told individualPositionRadius."
        ),
    ] = None,
    points: Annotated[
        Path | None,
        typer.Option(
            help="Reference points: a CSV file of site_id, x, y (fractions, or pixels with width and height), distance_m; "
            "`trapmeter points` makes one by clicking."
        ),
    ] = None,
    cameras: CamerasOption = None,
    species: SpeciesOption = None,
    shoulder_height: ShoulderOption = None,
    pick: Annotated[
        int | None, typer.Option(help="Only write which so many seconds of each site are worth a label (to-label.csv).")
    ] = None,
    trained_hfov: TrainedHfovOption = DEFAULT_HFOV_DEG,
    box_model: Annotated[
        Path | None, typer.Option(help="Folder of the box model that answered, where it isn't the embedded one.")
    ] = None,
) -> None:
    """Correct the distances of a run by whatever is known of its sites; nothing of it is required.

    Labels, reference points, facts of cameras and the animals' size each work alone, and together. Sites of which nothing
    is known stay as they are. Writes distances.csv in the same format, with point, interval and draws moved alike,
    calibration.csv (what was corrected at each site), calibration.png and run.json.

    For example:

    trapmeter calibrate results/ --pick 10 --out labels/

    trapmeter calibrate results/ --labels labels/to-label.csv --out calibrated/

    trapmeter calibrate results/ --points points.csv --cameras cameras.csv --species "red fox" --out calibrated/
    """
    from trapmeter.calibration.run import calibrate as run
    from trapmeter.calibration.run import select_seconds
    from trapmeter.calibration.settings import CalibrateSettings
    from trapmeter.tables.cameras import COLUMNS as CAMERA_COLUMNS
    from trapmeter.tables.csvfile import find_misspelt_columns

    if pick is not None:
        if any(told is not None for told in (labels, points, cameras, species, shoulder_height)):
            raise InputError("--pick needs nothing that is known: leave out all but --out")
        picked = select_seconds(results, out, pick)
        if not picked.has_sites:
            typer.echo(
                f"some rows have no site, so that each of their videos counts as one ({picked.n_sites} in all); measure with "
                "--site to label by camera"
            )
        typer.echo(f"{picked.n_rows} seconds to label: fill in distance_m in {picked.path}")
        return
    for note in [] if cameras is None else find_misspelt_columns(cameras, CAMERA_COLUMNS):
        typer.echo(f"note: {note}")
    settings = CalibrateSettings(
        results, out, labels, points, cameras, trained_hfov, species, shoulder_height, box_model
    )
    _print_calibration(run(settings), out)


def points(
    medium: Annotated[Path, typer.Argument(help="A video or photo of the person or pole at known distances.")],
    site: Annotated[str, typer.Option(help="The site's name, as in the results.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The page to write.")] = Path("points.html"),
    time: Annotated[
        list[float] | None, typer.Option(help="Seconds of the video to show, one for each place of the person.")
    ] = None,
) -> None:
    """Write a page on which reference points are clicked: where the ground is touched, and how far away that is.

    Open it in any browser; it needs no network. Its button saves the table that `trapmeter calibrate --points` reads.

    For example:

    trapmeter points setup.mp4 --site S01 --time 3 --time 8 --time 15 --out points.html

    trapmeter points pole.jpg --site S01 --out points.html
    """
    from trapmeter.report.points_page import write_points_page

    n_pictures = write_points_page(medium, site, tuple(time or (0.0,)), out)
    pictures = "picture" if n_pictures == 1 else f"{n_pictures} pictures"
    typer.echo(f"open {out} in a browser and click on the {pictures}; its button saves the table")


def _print_calibration(done: Calibration, out: Path) -> None:
    n_rows = sum(estimate.distance is not None for estimate in done.estimates)
    typer.echo(f"{done.n_moved:,} of {n_rows:,} distances corrected, at {len(done.corrections):,} sites")
    if done.n_labels_unused:
        labels = "label is of a second" if done.n_labels_unused == 1 else "labels are of seconds"
        typer.echo(f"{done.n_labels_unused:,} {labels} or of an animal without a measurement: left out")
    for site in done.corrections:
        typer.echo(_site_line(site))
    typer.echo(f"table: {out / 'distances.csv'}")
    typer.echo(f"picture: {out / 'calibration.png'}")
    typer.echo(f"for a report: trapmeter report {out}")


def _site_line(site: SiteCorrection) -> str:
    """What became of a site, and what its own labels say of that."""
    line = f"{site.site_id}: median {site.before_m:.1f} m before, {site.after_m:.1f} m after"
    before, after = site.label_error_m, site.label_error_left_out_m
    if before is None or after is None:
        return f"{line}; labels of one video can't tell whether that is better" if site.labels else line
    line += (
        f"; error at labelled seconds {before:.2f} m, {after:.2f} m when corrected by the labels of the other videos"
    )
    return f"{line}: WORSE; look at its labels and facts, or leave them out" if after > before else line
