"""Flat files of R's package Distance.

One row per observation, and one row without a distance for each station without observations. Columns: Region.Label, Area,
Sample.Label, Effort, distance and object, as `Distance::flatfile` describes them; multiplier (the share of a circle that the
camera covers, theta / 360) and availability (the share of the effort in which animals could be seen), as analyses of camera
traps add them; size (the animals of a group that is one observation). Sample.Label, Effort and distance are required. NA is
an empty cell. Any other column may be read as a text.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from trapmeter.errors import InputError
from trapmeter.files import atomic_file
from trapmeter.tables.csvfile import MISSING_VALUES, Row, read_columns, read_rows, to_cell

REQUIRED_COLUMNS = ("Sample.Label", "Effort", "distance")
COLUMNS = ("Region.Label", "Area", "multiplier", "availability", "Sample.Label", "Effort", "distance", "object")
SIZE_COLUMN = "size"
LABEL_COLUMNS = ("Study.Area",)
"""Columns of R's flat files that name things and change no result."""


@dataclass(frozen=True, slots=True)
class FlatRow:
    """A row of a flat file; None for an empty cell or a missing column.

    effort_snapshots: snapshots (point transects: visits) of the whole station. distance_m: None for a station without
    observations. species: the cell of the requested species column. size: animals of a group, 1 if it isn't stated. cells:
    texts of further columns that were requested, "" for missing values. where: file and line, for messages.
    """

    where: str
    stratum: str
    area: float | None
    multiplier: float | None
    availability: float | None
    station_id: str
    effort_snapshots: float
    distance_m: float | None
    species: str = ""
    size: float = 1.0
    cells: Mapping[str, str] = field(default_factory=dict)


def read_flat_file(path: str | Path, species_column: str | None = None, columns: Sequence[str] = ()) -> list[FlatRow]:
    """Reads a flat file, in the order of its lines, with the texts of these further columns.

    Raises:
        InputError: a column is missing or a cell is wrong; names file, line and column.
    """
    required = REQUIRED_COLUMNS if species_column is None else (*REQUIRED_COLUMNS, species_column)
    found = read_columns(path)
    if "distbegin" in found and "distance" not in found:
        raise InputError(
            f"{path} has the ends of bins (distbegin), expected the column 'distance'; add it with the middle of each bin, "
            "and give the ends with --cutpoints"
        )
    return [_flat_row(row, species_column, columns) for row in read_rows(path, required=required)]


def write_flat_file(path: str | Path, rows: Iterable[FlatRow], species_column: str = "species") -> None:
    """Writes rows as R reads them: NA for unknown values, objects numbered from 1, sizes if some aren't 1, and all cells.

    Raises:
        RunError: the file can't be written.
    """
    rows = list(rows)
    with_species = any(row.species for row in rows)
    with_sizes = any(row.size != 1 for row in rows)
    others = [name for name in dict.fromkeys(name for row in rows for name in row.cells) if name not in _WRITTEN]
    with atomic_file(Path(path)) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(
            (*COLUMNS, *[species_column] * with_species, *[SIZE_COLUMN] * with_sizes, *others),
        )
        number = 0
        for row in rows:
            number += row.distance_m is not None
            cells = [
                to_cell(row.stratum),
                _cell(row.area),
                _cell(row.multiplier),
                _cell(row.availability),
                to_cell(row.station_id),
                _cell(row.effort_snapshots),
                _cell(row.distance_m),
                "NA" if row.distance_m is None else str(number),
            ]
            cells += [to_cell(row.species)] * with_species
            cells += ["NA" if row.distance_m is None else _cell(row.size)] * with_sizes
            writer.writerow([*cells, *(to_cell(row.cells.get(name, "")) or "NA" for name in others)])


_WRITTEN = frozenset({*COLUMNS, SIZE_COLUMN})


def _flat_row(row: Row, species_column: str | None, columns: Sequence[str]) -> FlatRow:
    effort = _optional(row, "Effort")
    if effort is None or effort <= 0:
        raise row.error("Effort", "the snapshots of the station, more than 0 (leave out stations that never worked)")
    size = _optional(row, SIZE_COLUMN)
    distance = _optional(row, "distance")
    if distance is not None and distance < 0:
        raise row.error("distance", "metres >= 0, or NA for a station without detections")
    if size is not None and (size < 1 or size != int(size)) and distance is not None:
        raise row.error(SIZE_COLUMN, "the animals of the group, a whole number of 1 or more (leave out groups of none)")
    for column, expected in _EXPECTED_SHARES.items():
        share = _optional(row, column)
        if share is not None and not 0 < share <= 1:
            raise row.error(column, expected)
    availability = _optional(row, "availability")
    if availability is not None and availability <= 0:
        raise row.error(
            "availability",
            "the share of the effort in which animals could be seen, above 0, or above 1 the cues of an animal in a snapshot",
        )
    area = _optional(row, "Area")
    if area is not None and area < 0:
        raise row.error("Area", "the area of the stratum >= 0, or NA")
    return FlatRow(
        where=row.where,
        stratum=row.optional_text("Region.Label"),
        area=area,
        multiplier=_optional(row, "multiplier"),
        availability=availability,
        station_id=row.text("Sample.Label"),
        effort_snapshots=effort,
        distance_m=distance,
        species="" if species_column is None else row.optional_text(species_column),
        size=1.0 if size is None else size,
        cells={column: row.value_text(column) for column in columns},
    )


_EXPECTED_SHARES = {
    "multiplier": "the share of a circle that the camera covers, above 0 and up to 1 (divide degrees by 360)",
}


def _optional(row: Row, column: str) -> float | None:
    return None if row.optional_text(column) in MISSING_VALUES else row.number(column)


def _cell(number: float | None) -> str:
    return "NA" if number is None else f"{number:.10g}"
