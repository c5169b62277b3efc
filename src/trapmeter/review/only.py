"""Which rows a review lists if a table names them, such as the seconds to label that `calibrate --pick` chooses."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from trapmeter.errors import InputError
from trapmeter.geometry import match_boxes
from trapmeter.records import Estimate
from trapmeter.tables.boxcells import read_box
from trapmeter.tables.csvfile import Row, read_rows
from trapmeter.tables.file_names import NameIndex


def read_only(path: str | Path, rows: Sequence[Estimate], source: Path) -> frozenset[int]:
    """The numbers of the measured rows that a table names by video_id and time, and by animal_id or box if it has them.

    source: where the rows come from, for messages. A table without either names all animals of its seconds.

    Raises:
        InputError: the table is damaged or empty, or names a row that the results lack; names file and line.
    """
    of_medium: dict[str, list[int]] = defaultdict(list)
    for number, estimate in enumerate(rows):
        of_medium[estimate.observation.media_id].append(number)
    names = NameIndex(of_medium)
    found: set[int] = set()
    for row in read_rows(path, required=("video_id", "time")):
        name, time_s = row.text("video_id"), row.non_negative_number("time", "seconds")
        media_id = names.find_one(name, row.where)
        second = [
            number
            for number in of_medium.get(media_id or "", ())
            if rows[number].distance is not None and _is_time(rows[number].observation.time_s, time_s)
        ]
        numbers = _of_animal(row, second, rows)
        if not numbers:
            raise InputError(
                f"{row.where}: {source} has no such animal ({name} at {time_s:g} s); give the results from which the table "
                "was made, make it again with `trapmeter calibrate --pick`, or remove the row"
            )
        found.update(numbers)
    if not found:
        raise InputError(f"{path} has no rows: there is nothing to review; leave --only out to list all rows")
    return frozenset(found)


def _of_animal(row: Row, second: list[int], rows: Sequence[Estimate]) -> list[int]:
    """The rows of a second that are of the animal that the table names."""
    animal_id, box = row.optional_count("animal_id"), read_box(row, score_column=None)
    if animal_id is not None:
        return [number for number in second if rows[number].observation.animal_id == animal_id]
    if box is not None and second:
        return [second[j] for _, j in match_boxes([box], [rows[number].observation.box for number in second])]
    return second


def _is_time(time_s: float, written_s: float) -> bool:
    """Whether a time is the one that a table states: to the millisecond, or to the six digits that tables have."""
    return abs(time_s - written_s) <= 1e-3 + 1e-5 * time_s
