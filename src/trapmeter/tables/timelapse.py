"""The CSV table that Timelapse imports: a row for each video or photo, found by File and RelativePath.

The other columns are the data labels that a Timelapse template needs for them: Animals (a count), NearestDistance,
NearestLow, NearestHigh and MedianDistance (decimals, metres), DistanceProblem (a note). Timelapse runs on Windows, so
backslashes separate folders.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path, PurePosixPath
from statistics import median

from trapmeter.files import atomic_file
from trapmeter.records import Estimate, Status
from trapmeter.tables.csvfile import to_cell

COLUMNS = (
    "File",
    "RelativePath",
    "Animals",
    "NearestDistance",
    "NearestLow",
    "NearestHigh",
    "MedianDistance",
    "DistanceProblem",
)


def write_timelapse(path: str | Path, estimates: Iterable[Estimate]) -> None:
    """Writes estimates, sorted by media_id: the most animals in one second, the nearest with its interval, and the median.

    Raises:
        RunError: the file can't be written.
    """
    with atomic_file(Path(path)) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for media_id, rows in groupby(estimates, lambda estimate: estimate.observation.media_id):
            writer.writerow(_cells(PurePosixPath(media_id), list(rows)))


def _cells(medium: PurePosixPath, rows: Sequence[Estimate]) -> tuple[str, ...]:
    folder = "" if medium.parent == PurePosixPath() else str(medium.parent).replace("/", "\\")
    names = to_cell(medium.name), to_cell(folder)
    measured = [row for row in rows if row.distance is not None]
    distances = sorted((row.measured_distance for row in measured), key=lambda distance: distance.distance_m)
    if not distances:
        failed = [row.reason for row in rows if row.status in (Status.FAILED, Status.UNKNOWN)]
        return (*names, "" if failed else "0", "", "", "", "", to_cell(failed[0]) if failed else "")
    nearest = distances[0]
    n_animals = max(Counter(row.observation.time_s for row in measured).values())
    numbers = nearest.distance_m, nearest.low_m, nearest.high_m, median(d.distance_m for d in distances)
    return (*names, str(n_animals), *(f"{metres:.2f}" for metres in numbers), "")
