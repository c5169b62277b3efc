"""Known distances: tables of labels and ground truth, and which estimate each belongs to."""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from trapmeter.errors import InputError
from trapmeter.files import atomic_file
from trapmeter.geometry import match_boxes
from trapmeter.records import Box, Estimate, Observation
from trapmeter.tables.boxcells import COORDINATES, box_cells, read_box
from trapmeter.tables.csvfile import Row, UniqueRows, read_columns, read_rows, to_cell
from trapmeter.tables.drivendata import read_labels
from trapmeter.tables.file_names import NameIndex
from trapmeter.tables.metres import known_metres
from trapmeter.tables.species import MAX_SHOULDER_M, MIN_SHOULDER_M, usual_shoulder_m

BLIND_COLUMN = "blind"
"""1 if a person judged the distance without knowing the model's."""


@dataclass(frozen=True, slots=True)
class TruthRow:
    """The known distance (metres) of an animal at time_s (seconds); box is None when it is unknown or not visible.

    shoulder_m: its shoulder height, or that of its species; None if unknown.
    """

    video_id: str
    time_s: float
    distance_m: float
    box: Box | None = None
    shoulder_m: float | None = None


def read_truth(path: str | Path) -> list[TruthRow]:
    """Reads labels (video_id, time, distance) or simtrap's truth.csv (video_id, time, distance_m, x1, y1, x2, y2).

    The latter may also have shoulder_m or species.

    Raises:
        InputError: the file is neither, a cell is wrong, or a row appears twice.
    """
    columns = read_columns(path)
    if "distance_m" not in columns and "distance" not in columns:
        raise InputError(
            f"{path}: expected known distances, a CSV file with video_id, time and distance (of the nearest animal) or "
            f"video_id, time, distance_m and {', '.join(COORDINATES)} (of each); "
            f"found {', '.join(map(repr, columns)) or 'nothing'}"
        )
    if "distance_m" not in columns:
        return [TruthRow(label.video_id, label.time_s, label.distance_m) for label in read_labels(path)]
    return _read_animals(path, has_ids="animal_id" in columns)


def match_truth(estimates: Iterable[Estimate], truth: Sequence[TruthRow]) -> list[tuple[Estimate, TruthRow]]:
    """Pairs measured estimates with known distances of the same medium and time (to the millisecond).

    If the truth has boxes, boxes are paired so that the sum of their overlaps is largest, each overlap at least
    `geometry.SAME_ANIMAL_IOU`; an estimate without a box stands for the nearest visible animal. If it has no boxes, each
    known distance is that of the nearest animal, and is paired with the nearest estimate of that second. Rows without a
    partner are left out: compare the lengths. Pairs come in the order of the truth.

    Raises:
        InputError: a name is ambiguous between estimates and truth.
    """
    estimates = list(estimates)
    measured = [estimate for estimate in estimates if estimate.distance is not None]
    # By the names of all media, measured or not, so that an ambiguous name is always found.
    names = truth_name_by_medium({estimate.observation.media_id for estimate in estimates}, truth)
    estimates_at: dict[tuple[str, int], list[Estimate]] = {}
    for estimate in measured:
        video_id = names.get(estimate.observation.media_id)
        if video_id is not None:
            estimates_at.setdefault((video_id, _milliseconds(estimate.observation.time_s)), []).append(estimate)
    known: dict[tuple[str, int], list[TruthRow]] = {}
    for row in truth:
        known.setdefault((row.video_id, _milliseconds(row.time_s)), []).append(row)
    # A property of the whole table: a second of truth.csv without a visible animal must not fall back to the nearest.
    has_boxes = any(row.box is not None for row in truth)
    pairs: list[tuple[Estimate, TruthRow]] = []
    for second, rows in known.items():
        found = estimates_at.get(second, [])
        visible = [row for row in rows if row.box is not None] if has_boxes else rows
        boxed = [estimate for estimate in found if estimate.observation.box is not None]
        if has_boxes and boxed:
            pairs += _by_overlap(boxed, visible)
        elif found and visible:
            pairs.append(
                (
                    min(found, key=lambda row: row.measured_distance.distance_m),
                    min(visible, key=lambda row: row.distance_m),
                )
            )
    return pairs


def _read_animals(path: str | Path, *, has_ids: bool) -> list[TruthRow]:
    rows = []
    animals = UniqueRows()
    for row in read_rows(path, required=("video_id", "time", "distance_m", *COORDINATES)):
        truth = replace(_truth_row(row, "distance_m"), shoulder_m=_shoulder_m(row))
        rows.append(truth)
        if has_ids:
            key = (truth.video_id, truth.time_s, row.text("animal_id"))
            animals.check(row, key, f"animal {key[2]} of {truth.video_id} at {truth.time_s:g} s")
    return rows


def _shoulder_m(row: Row) -> float | None:
    shoulder_m = row.optional_number("shoulder_m")
    if shoulder_m is None:
        return usual_shoulder_m(row.optional_text("species"))
    if not MIN_SHOULDER_M <= shoulder_m <= MAX_SHOULDER_M:
        raise row.error("shoulder_m", f"a shoulder height of {MIN_SHOULDER_M} to {MAX_SHOULDER_M} m, or nothing")
    return shoulder_m


def _truth_row(row: Row, distance_column: str) -> TruthRow:
    return TruthRow(
        row.text("video_id"),
        row.non_negative_number("time", "seconds"),
        known_metres(row, distance_column),
        read_box(row, score_column=None),
    )


def truth_name_by_medium(media_ids: Collection[str], truth: Sequence[TruthRow]) -> dict[str, str]:
    """The video_id of the truth for each media_id that has one.

    Raises:
        InputError: a name could be any of several.
    """
    return NameIndex(row.video_id for row in truth).match(sorted(media_ids), "the known distances")


def _by_overlap(estimates: list[Estimate], rows: list[TruthRow]) -> list[tuple[Estimate, TruthRow]]:
    pairs = match_boxes([row.box for row in rows], [estimate.observation.box for estimate in estimates])
    return [(estimates[j], rows[i]) for i, j in pairs]


def _milliseconds(time_s: float) -> int:
    return round(time_s * 1000)


@dataclass(frozen=True, slots=True)
class LabelledRow:
    """A known distance, and its file and line, as messages begin."""

    truth: TruthRow
    where: str


def write_seconds_to_label(path: Path, observations: Iterable[Observation]) -> None:
    """Writes a table of seconds to label, in the order given, with distance_m empty.

    Raises:
        RunError: the file can't be written.
    """
    _write_label_table(path, ((observation, "") for observation in observations))


def write_labels(path: Path, known: Iterable[tuple[Observation, float, bool]]) -> None:
    """Writes the same table with the distance of each row, in metres, and whether it was judged blind (1 or 0).

    Raises:
        RunError: the file can't be written.
    """
    cells = ((observation, f"{distance_m:.2f}", int(is_blind)) for observation, distance_m, is_blind in known)
    _write_label_table(path, cells, (BLIND_COLUMN,))


def _write_label_table(path: Path, rows: Iterable[tuple[Any, ...]], further: Sequence[str] = ()) -> None:
    with atomic_file(path) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("site_id", "video_id", "time", "animal_id", *COORDINATES, "distance_m", *further))
        for row, *cells in rows:
            coordinates = box_cells(row.box)[: len(COORDINATES)]
            names = to_cell(row.site_id), to_cell(row.media_id)
            writer.writerow((*names, f"{row.time_s:.6g}", row.animal_id or "", *coordinates, *cells))


def read_labelled_rows(path: str | Path) -> list[LabelledRow]:
    """Reads the rows with a distance, in the order of the file; rows whose distance is still empty are left out.

    Raises:
        InputError: a cell is wrong, an animal appears twice in a second, or no row has a distance.
    """
    columns = read_columns(path)
    column = "distance" if "distance" in columns and "distance_m" not in columns else "distance_m"
    labelled: list[LabelledRow] = []
    animals = UniqueRows()
    for row in read_rows(path, required=("video_id", "time", column)):
        if not row.optional_text(column):
            continue
        truth = _truth_row(row, column)
        key = truth.video_id, truth.time_s, truth.box
        animals.check(row, key, f"the label of {truth.video_id} at {truth.time_s:g} s")
        labelled.append(LabelledRow(truth, row.where))
    if not labelled:
        raise InputError(f"{path}: no row has a {column}; fill in the distance (metres) of at least one animal")
    return labelled
