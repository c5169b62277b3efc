"""Reference marks: places in pictures of points on the ground, poles and people whose distances or heights are known.

The usual field protocol: when the camera is set up, a person or a pole is photographed at known distances. One row per mark:

- site_id, and optionally start and end of the deployment and the name of the photo;
- x, y: fractions of the picture from the top left corner, or pixels if the columns width and height give the picture's size;
- distance_m: from the camera along the ground; it may be empty for a pole or person with two marks;
- object: marks with the same text, of the same site and photo, are of one pole or person; kind: ground, pole or person;
- mark_height_m: of the mark above the ground; nothing means 0.

A table of site_id, x, y and distance_m alone holds points on the ground.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from trapmeter.errors import InputError
from trapmeter.tables.csvfile import Row, parse_rows, read_text
from trapmeter.tables.metres import FARTHEST_KNOWN_M, known_metres
from trapmeter.tables.times import TimeReader

COLUMNS = (
    *("site_id", "start", "end", "photo", "object", "kind"),
    *("x", "y", "width", "height", "mark_height_m", "distance_m"),
)
MIN_MARKS = 2
"""One mark does not show how the ground slopes away from the camera."""
MIN_HEIGHT_RANGE = 0.02
"""Between the highest and lowest mark of a site, as a fraction of the picture: marks on one row show no slope either."""
BEYOND = 1.0
"""How far beyond the picture a mark may lie, in pictures: the foot of a near pole is often computed below the lower edge."""
MAX_MARK_HEIGHT_M = 10.0


def photo_name(file: str, time_s: float) -> str:
    """The name of a picture of a video, as the column photo holds it, such as S01/setup.mp4#t=3."""
    return f"{file}#t={time_s:g}"


def split_photo_name(name: str) -> tuple[str, float]:
    """The file that a name in the column photo stands for, and the second of a video, 0 for a photo."""
    file, mark, second = name.rpartition("#t=")
    try:
        time_s = float(second)
    except ValueError:
        return name, 0.0
    return (file, time_s) if mark and file and 0 <= time_s < math.inf else (name, 0.0)


class UprightKind(StrEnum):
    """What was marked: a point on the ground, a pole, a person, or the box of an animal of known size."""

    GROUND = "ground"
    POLE = "pole"
    PERSON = "person"
    ANIMAL = "animal"

    @property
    def height_sd(self) -> float:
        """Relative standard deviation of the heights of its marks: poles lean, people have shoes and bend their knees."""
        return {UprightKind.PERSON: 0.03, UprightKind.ANIMAL: 0.25}.get(self, 0.01)

    @property
    def click_sd_y(self) -> float:
        """Standard deviation of a mark up and down, as a fraction of the picture's height: 4 pixels of 720 for a click."""
        return 0.04 if self is UprightKind.ANIMAL else 0.005

    @property
    def click_sd_x(self) -> float:
        """The same to the left and right. The middle of a box says nothing about how upright its animal stands."""
        return 0.1 if self is UprightKind.ANIMAL else 0.005


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in the picture (x, y: fractions) and its height above the ground in metres.

    line: where it stands in its table, 0 without one.
    """

    x: float
    y: float
    height_m: float = 0.0
    line: int = 0

    def __post_init__(self) -> None:
        if not all(-BEYOND <= value <= 1 + BEYOND for value in (self.x, self.y)):
            raise InputError(
                f"expected a mark in the picture (0 to 1) or at most {BEYOND:g} picture beside it, got {self.x:g}, "
                f"{self.y:g}"
            )
        if not 0 <= self.height_m <= MAX_MARK_HEIGHT_M:
            raise InputError(f"expected a mark at 0 to {MAX_MARK_HEIGHT_M:g} m above the ground, got {self.height_m:g}")


@dataclass(frozen=True, slots=True)
class Upright:
    """A point on the ground, or a pole or person that stands upright on it.

    marks: at least one; two or more at different heights show the distance even if it is unknown. distance_m: from the camera
    along the ground, None if unknown. photo, name: of the picture and of the object in it, "" if the table doesn't say.
    """

    marks: tuple[Mark, ...]
    distance_m: float | None = None
    kind: UprightKind = UprightKind.GROUND
    photo: str = ""
    name: str = ""

    def __post_init__(self) -> None:
        if self.distance_m is not None and not 0 < self.distance_m <= FARTHEST_KNOWN_M:
            raise InputError(
                f"expected a distance of more than 0 and at most {FARTHEST_KNOWN_M:g} m, got {self.distance_m:g}"
            )
        heights = [mark.height_m for mark in self.marks]
        if len(set(heights)) < len(heights):
            raise InputError(
                f"two marks of one pole or person are at the same height ({', '.join(f'{h:g}' for h in heights)} m); give "
                "each pole and person of a photo a name of its own in the column object"
            )
        if not heights or (self.distance_m is None and len(heights) == 1):
            raise InputError("expected a distance, or two marks at different heights above the ground")
        if self.highest.y >= self.lowest.y and len(heights) > 1:
            raise InputError(
                f"the mark at {self.highest.height_m:g} m is lower in the picture than that at {self.lowest.height_m:g} m, "
                "as if the pole stood upside down; check the heights of its marks (y counts from the top)"
            )

    @property
    def lowest(self) -> Mark:
        """The mark nearest to the ground."""
        return min(self.marks, key=lambda mark: mark.height_m)

    @property
    def highest(self) -> Mark:
        """The mark farthest above the ground."""
        return max(self.marks, key=lambda mark: mark.height_m)

    @property
    def height_range_m(self) -> float:
        """Between the lowest and the highest mark."""
        return self.highest.height_m - self.lowest.height_m

    @property
    def line(self) -> int:
        """Where its lowest mark stands in the table."""
        return self.lowest.line

    @property
    def is_ground_point(self) -> bool:
        """Whether it is a single mark on the ground at a known distance."""
        return len(self.marks) == 1 and self.lowest.height_m == 0


def ground_point(x: float, y: float, distance_m: float, line: int = 0) -> Upright:
    """A point on the ground at a known distance."""
    return Upright((Mark(x, y, line=line),), distance_m)


@dataclass(frozen=True, slots=True)
class MarkedDeployment:
    """The reference marks of one camera in one position: a site from a start to an end, None for an open one.

    aspect: width over height of its photos, None if the table doesn't say.
    """

    site_id: str
    start: datetime | None
    end: datetime | None
    uprights: tuple[Upright, ...]
    aspect: float | None = None

    @property
    def is_dated(self) -> bool:
        """Whether it starts or ends at a known time."""
        return self.start is not None or self.end is not None

    def spans(self, time: datetime) -> bool:
        """Whether a time belongs to it; its last instant does."""
        return (self.start is None or self.start <= time) and (self.end is None or time <= self.end)

    @property
    def photos(self) -> tuple[str, ...]:
        """The names of its reference photos, in the order of the table."""
        return tuple(dict.fromkeys(upright.photo for upright in self.uprights if upright.photo))


def read_reference_marks(
    path: str | Path, times: TimeReader | None = None, *, allows_few: bool = False
) -> list[MarkedDeployment]:
    """Reads the marks of each deployment, in the order of the file.

    times: how start and end are read. allows_few: deployments may have too few marks, as in a table that isn't finished.

    Raises:
        InputError: a cell is wrong, pixels lack the picture's size, marks of one pole contradict each other, the deployments
            of a site overlap, or a deployment has too few marks or all on one row of the picture.
    """
    return parse_reference_marks(path, read_text(path), times, allows_few=allows_few)


def parse_reference_marks(
    path: str | Path, text: str, times: TimeReader | None = None, *, allows_few: bool = False
) -> list[MarkedDeployment]:
    """As `read_reference_marks`, from a text that was read before; path is its name for messages."""
    times = times or TimeReader()
    deployments: dict[tuple[str, datetime | None, datetime | None], list[Row]] = defaultdict(list)
    for row in parse_rows(path, text, required=("site_id", "x", "y", "distance_m")):
        start, end = (times.read(row, name) if row.optional_text(name) else None for name in ("start", "end"))
        if start is not None and end is not None and start >= end:
            raise row.error("end", "a time after start")
        deployments[row.text("site_id"), start, end].append(row)
    found = [
        MarkedDeployment(site_id, start, end, tuple(_uprights(rows)), _aspect(rows))
        for (site_id, start, end), rows in deployments.items()
    ]
    if not allows_few:
        for deployment in found:
            _check_spread(path, deployment)
    check_overlaps(path, found)
    return found


def _uprights(rows: list[Row]) -> list[Upright]:
    groups: dict[object, list[Row]] = defaultdict(list)
    for row in rows:
        name = row.optional_text("object")
        groups[(row.optional_text("photo"), name) if name else row.line].append(row)
    return [_upright(group) for group in groups.values()]


def _upright(rows: list[Row]) -> Upright:
    first = rows[0]
    distances = {
        known_metres(row, "distance_m", is_positive=True): row for row in rows if row.optional_text("distance_m")
    }
    if len(distances) > 1:
        raise list(distances.values())[1].error("distance_m", "the same distance as in the other rows of this object")
    marks = tuple(
        Mark(_fraction(row, "x", "width"), _fraction(row, "y", "height"), _mark_height(row), row.line) for row in rows
    )
    try:
        kind = UprightKind(first.optional_text("kind") or (UprightKind.POLE if len(rows) > 1 else UprightKind.GROUND))
    except ValueError:
        raise first.error("kind", f"one of {', '.join(UprightKind)}, or nothing") from None
    try:
        return Upright(
            marks, next(iter(distances), None), kind, first.optional_text("photo"), first.optional_text("object")
        )
    except InputError as error:
        raise InputError(f"{first.where}: {error}") from None


def _aspect(rows: list[Row]) -> float | None:
    aspects = set()
    for row in rows:
        width, height = row.optional_number("width"), row.optional_number("height")
        if width and height:
            aspects.add(round(width / height, 2))
            if max(aspects) - min(aspects) > 0.03:
                raise row.error(
                    "height", "a picture as wide and high as the others of this camera, or another site or deployment"
                )
    return max(aspects, default=None)


def _mark_height(row: Row) -> float:
    height_m = row.optional_number("mark_height_m") or 0.0
    if not 0 <= height_m <= MAX_MARK_HEIGHT_M:
        raise row.error("mark_height_m", f"metres above the ground, 0 to {MAX_MARK_HEIGHT_M:g}")
    return height_m


def _fraction(row: Row, column: str, size_column: str) -> float:
    """A coordinate as a fraction; the cell is in pixels if the row gives the picture's size."""
    value, size = row.number(column), row.optional_number(size_column)
    if size is not None:
        if size <= 1:
            raise row.error(size_column, "the picture's size in pixels")
        if not -BEYOND * size <= value <= (1 + BEYOND) * size:
            raise row.error(column, f"pixels of 0 to {size:g}, or at most {BEYOND:g} picture beside it")
        return value / size
    if not -BEYOND <= value <= 1 + BEYOND:
        raise row.error(column, f"a fraction of the picture (0 to 1), or a column {size_column!r} beside pixels")
    return value


def has_spread(uprights: Iterable[Upright]) -> bool:
    """Whether the marks show how the ground slopes: at least MIN_MARKS, and not all on one row of the picture."""
    rows = [mark.y for upright in uprights for mark in upright.marks]
    return len(rows) >= MIN_MARKS and max(rows) - min(rows) >= MIN_HEIGHT_RANGE


def _check_spread(path: str | Path, deployment: MarkedDeployment) -> None:
    if has_spread(deployment.uprights):
        return
    marks = [mark for upright in deployment.uprights for mark in upright.marks]
    if len(marks) < MIN_MARKS:
        raise InputError(
            f"{path}: site {deployment.site_id} has {len(marks)} reference point; expected at least {MIN_MARKS} at different "
            "distances, better 5 or more, or a pole with two marks; add some or remove this one"
        )
    rows = [mark.y for mark in marks]
    raise InputError(
        f"{path}: the {len(marks)} reference points of site {deployment.site_id} are all on one row of the picture (y "
        f"from {min(rows):g} to {max(rows):g}); add points both near and far"
    )


def check_overlaps(path: str | Path, deployments: Iterable[MarkedDeployment]) -> None:
    """Checks that no two deployments of a site overlap.

    Raises:
        InputError: two do, so a mark could belong to either.
    """
    by_site: dict[str, list[MarkedDeployment]] = defaultdict(list)
    for deployment in deployments:
        by_site[deployment.site_id].append(deployment)
    for site_id, found in by_site.items():
        for i, first in enumerate(found):
            for second in found[i + 1 :]:
                starts_first = first.start is None or second.end is None or first.start < second.end
                ends_last = first.end is None or second.start is None or second.start < first.end
                if starts_first and ends_last:
                    raise InputError(
                        f"{path}: two deployments of site {site_id} overlap ({_span(first)} and {_span(second)}), so their "
                        "reference points could belong to either; correct start and end, or give them two site names"
                    )


def _span(deployment: MarkedDeployment) -> str:
    start, end = ("open" if time is None else time.isoformat(" ") for time in (deployment.start, deployment.end))
    return f"{start} to {end}"
