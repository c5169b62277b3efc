"""calibration-points.csv: how well the reference points of each site fit together, one row per point."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass, fields
from enum import StrEnum
from pathlib import Path

from trapmeter.files import atomic_file
from trapmeter.tables.csvfile import fixed_decimals, to_cell


class Doubt(StrEnum):
    """What is doubtful about a point."""

    NONE = ""
    WRONG = "wrong"
    ONE_OF_THESE = "one of these is wrong"


@dataclass(frozen=True, slots=True)
class PointMisfit:
    """A reference point against the others of its site. The fields are the columns of calibration-points.csv.

    line: in the table of points. x, y: fractions of the picture. distance_m: as given. others_m: the distance that the ground
    through the other points has there (without wrong ones), inf beyond `metres.FARTHEST_KNOWN_M` or the horizon, None if
    there are too few points to tell. misfit_m: distance_m - others_m, None if that is inf or None.
    """

    site_id: str
    line: int
    x: float
    y: float
    distance_m: float
    others_m: float | None = None
    misfit_m: float | None = None
    doubt: Doubt = Doubt.NONE


def write_point_misfits(path: str | Path, misfits: Iterable[PointMisfit]) -> None:
    """Writes the table in the order given.

    Raises:
        RunError: the file can't be written.
    """
    names = [field.name for field in fields(PointMisfit)]
    with atomic_file(Path(path)) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(names)
        writer.writerows([_cell(getattr(misfit, name)) for name in names] for misfit in misfits)


def signed_metres(metres: float) -> str:
    """A misfit as a text such as +1.5 m; 0.0 m has no sign."""
    text = fixed_decimals(metres, 1)
    return f"{'+' if float(text) > 0 else ''}{text} m"


def _cell(value: str | float | None) -> str:
    if isinstance(value, float):
        return f"{value:.3f}"
    return "" if value is None else to_cell(value) if isinstance(value, str) else str(value)
