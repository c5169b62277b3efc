"""distances.csv, the table of results: written, read, and as a pandas data frame."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trapmeter.errors import InputError, MissingExtraError
from trapmeter.files import atomic_file
from trapmeter.records import Distance, Estimate, Observation, Status
from trapmeter.tables.boxcells import COORDINATES, box_cells, read_box
from trapmeter.tables.csvfile import Row, fixed_decimals, from_cell, read_rows, to_cell
from trapmeter.tables.times import time_of_file

if TYPE_CHECKING:
    import pandas as pd

DISTANCES_CSV = "distances.csv"
JOURNAL = "seen.jsonl"
"""The results of each medium, in the folder of a run."""
REVIEW_LOG = "review.jsonl"
"""The log beside distances.csv of what people decided about its rows."""
RUN_KEY = "run"
"""Where the run.json of `calibrate` and `review export` keeps the run.json of the run that measured."""
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
DRAW_COLUMNS = tuple(f"q{percent:02d}_m" for percent in range(5, 100, 10))
"""q05_m, q15_m, ... q95_m: quantiles of where the animal may stand, the middle of each tenth."""
NIGHT_COLUMN, SPECIES_COLUMN = "night", "species"
SPECIES_SCORE_COLUMN, SPECIES_LABEL_COLUMN = "species_score", "species_label"
TAKEN_COLUMN, EVENT_COLUMN, FIRST_COLUMN = "taken_at", "event_id", "first_position"
OPTIONAL_COLUMNS = (
    *(SPECIES_COLUMN, SPECIES_SCORE_COLUMN, SPECIES_LABEL_COLUMN),
    *(TAKEN_COLUMN, EVENT_COLUMN, FIRST_COLUMN),
)
"""Columns that earlier versions lack, as they lack NIGHT_COLUMN. Each is written only when some row has a value."""


def write_distances(path: str | Path, estimates: Iterable[Estimate]) -> None:
    """Writes distances.csv, a row for each estimate in the order given; the file appears complete or not at all.

    Raises:
        RunError: the file can't be written.
    """
    rows = estimates if isinstance(estimates, Sequence) else list(estimates)
    found: set[str] = set()
    for estimate in rows:
        found |= {column for column, cell in _optional_cells(estimate.observation).items() if cell}
    further = [column for column in OPTIONAL_COLUMNS if column in found]
    with atomic_file(Path(path)) as file:
        writer = csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_MINIMAL)
        writer.writerow((*COLUMNS, *DRAW_COLUMNS, NIGHT_COLUMN, *further))
        for estimate in rows:
            optional = _optional_cells(estimate.observation)
            writer.writerow((*_cells(estimate), *(optional[column] for column in further)))


def find_distances(results: str | Path) -> Path:
    """The distances.csv of a folder of results, or of the file itself.

    Raises:
        InputError: there is none.
    """
    results = Path(results)
    source = results / DISTANCES_CSV if results.is_dir() else results
    if not source.exists():
        raise InputError(
            f"{source} does not exist; give the folder that `trapmeter predict --out` wrote, or its {DISTANCES_CSV}"
        )
    return source


class RunFacts(dict[str, Any]):
    """The content of a run.json. The properties check what they return, since the file may hold anything."""

    @property
    def root(self) -> Path | None:
        """The folder that media_ids start from, None when it isn't known."""
        root = self.get("root")
        return Path(root) if isinstance(root, str) else None

    @property
    def arguments(self) -> dict[str, Any]:
        """The settings of the run by name, {} when they aren't known."""
        arguments = self.get("arguments")
        return arguments if isinstance(arguments, dict) else {}

    @property
    def detector_id(self) -> str | None:
        """The model_id of the detector, None without one."""
        try:
            return str(self["models"]["detector"]["model_id"])
        except (KeyError, TypeError):
            return None

    @property
    def finished(self) -> datetime | None:
        """When the run ended, None when it isn't known."""
        try:
            return datetime.fromisoformat(self["finished"])
        except (KeyError, TypeError, ValueError):
            return None


def read_run_json(source: str | Path) -> RunFacts:
    """The run.json beside a distances.csv, also of an earlier version; empty when there is none that can be read."""
    try:
        facts = json.loads(Path(source).with_name("run.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return RunFacts()
    if not isinstance(facts, dict):
        return RunFacts()
    for run in (facts, facts.get(RUN_KEY)):
        if isinstance(run, dict):
            _rename_old_keys(run)
    return RunFacts(facts)


def _rename_old_keys(run: dict[str, Any]) -> None:
    """Gives what an earlier version wrote about a run the names of this version."""
    cameras = run.get("cameras")
    if isinstance(cameras, dict) and "told" in cameras:
        run["cameras"] = {"n_with_hfov" if name == "told" else name: value for name, value in cameras.items()}


def read_run_facts(source: str | Path) -> RunFacts:
    """What the run.json beside a distances.csv says of the run that measured, even if a later step wrote the table."""
    facts = read_run_json(source)
    measuring_run = facts.get(RUN_KEY, facts)
    return RunFacts(measuring_run if isinstance(measuring_run, dict) else {})


def read_distances(path: str | Path) -> list[Estimate]:
    """Reads a distances.csv, even after a spreadsheet saved it again.

    Raises:
        InputError: a cell is wrong; names file, line and column.
    """
    return [_estimate(row) for row in read_rows(path, required=COLUMNS)]


def read_distances_with_rows(path: str | Path, columns: Sequence[str]) -> list[tuple[Estimate, Row]]:
    """Reads a distances.csv with further columns, such as species; returns each estimate with its row in the file.

    Raises:
        InputError: a column is missing or a cell is wrong; names file, line and column.
    """
    return [(_estimate(row), row) for row in read_rows(path, required=(*COLUMNS, *columns))]


def _cells(estimate: Estimate) -> list[str]:
    observation, distance, angle = estimate.observation, estimate.distance, estimate.angle_deg
    return [
        to_cell(observation.media_id),
        fixed_decimals(observation.time_s, 6).rstrip("0").rstrip("."),
        str(observation.animal_id) if observation.animal_id else "",
        *box_cells(observation.box),
        *(
            ("", "", "")
            if distance is None
            else (fixed_decimals(m, 2) for m in (distance.distance_m, distance.low_m, distance.high_m))
        ),
        "" if angle is None else fixed_decimals(angle, 1),
        to_cell(observation.site_id),
        estimate.status.value,
        to_cell(estimate.reason),
        to_cell(estimate.model_id),
        *(fixed_decimals(m, 2) for m in (distance.draws_m if distance else ())),
        *([] if distance and distance.draws_m else [""] * len(DRAW_COLUMNS)),
        "" if observation.is_night is None else str(int(observation.is_night)),
    ]


def _optional_cells(observation: Observation) -> dict[str, str]:
    score, taken_at, is_first = observation.species_score, observation.taken_at, observation.is_first
    return {
        SPECIES_COLUMN: to_cell(observation.species),
        SPECIES_SCORE_COLUMN: "" if score is None else fixed_decimals(score, 3),
        SPECIES_LABEL_COLUMN: to_cell(observation.species_label),
        TAKEN_COLUMN: "" if taken_at is None else taken_at.isoformat(),
        EVENT_COLUMN: to_cell(observation.event_id),
        FIRST_COLUMN: "" if is_first is None else str(int(is_first)),
    }


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
                time_s=row.non_negative_number("time_s", "seconds"),
                box=read_box(row, score_column="score"),
                animal_id=_animal_id(row),
                site_id=from_cell(row.raw("site_id")),
                is_night=_yes_or_no(row, NIGHT_COLUMN, "1 (pictures without colours)"),
                species=row.optional_text(SPECIES_COLUMN),
                species_score=row.optional_number(SPECIES_SCORE_COLUMN),
                species_label=row.optional_text(SPECIES_LABEL_COLUMN),
                taken_at=_taken_at(row),
                event_id=from_cell(row.raw(EVENT_COLUMN)),
                is_first=_yes_or_no(row, FIRST_COLUMN, "1 (the animal's first position in its event)"),
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


def _yes_or_no(row: Row, column: str, yes: str) -> bool | None:
    number = row.optional_number(column)
    if number not in (None, 0, 1):
        raise row.error(column, f"{yes}, 0 or nothing")
    return None if number is None else bool(number)


def _taken_at(row: Row) -> datetime | None:
    text = row.optional_text(TAKEN_COLUMN)
    time = time_of_file(text)
    if text and time is None:
        raise row.error(TAKEN_COLUMN, "a date and time such as 2024-05-01T06:00:00+02:00, or nothing")
    return time


def _distance(row: Row) -> Distance | None:
    columns = ("distance_m", "low_m", "high_m")
    if not any(row.optional_text(column) for column in columns):
        return None
    distance_m, low_m, high_m = (row.non_negative_number(column, "metres") for column in columns)
    # Tables of earlier versions have no draws.
    draws_m = tuple(row.non_negative_number(column, "metres") for column in DRAW_COLUMNS if row.optional_text(column))
    return Distance(distance_m, low_m, high_m, draws_m)


def to_frame(estimates: Iterable[Estimate]) -> pd.DataFrame:
    """A pandas data frame with the columns of distances.csv and a row for each estimate.

    Distances (metres) and angles (degrees) are not rounded. Unknown numbers are NaN, unknown texts empty.

    Raises:
        MissingExtraError: pandas is not installed.
    """
    try:
        import pandas as pd
    except ImportError as error:
        raise MissingExtraError("pandas", "notebook") from error
    return pd.DataFrame(
        [_dataframe_row(estimate) for estimate in estimates],
        columns=[*COLUMNS, *DRAW_COLUMNS, NIGHT_COLUMN, *OPTIONAL_COLUMNS],
    )


def _dataframe_row(estimate: Estimate) -> dict[str, object]:
    observation, box, distance = estimate.observation, estimate.observation.box, estimate.distance
    cells: dict[str, object] = {
        "media_id": observation.media_id,
        "time_s": observation.time_s,
        "animal_id": observation.animal_id,
        "angle_deg": estimate.angle_deg,
        "site_id": observation.site_id,
        "status": estimate.status.value,
        "reason": estimate.reason,
        "model_id": estimate.model_id,
        NIGHT_COLUMN: observation.is_night,
        SPECIES_COLUMN: observation.species,
        SPECIES_SCORE_COLUMN: observation.species_score,
        SPECIES_LABEL_COLUMN: observation.species_label,
        TAKEN_COLUMN: observation.taken_at,
        EVENT_COLUMN: observation.event_id,
        FIRST_COLUMN: observation.is_first,
    }
    if box is not None:
        cells |= dict(zip(COORDINATES, box.xyxy, strict=True)) | {"score": box.score}
    if distance is not None:
        cells |= {"distance_m": distance.distance_m, "low_m": distance.low_m, "high_m": distance.high_m}
        cells |= dict(zip(DRAW_COLUMNS, distance.draws_m, strict=False))
    return cells
