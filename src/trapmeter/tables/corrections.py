"""calibration.csv: what calibration corrected at each site, one row per site."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path

from trapmeter.files import atomic_file
from trapmeter.tables.csvfile import to_cell


@dataclass(frozen=True, slots=True)
class SiteCorrection:
    """What calibration did at a site. The fields are the columns of calibration.csv.

    rows: number of measured rows. labels, points: how many were used. camera_factor: by how much the distances changed as
    lens, mounting and animals became known, a median (1 when they aren't). before_m, after_m: medians of the site's
    distances. label_error_m: mean error of the labelled rows before calibration; label_error_left_out_m: after a correction
    by the labels of the other videos, which shows the real gain; both None when there is nothing to compare. hfov_deg,
    height_m, pitch_deg, roll_deg: of the fitted camera; slope_along_deg, slope_across_deg: of its ground, positive where it
    rises away from the camera and to the right. All are None if no camera was fitted.
    """

    site_id: str
    rows: int
    labels: int
    points: int
    camera_factor: float
    before_m: float
    after_m: float
    label_error_m: float | None = None
    label_error_left_out_m: float | None = None
    hfov_deg: float | None = None
    height_m: float | None = None
    pitch_deg: float | None = None
    roll_deg: float | None = None
    slope_along_deg: float | None = None
    slope_across_deg: float | None = None


def write_corrections(path: str | Path, corrections: Iterable[SiteCorrection]) -> None:
    """Writes the table in the order given.

    Raises:
        RunError: the file can't be written.
    """
    names = [field.name for field in fields(SiteCorrection)]
    with atomic_file(Path(path)) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(names)
        writer.writerows([_cell(getattr(correction, name)) for name in names] for correction in corrections)


def _cell(value: str | float | None) -> str:
    if isinstance(value, float):
        return f"{value:.3f}"
    return "" if value is None else to_cell(value) if isinstance(value, str) else str(value)
