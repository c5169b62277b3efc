"""The verb that corrects results by what is known of the sites: calibrate."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from trapmeter.errors import InputError

if TYPE_CHECKING:
    from trapmeter.calibration.run import calibrate as run
    from trapmeter.calibration.run import pick_seconds
    from trapmeter.calibration.told import CalibrateSettings

    if pick is not None:
        if any(told is not None for told in (labels, points, cameras, species, shoulder_height)):
            raise InputError("--pick needs nothing that is known: give it alone")
        picked = pick_seconds(results, out, pick)
        if not picked.has_sites:
            typer.echo(
                f"some rows have no site, so that each of their videos counts as one ({picked.n_sites} in all); measure with "
                "--site to label by camera"
            )
        typer.echo(f"{picked.n_rows} seconds to label: fill in distance_m in {picked.path}")
        return
    done = run(
        CalibrateSettings(
            results,
            out,
            labels,
            points,
            cameras,
            trained_hfov_deg=trained_hfov,
            species=species,
            shoulder_m=shoulder_height,
            box_model=box_model,
        )
    )
    _tell(done, out)


def _tell(done: Calibration, out: Path) -> None:
    n_rows = sum(estimate.distance is not None for estimate in done.estimates)
    typer.echo(f"{done.n_moved:,} of {n_rows:,} distances corrected, at {len(done.corrections):,} sites")
    if done.n_labels_unused:
        typer.echo(f"{done.n_labels_unused:,} labels are of seconds at which no animal was measured, and were left out")
    for site in done.corrections:
        typer.echo(_site_line(site))
    typer.echo(f"table: {out / 'distances.csv'}")
    typer.echo(f"picture: {out / 'calibration.png'}")


def _site_line(site: SiteCorrection) -> str:
    """What became of a site, and what its own labels say of that."""
    line = f"{site.site_id}: median {site.before_m:.1f} m before, {site.after_m:.1f} m after"
    before, after = site.label_error_m, site.label_error_left_out_m
    if before is None or after is None:
        few = "labels of one video can't tell whether that is better" if site.labels else ""
        return "; ".join(filter(None, (line, few)))
    line += f"; error at labelled seconds {before:.2f} m, {after:.2f} m when corrected without their own video's labels"
    if after > before:
        line += ": WORSE, so look at its labels and facts, or leave them out"
    return line
