"""The requests of the page as checked records, and typed numbers as people write them: "8,5" or "8.5 m"."""

from __future__ import annotations

import math

from pydantic import BaseModel, ConfigDict, Field

from trapmeter.errors import InputError
from trapmeter.marking.photographs import Photograph
from trapmeter.marking.table import METRE_DECIMALS, PIXEL_DECIMALS
from trapmeter.tables.metres import FARTHEST_KNOWN_M, expected_metres
from trapmeter.tables.reference_marks import MAX_MARK_HEIGHT_M, Mark, Upright, UprightKind

MOST_MARKS = 20


class FieldError(InputError):
    """A typed value isn't what is expected. field: "distance", or "height-0" for the first mark, and so on; "" for none."""

    def __init__(self, text: str, field: str = "") -> None:
        super().__init__(text)
        self.field = field


class MarkRequest(BaseModel):
    """A mark: fractions of the picture, and its height in metres as typed."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    x: float
    y: float
    height: str = Field("", max_length=40)


class ObjectRequest(BaseModel):
    """A point, pole or person as the page sends it. line: where it stands in the table, None for a new one.

    base: the version that the page knew. distance: in metres, as typed.
    """

    model_config = ConfigDict(extra="forbid")

    photograph: int
    base: int
    line: int | None = None
    kind: UprightKind
    name: str = Field("", max_length=200)
    distance: str = Field("", max_length=40)
    marks: list[MarkRequest] = Field(min_length=1, max_length=MOST_MARKS)


class RemovalRequest(BaseModel):
    """An object to remove, by its line in the table of the version `base`."""

    model_config = ConfigDict(extra="forbid")

    photograph: int
    base: int
    line: int


class UndoRequest(BaseModel):
    """Takes back the last change, if the page knew it. photograph: the one on display."""

    model_config = ConfigDict(extra="forbid")

    photograph: int
    base: int


def requested_upright(request: ObjectRequest, photograph: Photograph) -> Upright:
    """The object of a request, rounded as the table will have it.

    Raises:
        FieldError: a number is missing or out of range, or the marks contradict each other; says which field.
    """
    distance_m = read_distance(request.distance)
    if request.kind is UprightKind.GROUND and len(request.marks) == 1 and distance_m is None:
        raise FieldError("type the distance from the camera in metres", "distance")
    heights = [read_height(mark.height, i) for i, mark in enumerate(request.marks)]
    for i, height_m in enumerate(heights):
        if height_m in heights[:i]:
            raise FieldError(f"two marks are at the same height, {height_m:g} m: give each its own", f"height-{i}")
    marks = [
        (_rounded(mark.x, photograph.width), _rounded(mark.y, photograph.height), height_m)
        for mark, height_m in zip(request.marks, heights, strict=True)
    ]
    xs, ys = ([size * mark[axis] for mark in marks] for axis, size in enumerate((photograph.width, photograph.height)))
    if max(xs) - min(xs) > max(ys) - min(ys):
        raise FieldError("the marks lie side by side: those of a pole or person are above each other")
    if distance_m is None and len(marks) == 1:
        raise FieldError("type the distance in metres, or mark a second height", "distance")
    try:
        return Upright(tuple(Mark(*mark) for mark in marks), distance_m, request.kind, photograph.name, request.name)
    except InputError as error:
        raise FieldError(str(error), "height-0" if len(marks) > 1 else "") from None


def read_distance(text: str) -> float | None:
    """Metres from the camera as typed; None for nothing.

    Raises:
        FieldError: it is no number, or not more than 0 and at most `FARTHEST_KNOWN_M`.
    """
    metres = _metres(text, "distance")
    if metres is not None and metres <= 0:
        raise FieldError("a distance is more than 0 m", "distance")
    if metres is not None and metres > FARTHEST_KNOWN_M:
        raise FieldError(f"expected {expected_metres(metres)}, got {metres:g}", "distance")
    return metres


def read_height(text: str, number: int = 0) -> float:
    """Metres above the ground of the mark with this number, as typed; nothing is 0.

    Raises:
        FieldError: it is no number of 0 to `MAX_MARK_HEIGHT_M`.
    """
    height_m = _metres(text, f"height-{number}") or 0.0
    if not 0 <= height_m <= MAX_MARK_HEIGHT_M:
        raise FieldError(
            f"a mark is 0 to {MAX_MARK_HEIGHT_M:g} m above the ground, not {height_m:g}", f"height-{number}"
        )
    return height_m


def _metres(text: str, field: str) -> float | None:
    number = text.strip().removesuffix("m").strip().replace(",", ".")
    if not number:
        return None
    try:
        metres = float(number)
    except ValueError:
        metres = math.nan
    if not math.isfinite(metres) or "_" in number:
        raise FieldError(f"{text.strip()!r} is not a number of metres", field)
    return round(metres, METRE_DECIMALS)


def _rounded(fraction: float, size: int) -> float:
    """The fraction that the table's pixels stand for."""
    return round(fraction * size, PIXEL_DECIMALS) / size
