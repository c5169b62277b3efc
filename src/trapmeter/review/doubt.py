"""In which order rows are looked through: the most doubtful first."""

from __future__ import annotations

from collections.abc import Sequence

from trapmeter.records import Estimate, Status

_ORDER = (Status.MEASURED, Status.FAILED, Status.NO_ANIMAL, Status.PAST_END)
_NO_BOX_SCORE = 0.5


def doubt(row: Estimate) -> float:
    """How doubtful a measured distance is, 0 to 3: three things of 0 to 1 add up.

    - the interval's share: the width of the 90 % interval over the width and the distance together;
    - 1 if a reason stands in the row: unlike all that the model learnt from, damaged pictures, and the like;
    - how unsure the detector was, 1 - score; a row without a box counts as score 0.5.

    Rows without a distance have no doubt, 0.
    """
    distance, box = row.distance, row.observation.box
    if distance is None:
        return 0.0
    width = distance.high_m - distance.low_m
    share = width / (width + distance.distance_m) if width else 0.0
    return share + bool(row.reason) + 1.0 - (_NO_BOX_SCORE if box is None else box.score)


def by_doubt(rows: Sequence[Estimate]) -> list[int]:
    """The numbers of all rows: measured ones by their doubt, then seconds that failed, without an animal, past the end.

    Equal ones in the order of the table. The order never changes while rows are decided, so that nobody loses their place.
    """
    return sorted(range(len(rows)), key=lambda number: (_ORDER.index(rows[number].status), -doubt(rows[number])))
