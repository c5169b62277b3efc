"""Known distances: tables of labels and ground truth, and which estimate each belongs to."""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from trapmeter.errors import InputError
from trapmeter.files import atomic_file
from trapmeter.geometry import match_boxes
from trapmeter.records import Box, Estimate, Observation
from trapmeter.tables.boxcells import COORDINATES, read_box
from trapmeter.tables.csvfile import read_columns, read_rows, to_cell
from trapmeter.tables.drivendata import read_labels
from trapmeter.tables.file_names import NameIndex


@dataclass(frozen=True, slots=True)
class TruthRow:
    """How far (metres) an animal stands at time_s (seconds); box bounds it, None when not told or not visible."""

    video_id: str
    time_s: float
    distance_m: float
    box: Box | None = None


def read_truth(path: Path) -> list[TruthRow]:
    """Reads labels (video_id, time, distance) or simtrap's truth.csv (video_id, time, distance_m, x1, y1, x2, y2).

    Raises:
        InputError: it is neither, a cell is not what it should be, or a row stands twice.
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

    Where the truth has boxes, boxes are paired so that their overlaps add up to the most, each at least
    `overlap.SAME_ANIMAL_IOU`; an estimate without any box stands for the nearest visible animal. Where it has none, the
    truth is the distance of the nearest animal, and the nearest estimate of that second answers it. Who finds no partner is
    left out: compare the lengths. Pairs come in the order of the truth.

    Raises:
        InputError: a name is ambiguous between estimates and truth.
    """
    estimates = list(estimates)
    measured = [estimate for estimate in estimates if estimate.distance is not None]
    # By the names of all media, not of those alone where an animal was seen.
    names = truth_name_by_medium({estimate.observation.media_id for estimate in estimates}, truth)
    answers: dict[tuple[str, int], list[Estimate]] = {}
    for estimate in measured:
        video_id = names.get(estimate.observation.media_id)
        if video_id is not None:
            answers.setdefault((video_id, _milliseconds(estimate.observation.time_s)), []).append(estimate)
    known: dict[tuple[str, int], list[TruthRow]] = {}
    for row in truth:
        known.setdefault((row.video_id, _milliseconds(row.time_s)), []).append(row)
    # Told for the whole table: a second of truth.csv in which no animal is visible must not fall back to nearest.
    has_boxes = any(row.box is not None for row in truth)
    pairs: list[tuple[Estimate, TruthRow]] = []
    for moment, rows in known.items():
        found = answers.get(moment, [])
        visible = [row for row in rows if row.box is not None] if has_boxes else rows
        boxed = [estimate for estimate in found if estimate.observation.box is not None]
        if has_boxes and boxed:
            pairs += _by_overlap(boxed, visible)
        elif found and visible:
            pairs.append((min(found, key=_distance_m), min(visible, key=lambda row: row.distance_m)))
    return pairs


def _read_animals(path: Path, *, has_ids: bool) -> list[TruthRow]:
    rows = []
    lines: dict[tuple[str, float, str], int] = {}
    for row in read_rows(path, required=("video_id", "time", "distance_m", *COORDINATES)):
        truth = TruthRow(
            row.text("video_id"),
            row.non_negative_number("time", "seconds"),
            row.non_negative_number("distance_m", "metres"),
            read_box(row, score_column=None),
        )
        rows.append(truth)
        if has_ids:
            key = (truth.video_id, truth.time_s, row.text("animal_id"))
            first = lines.setdefault(key, row.line)
            if first != row.line:
                raise InputError(
                    f"{path}, lines {first} and {row.line}: animal {key[2]} of {truth.video_id} at {truth.time_s:g} s "
                    "stands twice; keep one of the rows"
                )
    return rows


def truth_name_by_medium(media_ids: Collection[str], truth: Sequence[TruthRow]) -> dict[str, str]:
    """The video_id of the truth for each media_id that has one.

    Raises:
        InputError: one could be any of several.
    """
    index = NameIndex(row.video_id for row in truth)
    for video_id, media in index.clashes(sorted(media_ids)).items():
        raise InputError(
            f"the known distances of {video_id} could belong to any of {', '.join(media[:5])}; name its folder"
        )
    names = {}
    for media_id in sorted(media_ids):
        found = index.find(media_id)
        if len(found) > 1:
            raise InputError(
                f"the known distances of {', '.join(found[:5])} could all belong to {media_id}; name it fully"
            )
        if found:
            names[media_id] = found[0]
    return names


def _by_overlap(estimates: list[Estimate], rows: list[TruthRow]) -> list[tuple[Estimate, TruthRow]]:
    pairs = match_boxes([row.box for row in rows], [estimate.observation.box for estimate in estimates])
    return [(estimates[j], rows[i]) for i, j in pairs]


def _distance_m(estimate: Estimate) -> float:
    assert estimate.distance is not None, "only measured estimates are compared"
    return estimate.distance.distance_m


def _milliseconds(time_s: float) -> int:
    return round(time_s * 1000)


@dataclass(frozen=True, slots=True)
class LabelledRow:
    """A known distance, and the file and line that it stands on, as messages begin."""

    truth: TruthRow
    where: str


def write_seconds_to_label(path: Path, observations: Iterable[Observation]) -> None:
    """Writes the table in the order given, with distance_m empty.

    Raises:
        RunError: the file can't be written.
    """
    _write_label_table(path, ((seen, "") for seen in observations))


def write_labels(path: Path, known: Iterable[tuple[Observation, float]]) -> None:
    """Writes the table in the order given, each row with its distance in metres.

    Raises:
        RunError: the file can't be written.
    """
    _write_label_table(path, ((seen, f"{distance_m:.2f}") for seen, distance_m in known))


def _write_label_table(path: Path, rows: Iterable[tuple[Observation, str]]) -> None:
    with atomic_file(path) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("site_id", "video_id", "time", "animal_id", *COORDINATES, "distance_m"))
        for seen, metres in rows:
            box = ("",) * 4 if seen.box is None else tuple(f"{value:.4f}" for value in seen.box.xyxy)
            names = to_cell(seen.site_id), to_cell(seen.media_id)
            writer.writerow((*names, f"{seen.time_s:.6g}", seen.animal_id or "", *box, metres))


def read_labelled_rows(path: Path) -> list[LabelledRow]:
    """The filled rows, in the order of the file; rows whose distance is still empty are left out.

    Raises:
        InputError: a cell is not what it should be, an animal of a second stands twice, or no row is filled.
    """
    columns = read_columns(path)
    column = "distance" if "distance" in columns and "distance_m" not in columns else "distance_m"
    found: list[LabelledRow] = []
    lines: dict[tuple[object, ...], int] = {}
    for row in read_rows(path, required=("video_id", "time", column)):
        if not row.optional_text(column):
            continue
        truth = TruthRow(
            row.text("video_id"),
            row.non_negative_number("time", "seconds"),
            row.non_negative_number(column, "metres"),
            read_box(row, score_column=None),
        )
        first = lines.setdefault((truth.video_id, truth.time_s, truth.box), row.line)
        if first != row.line:
            raise InputError(
                f"{path}, lines {first} and {row.line}: {truth.video_id} at {truth.time_s:g} s is labelled twice; keep one "
                "of the rows"
            )
        found.append(LabelledRow(truth, row.where))
    if not found:
        raise InputError(f"{path}: no row has a {column}; fill in how far (metres) at least one of the animals stood")
    return found
