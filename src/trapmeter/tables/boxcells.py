"""Makes a Box from the numbers of a foreign table, forgiving what rounding does and nothing more."""

from __future__ import annotations

from trapmeter.errors import InputError
from trapmeter.records import Box
from trapmeter.tables.csvfile import Row

ROUNDING = 1e-3
"""By how much a number may leave 0..1 and still count as rounded: a pixel of a picture 1000 pixels wide. Programs
that write three decimals, or a corner plus a size each rounded to four, come this far out."""

MIN_BOX_SIDE = 1e-4
"""Width or height given to a box that rounding has flattened to a line (a fraction of the picture)."""

COORDINATES = ("x1", "y1", "x2", "y2")


def make_box(xyxy: tuple[float, float, float, float], score: float, where: str) -> Box:
    """A checked box; coordinates and score that leave 0..1 by at most ROUNDING are clipped.

    Args:
        xyxy: left, top, right, bottom as fractions of the picture.
        score: confidence, 0..1.
        where: how a message begins: file, line or entry.

    Raises:
        InputError: more than rounding is wrong.
    """
    try:
        x1, y1, x2, y2 = (_clip(value) for value in xyxy)
        x1, x2 = _widen_if_flat(x1, x2)
        y1, y2 = _widen_if_flat(y1, y2)
        return Box(x1, y1, x2, y2, _clip(score))
    except InputError as error:
        raise InputError(
            f"{where}: {error}; correct these numbers (pixels must be divided by the picture's size)"
        ) from None


def read_box(row: Row, *, score_column: str | None) -> Box | None:
    """The box in the columns x1, y1, x2, y2 and score_column of a row; None when all are empty.

    Without a score_column (boxes that are known, not detected) the score is 1.

    Raises:
        InputError: some are empty and some are not, or they are no box.
    """
    columns = COORDINATES if score_column is None else (*COORDINATES, score_column)
    numbers = [row.optional_number(column) for column in columns]
    given = [number for number in numbers if number is not None]
    if not given:
        return None
    if len(given) < len(numbers):
        empty = ", ".join(column for column, number in zip(columns, numbers, strict=True) if number is None)
        raise InputError(
            f"{row.where}: expected all of {', '.join(columns)} or none of them, but {empty} "
            f"{'is' if len(given) == len(numbers) - 1 else 'are'} empty; fill the row or empty all of them"
        )
    x1, y1, x2, y2, *score = given
    return make_box((x1, y1, x2, y2), score[0] if score else 1.0, f"{row.where}, columns {', '.join(columns)}")


def _clip(value: float) -> float:
    return min(1.0, max(0.0, value)) if -ROUNDING <= value <= 1.0 + ROUNDING else value


def _widen_if_flat(low: float, high: float) -> tuple[float, float]:
    """Two equal ends inside 0..1 become THINNEST apart; all else stays."""
    if low != high or not 0.0 <= low <= 1.0:
        return low, high
    return (low, low + MIN_BOX_SIDE) if low <= 1.0 - MIN_BOX_SIDE else (high - MIN_BOX_SIDE, high)
