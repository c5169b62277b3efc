"""Reference points: picture positions on the ground at known distances.

The usual field protocol: when the camera is set up, a person or a pole is filmed at known distances. One row per point:
site_id, x, y (where it touches the ground, as fractions of the picture from the top left corner, or in pixels if the columns
width and height give the picture's size) and distance_m.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from trapmeter.errors import InputError
from trapmeter.tables.csvfile import Row, read_rows
from trapmeter.tables.metres import known_metres

MIN_POINTS = 2
"""One point does not show how the ground slopes away from the camera."""
MIN_HEIGHT_RANGE = 0.02
"""Between the highest and lowest point of a site, as a fraction of the picture: points on one row show no slope either."""


@dataclass(frozen=True, slots=True)
class ReferencePoint:
    """A point on the ground: x, y as fractions of the picture, and its distance from the camera in metres (> 0).

    line: where it stands in its table, 0 without one.
    """

    x: float
    y: float
    distance_m: float
    line: int = 0


def read_reference_points(path: str | Path) -> dict[str, list[ReferencePoint]]:
    """Reads the points of each site, in the order of the file.

    Raises:
        InputError: a cell is wrong, pixels lack the picture's size, or a site's points are too few or all on one row of the
            picture.
    """
    points: dict[str, list[ReferencePoint]] = defaultdict(list)
    for row in read_rows(path, required=("site_id", "x", "y", "distance_m")):
        distance_m = known_metres(row, "distance_m", is_positive=True)
        points[row.text("site_id")].append(
            ReferencePoint(_fraction(row, "x", "width"), _fraction(row, "y", "height"), distance_m, row.line)
        )
    for site_id, found in points.items():
        if len(found) < MIN_POINTS:
            raise InputError(
                f"{path}: site {site_id} has {len(found)} reference point; expected at least {MIN_POINTS} at different "
                "distances, better 5 or more; add some or remove this one"
            )
        rows = [point.y for point in found]
        if max(rows) - min(rows) < MIN_HEIGHT_RANGE:
            raise InputError(
                f"{path}: the {len(found)} reference points of site {site_id} are all on one row of the picture (y from "
                f"{min(rows):g} to {max(rows):g}); add points both near and far"
            )
    return dict(points)


def _fraction(row: Row, column: str, size_column: str) -> float:
    """A coordinate as a fraction; the cell is in pixels if the row gives the picture's size."""
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
