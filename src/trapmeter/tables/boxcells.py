"""Boxes from the cells of a table, checked, with allowance for rounding; and written into cells."""

from __future__ import annotations

from trapmeter.errors import InputError
from trapmeter.records import Box
from trapmeter.tables.csvfile import Row, fixed_decimals

ROUNDING = 1e-3
"""How far a number may leave 0..1 and still count as rounded: one pixel of a picture 1000 pixels wide. Programs that
write three decimals, or a corner and a size each rounded to four, come out this far off."""

MIN_BOX_SIDE = 1e-4
"""Width or height given to a box that rounding has flattened to a line (a fraction of the picture)."""

COORDINATES = ("x1", "y1", "x2", "y2")


def make_box(xyxy: tuple[float, float, float, float], score: float, where: str) -> Box:
    """A checked box; coordinates and a score that leave 0..1 by at most ROUNDING are clipped.

    Args:
        xyxy: left, top, right, bottom as fractions of the picture.
        score: confidence, 0..1.
        where: how a message begins: file, line or entry.

    Raises:
        InputError: the numbers are wrong by more than rounding.
    """
    try:
        x1, y1, x2, y2 = (_clip(value) for value in xyxy)
        x1, x2 = _widen_if_flat(x1, x2)
        y1, y2 = _widen_if_flat(y1, y2)
        return Box(x1, y1, x2, y2, _clip(score))
    except InputError as error:
        raise InputError(f"{where}: {error}; correct these numbers (divide pixels by the picture's size)") from None


def read_box(row: Row, *, score_column: str | None) -> Box | None:
    """The box in the columns x1, y1, x2, y2 and score_column of a row; None when all of them are empty.

    Without a score_column (boxes that are known, not detected) the score is 1.

    Raises:
        InputError: some cells are empty and some are not, or they don't make a box.
    """
    columns = COORDINATES if score_column is None else (*COORDINATES, score_column)
    numbers = [row.optional_number(column) for column in columns]
    filled = [number for number in numbers if number is not None]
    if not filled:
        return None
    if len(filled) < len(numbers):
        empty = ", ".join(column for column, number in zip(columns, numbers, strict=True) if number is None)
        raise InputError(
            f"{row.where}: expected all of {', '.join(columns)} or none of them, but {empty} "
            f"{'is' if len(filled) == len(numbers) - 1 else 'are'} empty; fill the row or empty all of them"
        )
    x1, y1, x2, y2, *score = filled
    return make_box((x1, y1, x2, y2), score[0] if score else 1.0, f"{row.where}, columns {', '.join(columns)}")


def box_cells(box: Box | None) -> tuple[str, ...]:
    """x1, y1, x2, y2 with four decimals and the score with three, as cells; five empty cells for no box."""
    if box is None:
        return ("",) * 5
    x1, x2 = _round_apart(box.x1, box.x2)
    y1, y2 = _round_apart(box.y1, box.y2)
    return (*(fixed_decimals(value, 4) for value in (x1, y1, x2, y2)), fixed_decimals(box.score, 3))


def _clip(value: float) -> float:
    return min(1.0, max(0.0, value)) if -ROUNDING <= value <= 1.0 + ROUNDING else value


def _widen_if_flat(low: float, high: float) -> tuple[float, float]:
    """Moves two equal ends within 0..1 apart by MIN_BOX_SIDE; all else stays."""
    if low != high or not 0.0 <= low <= 1.0:
        return low, high
    return (low, low + MIN_BOX_SIDE) if low <= 1.0 - MIN_BOX_SIDE else (high - MIN_BOX_SIDE, high)


def _round_apart(low: float, high: float) -> tuple[float, float]:
    """Both ends rounded to four decimals, and kept apart so that a thinner box can be read back."""
    return _widen_if_flat(round(low, 4), round(high, 4))
