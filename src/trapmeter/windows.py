"""The window of frames that a network gets for a second: offsets, and what replaces frames outside the video."""

from __future__ import annotations

import math
from enum import StrEnum

from trapmeter.errors import InputError

SECOND_PLACE_OFFSETS_S = (-1.0, -2.0, 0.0, 1.0, 2.0)
"""The order of the 2nd-place system; unintended, but its published weights depend on it."""

TIME_ORDER_OFFSETS_S = (-2.0, -1.0, 0.0, 1.0, 2.0)
WIDE_OFFSETS_S = (-4.0, -2.0, -1.0, 0.0, 1.0, 2.0, 4.0)
"""Wide enough for a slow animal to move. Contains the seconds of the other windows."""


class Edge(StrEnum):
    """What replaces a second before the start or after the end of the video."""

    BLACK = "black"
    REPEAT = "repeat"


def window_times(
    time_s: float, offsets_s: tuple[float, ...], length_s: float, edge: Edge = Edge.BLACK
) -> tuple[float | None, ...]:
    """The time of each frame of the window around time_s, in the order of the offsets; None is a black frame.

    The video spans 0 <= t < length_s. With Edge.REPEAT the nearest whole second inside replaces a time outside: 0 before
    the start, the last whole second after the end.

    Raises:
        InputError: time_s itself lies outside the video.
    """
    if not 0 <= time_s < length_s:
        raise InputError(f"a window needs its second inside the video: {time_s:g} s of {length_s:g} s")
    # The last whole second before the end: 7 of 8.0 s, 8 of 8.1 s.
    last_s = max(time_s, float(-(-length_s // 1) - 1))
    return tuple(
        t if 0 <= t < length_s else None if edge is Edge.BLACK else 0.0 if t < 0 else last_s
        for t in (round(time_s + offset, 6) for offset in offsets_s)
    )


def parse_offsets(text: str) -> tuple[float, ...]:
    """Parses offsets in seconds such as "-1,-2,0,1,2"; the second itself (0) must be among them.

    Raises:
        InputError: an offset is not a number, 0 is missing, or one occurs twice.
    """
    try:
        offsets = tuple(float(part) for part in text.split(","))
    except ValueError:
        raise InputError(f"offsets are seconds separated by commas, such as -2,-1,0,1,2; got {text!r}") from None
    if 0.0 not in offsets or len(set(offsets)) != len(offsets) or not all(map(math.isfinite, offsets)):
        raise InputError(f"offsets must include 0, the second itself, and each only once; got {text!r}")
    return offsets
