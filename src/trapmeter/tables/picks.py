"""The table of seconds to label: written with an empty column to be filled in, and read when somebody has; or with labels.

Columns: site_id, video_id, time (seconds), animal_id, x1, y1, x2, y2 (which animal is meant), distance_m (to be filled in).
Labels from elsewhere are read too: video_id, time, and distance or distance_m, with or without a box.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from trapmeter.errors import InputError
from trapmeter.files import whole_file
from trapmeter.records import Observation
from trapmeter.tables.boxcells import COORDINATES, read_box
from trapmeter.tables.celltext import to_cell
from trapmeter.tables.csvfile import read_columns, read_rows
from trapmeter.tables.truth import TruthRow


@dataclass(frozen=True, slots=True)
class LabelledRow:
    """A known distance, and the file and line that it stands on, as messages begin."""

    truth: TruthRow
    where: str


def write_picks(path: Path, observations: Iterable[Observation]) -> None:
    """Writes the table in the order given, with distance_m empty.

    Raises:
        RunError: the file can't be written.
    """
    _write(path, ((seen, "") for seen in observations))


def write_labels(path: Path, known: Iterable[tuple[Observation, float]]) -> None:
    """Writes the table in the order given, each row with its distance in metres.

    Raises:
        RunError: the file can't be written.
    """
    _write(path, ((seen, f"{distance_m:.2f}") for seen, distance_m in known))


def _write(path: Path, rows: Iterable[tuple[Observation, str]]) -> None:
    with whole_file(path) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("site_id", "video_id", "time", "animal_id", *COORDINATES, "distance_m"))
        for seen, metres in rows:
            box = ("",) * 4 if seen.box is None else tuple(f"{value:.4f}" for value in seen.box.xyxy)
            names = to_cell(seen.site_id), to_cell(seen.media_id)
            writer.writerow((*names, f"{seen.time_s:.6g}", seen.animal_id or "", *box, metres))


def read_labelled(path: Path) -> list[LabelledRow]:
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
            row.number_from_0("time", "seconds"),
            row.number_from_0(column, "metres"),
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
