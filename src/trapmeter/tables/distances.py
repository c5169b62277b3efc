"""distances.csv, our own answer: one row per animal and second, or per second without a measured animal.

Numbers have a fixed number of decimals, so the same estimates give the same bytes; texts are written as celltext.py
says. Sorting is left to the caller.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from trapmeter.errors import InputError
from trapmeter.files import whole_file
from trapmeter.records import Box, Distance, Estimate, Observation, Status
from trapmeter.tables.boxcells import COORDINATES, THINNEST, read_box
from trapmeter.tables.celltext import from_cell, to_cell
from trapmeter.tables.csvfile import Row, read_rows

NAME = "distances.csv"
DECISIONS = "review.jsonl"
"""Beside distances.csv: what people have decided about its rows."""
OF_RUN = "run"
"""Under which the run.json of what `calibrate` and `review export` write keeps that of the run."""
COLUMNS = (
    "media_id",
    "time_s",
    "animal_id",
    *COORDINATES,
    "score",
    "distance_m",
    "low_m",
    "high_m",
    "angle_deg",
    "site_id",
    "status",
    "reason",
    "model_id",
)
DRAWS = tuple(f"q{percent:02d}_m" for percent in range(5, 100, 10))
"""q05_m, q15_m, ... q95_m: the middles of the ten tenths of where the animal may stand."""
NIGHT, SPECIES = "night", "species"
"""Columns that earlier versions lack. species stands there only where some row has one."""


def write_distances(path: Path, estimates: Iterable[Estimate]) -> None:
    """Writes the estimates in the order given; the file appears whole or not at all.

    Raises:
        RunError: the file can't be written.
    """
    rows = estimates if isinstance(estimates, Sequence) else list(estimates)
    has_species = any(estimate.observation.species for estimate in rows)
    with whole_file(path) as file:
        writer = csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_MINIMAL)
        writer.writerow((*COLUMNS, *DRAWS, NIGHT, *((SPECIES,) if has_species else ())))
        for estimate in rows:
            writer.writerow((*_cells(estimate), *((to_cell(estimate.observation.species),) if has_species else ())))


def find_distances(results: Path) -> Path:
    """The table of a folder of results, or the file itself.

    Raises:
        InputError: the folder has none.
    """
    source = results / NAME if results.is_dir() else results
    if not source.exists():
        raise InputError(
            f"{source} does not exist; give the folder that `trapmeter predict --out` has written, or its {NAME}"
        )
    return source


def facts_beside(source: Path) -> dict[str, Any]:
    """What stands in the run.json beside a distances.csv; nothing where there is none that can be read."""
    try:
        facts = json.loads(source.with_name("run.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return facts if isinstance(facts, dict) else {}


def run_facts(source: Path) -> dict[str, Any]:
    """What the run.json beside a distances.csv tells of the run that measured, also where a later step wrote the table."""
    facts = facts_beside(source)
    of_run = facts.get(OF_RUN, facts)
    return of_run if isinstance(of_run, dict) else {}


def read_distances(path: Path) -> list[Estimate]:
    """Reads a distances.csv of write_distances, also after a spreadsheet has saved it again.

    Raises:
        InputError: a cell is not what it should be; names file, line and column.
    """
    return [_estimate(row) for row in read_rows(path, required=COLUMNS)]


def read_distances_with(path: Path, column: str) -> list[tuple[Estimate, str]]:
    """Reads a distances.csv that has a further column of texts, such as species; each estimate with its text.

    Raises:
        InputError: the column is missing, or a cell is not what it should be; names file, line and column.
    """
    return [(_estimate(row), row.optional_text(column)) for row in read_rows(path, required=(*COLUMNS, column))]


def _cells(estimate: Estimate) -> list[str]:
    observation, distance, angle = estimate.observation, estimate.distance, estimate.angle_deg
    return [
        to_cell(observation.media_id),
        fixed(observation.time_s, 6).rstrip("0").rstrip("."),
        str(observation.animal_id) if observation.animal_id else "",
        *_box_cells(observation.box),
        *(
            ("", "", "")
            if distance is None
            else (fixed(m, 2) for m in (distance.distance_m, distance.low_m, distance.high_m))
        ),
        "" if angle is None else fixed(angle, 1),
        to_cell(observation.site_id),
        estimate.status.value,
        to_cell(estimate.reason),
        to_cell(estimate.model_id),
        *(fixed(m, 2) for m in (distance.draws_m if distance else ())),
        *([] if distance and distance.draws_m else [""] * len(DRAWS)),
        "" if observation.is_night is None else str(int(observation.is_night)),
    ]


def fixed(number: float, decimals: int) -> str:
    """Fixed decimals; -0.0 is written as 0.0."""
    text = f"{number:.{decimals}f}"
    return text.removeprefix("-") if float(text) == 0 else text


def _box_cells(box: Box | None) -> tuple[str, ...]:
    if box is None:
        return ("",) * 5
    x1, x2 = _apart(box.x1, box.x2)
    y1, y2 = _apart(box.y1, box.y2)
    return (*(fixed(value, 4) for value in (x1, y1, x2, y2)), fixed(box.score, 3))


def _apart(low: float, high: float) -> tuple[float, float]:
    """Both ends with four decimals, kept apart: a box thinner than that would come back as no box."""
    low, high = round(low, 4), round(high, 4)
    if low < high:
        return low, high
    return (low, low + THINNEST) if low < 1.0 else (1.0 - THINNEST, 1.0)


def _estimate(row: Row) -> Estimate:
    try:
        status = Status(row.text("status"))
    except ValueError:
        raise row.error("status", f"one of {', '.join(Status)}") from None
    angle_deg = row.optional_number("angle_deg")
    try:
        return Estimate(
            Observation(
                media_id=from_cell(row.raw("media_id")),
                time_s=row.number_from_0("time_s", "seconds"),
                box=read_box(row, score_column="score"),
                animal_id=_animal_id(row),
                site_id=from_cell(row.raw("site_id")),
                is_night=_is_night(row),
                species=row.optional_text(SPECIES),
            ),
            status,
            distance=_distance(row),
            angle_deg=angle_deg,
            reason=from_cell(row.raw("reason")),
            model_id=from_cell(row.raw("model_id")),
        )
    except ValueError as error:
        raise InputError(f"{row.where}: {error}; correct that row") from None


def _animal_id(row: Row) -> int:
    number = row.optional_number("animal_id") or 0
    if number < 0 or number != int(number):
        raise row.error("animal_id", "a whole number >= 1, or nothing")
    return int(number)


def _is_night(row: Row) -> bool | None:
    number = row.optional_number(NIGHT)
    if number not in (None, 0, 1):
        raise row.error(NIGHT, "1 (pictures without colours), 0, or nothing")
    return None if number is None else bool(number)


def _distance(row: Row) -> Distance | None:
    columns = ("distance_m", "low_m", "high_m")
    if not any(row.optional_text(column) for column in columns):
        return None
    distance_m, low_m, high_m = (row.number_from_0(column, "metres") for column in columns)
    # Tables of earlier versions have no draws.
    draws_m = tuple(row.number_from_0(column, "metres") for column in DRAWS if row.optional_text(column))
    return Distance(distance_m, low_m, high_m, draws_m)
