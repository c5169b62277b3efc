"""Reference points: where in the picture something stood on the ground, and how far away it was.

The usual field protocol: a person or a pole is filmed at known distances when the camera is set up. One row a point:
site_id, x, y (where it touches the ground: fractions of the picture from the top left corner, or pixels where width and
height of the picture stand beside them) and distance_m.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from trapmeter.errors import InputError
from trapmeter.tables.csvfile import Row, read_rows

MIN_POINTS = 2
"""One point tells nothing of how the ground runs away from the camera."""
MIN_HEIGHT_RANGE = 0.02
"""Of the picture, between the highest and the lowest point of a site: points on one row tell nothing either."""


@dataclass(frozen=True, slots=True)
class ReferencePoint:
    """A place on the ground: x, y as fractions of the picture, and its distance from the camera in metres (> 0)."""

    x: float
    y: float
    distance_m: float


def read_reference_points(path: Path) -> dict[str, list[ReferencePoint]]:
    """The points of each site, in the order of the file.

    Raises:
        InputError: a cell is not what it should be, pixels lack the picture's size, or a site's points are too few or
        all on one row of the picture.
    """
    points: dict[str, list[ReferencePoint]] = defaultdict(list)
    for row in read_rows(path, required=("site_id", "x", "y", "distance_m")):
        distance_m = row.number("distance_m")
        if distance_m <= 0:
            raise row.error("distance_m", "a number of metres > 0")
        points[row.text("site_id")].append(
            ReferencePoint(_fraction(row, "x", "width"), _fraction(row, "y", "height"), distance_m)
        )
    for site_id, found in points.items():
        if len(found) < MIN_POINTS:
            raise InputError(
                f"{path}: site {site_id} has {len(found)} reference point; expected at least {MIN_POINTS}, at different "
                "distances, and 5 or more are well; add some or remove this one"
            )
        rows = [point.y for point in found]
        if max(rows) - min(rows) < MIN_HEIGHT_RANGE:
            raise InputError(
                f"{path}: the {len(found)} reference points of site {site_id} lie all on one row of the picture (y from "
                f"{min(rows):g} to {max(rows):g}); give points at near and at far distances"
            )
    return dict(points)


def _fraction(row: Row, column: str, size_column: str) -> float:
    """A coordinate as a fraction; it is in pixels where the size stands in the row."""
    value, size = row.number(column), row.optional_number(size_column)
    if size is not None:
        if size <= 1:
            raise row.error(size_column, "the picture's size in pixels")
        if not 0 <= value <= size:
            raise row.error(column, f"pixels of 0 to {size:g}")
        return value / size
    if not 0 <= value <= 1:
        raise row.error(column, f"a fraction of the picture (0 to 1), or a column {size_column!r} beside pixels")
    return value
