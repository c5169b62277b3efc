"""Species of animals from a table: by medium, by second and box, by folder, or by site.

A CSV file with media_id, video_id, file, folder or site_id, and with species or scientificName, or shoulder_m. A time
(seconds) or a box tells which of a medium's animals a row is about. A distances.csv is such a table too, and so is the
images.csv of a Wildlife Insights download.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trapmeter.errors import InputError
from trapmeter.geometry import SAME_ANIMAL_IOU, iou
from trapmeter.records import Box
from trapmeter.tables.boxcells import COORDINATES, read_box
from trapmeter.tables.csvfile import Row
from trapmeter.tables.file_names import NameIndex
from trapmeter.tables.species import ShoulderHeight, usual_shoulder
from trapmeter.tables.species_names import UNIDENTIFIED, Identification, identify, is_animal, require_name
from trapmeter.tables.wildlife_insights import read_survey_columns, read_survey_rows

NAME_COLUMNS = ("media_id", "video_id", "file", "folder", "site_id")
"""The first of these columns that a table has says what a row is about."""
SPECIES_COLUMNS = ("species", "scientificName")
SCORE_COLUMNS = ("species_score", "classificationProbability")
TIME_COLUMNS = ("time_s", "time")
TIME_TOLERANCE_S = 0.5


@dataclass(frozen=True, slots=True)
class NamedAnimal:
    """What a row says of the animals that it is about.

    shoulder: the height that it states, None if it names the species alone. time_s, box: None if it has none.
    """

    identification: Identification
    shoulder: ShoulderHeight | None = None
    time_s: float | None = None
    box: Box | None = None


@dataclass(frozen=True, slots=True)
class SpeciesTable:
    """Named animals by media_id.

    unsized: the names whose size the table of shoulder heights lacks.
    """

    by_medium: dict[str, tuple[NamedAnimal, ...]]
    unsized: tuple[str, ...] = ()

    def find(self, media_id: str, time_s: float, box: Box | None) -> NamedAnimal | None:
        """What the table says about an animal; None if it says nothing, or different things.

        Rows with a box count first, then those with a time, then those about the whole medium.
        """
        rows = self.by_medium.get(media_id, ())
        timed = [row for row in rows if row.time_s is None or abs(row.time_s - time_s) < TIME_TOLERANCE_S]
        boxed = [row for row in timed if row.box is not None]
        if box is not None and boxed:
            overlaps = iou(np.array([box.xyxy]), np.array([row.box.xyxy for row in boxed if row.box]))[0]
            best = max(range(len(boxed)), key=lambda i: (float(overlaps[i]), -abs((boxed[i].time_s or 0.0) - time_s)))
            if overlaps[best] >= SAME_ANIMAL_IOU:
                return boxed[best]
        unboxed = [row for row in timed if row.box is None]
        for group in ([row for row in unboxed if row.time_s is not None], [r for r in unboxed if r.time_s is None]):
            if group:
                is_same = len({(row.identification.species, row.shoulder) for row in group}) == 1
                return group[0] if is_same else None
        return None


def read_species_table(path: str | Path, media: Iterable[tuple[str, str]]) -> SpeciesTable:
    """Reads a table of species or shoulder heights; rows with neither, such as blanks, are passed over.

    Args:
        path: the table.
        media: media_id and site_id of all media.

    Raises:
        InputError: a column is missing, a name is ambiguous or looks misspelt, a cell is wrong, a name fits several media,
            or the table has none of the media.
    """
    columns = read_survey_columns(path)
    value = next((column for column in ("shoulder_m", *SPECIES_COLUMNS) if column in columns), "species")
    name = next((column for column in NAME_COLUMNS if column in columns), NAME_COLUMNS[0])
    rows: dict[str, list[NamedAnimal]] = defaultdict(list)
    for row in read_survey_rows(path, required=(name, value)):
        rows[row.text(name)].append(_named_animal(row, columns))
    named = {
        about: tuple(row for row in found if row.identification.species or row.shoulder)
        for about, found in rows.items()
    }
    by_medium = _by_medium(path, name, named, list(media))
    if not any(by_medium.values()):
        kind, hint = (
            ("sites", "name the sites with --site") if name == "site_id" else ("media", "write names as in media_id")
        )
        raise InputError(f"{path}: none of the {len(named)} names in column {name!r} is one of the {kind}; {hint}")
    found = [row for animals in by_medium.values() for row in animals]
    names = {row.identification.species for row in found if row.shoulder is None}
    unsized = sorted(name for name in names if is_animal(name) and usual_shoulder(name) is None)
    return SpeciesTable(by_medium, tuple(unsized))


def _by_medium(
    path: str | Path, column: str, rows: dict[str, tuple[NamedAnimal, ...]], media: list[tuple[str, str]]
) -> dict[str, tuple[NamedAnimal, ...]]:
    """The rows of each medium: of its own name, of its site, or of the innermost folder that it is in."""
    if column == "site_id":
        return {media_id: rows[site_id] for media_id, site_id in media if site_id in rows}
    if column == "folder":
        folders = {name.replace("\\", "/").strip("/"): found for name, found in rows.items()}
        inside = {
            media_id: max((f for f in folders if media_id.startswith(f"{f}/")), key=len, default="")
            for media_id, _ in media
        }
        return {media_id: folders[folder] for media_id, folder in inside.items() if folder}
    entries = NameIndex(rows).match((media_id for media_id, _ in media), path)
    return {media_id: rows[entry] for media_id, entry in entries.items()}


def _named_animal(row: Row, columns: Iterable[str]) -> NamedAnimal:
    label = next((text for column in SPECIES_COLUMNS if (text := row.optional_text(column))), "")
    score = next((number for c in SCORE_COLUMNS if (number := row.optional_number(c)) is not None), None)
    height_m = row.optional_number("shoulder_m")
    try:
        identification = UNIDENTIFIED
        if label:
            require_name(label)
            identification = identify(label, score)
        shoulder = None if height_m is None else ShoulderHeight(height_m)
    except InputError as error:
        raise InputError(f"{row.where}: {error}; leave the cell empty if you don't know it") from None
    if score is not None and not 0 <= score <= 1:
        raise InputError(f"{row.where}: expected a score of the species in 0..1, got {score:g}; correct it")
    time_s = next((number for c in TIME_COLUMNS if (number := row.optional_number(c)) is not None), None)
    box = read_box(row, score_column=None) if set(COORDINATES) <= set(columns) else None
    return NamedAnimal(identification, shoulder, time_s, box)
