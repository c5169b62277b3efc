"""Matches estimates with the rows of observations.csv, fills those in and adds missing ones."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from trapmeter.geometry import match_boxes
from trapmeter.records import Estimate, MediumKind
from trapmeter.tables.camtrapdp.media_observations import box_of, is_animal_in_medium, second_of
from trapmeter.tables.camtrapdp.observation_cells import (
    REQUIRED_COLUMNS,
    AgreedValues,
    has_trapmeter_distance,
    is_reviewed_distance,
    match_score,
    new_row_cells,
    observation_id,
    updated_cells,
)
from trapmeter.tables.camtrapdp.package import MediumRow, ObservationRow, observation_row, with_missing_emptied
from trapmeter.tables.csvfile import Row
from trapmeter.tables.lossless_csv import RawRecord, RawTable, are_all_quoted, field_text, quote_field, split_csv
from trapmeter.tables.times import TimeReader


def match_observations(
    medium: MediumRow, estimates: Sequence[Estimate], observations: Sequence[ObservationRow]
) -> dict[int, int]:
    """The index of the observation of each measured animal, by the animal's own index; animals without one are left out.

    Rows that an earlier export added are found by their id. Boxes at the same second (to the millisecond) are paired by their
    overlap. In a photo, a single animal and a single observation of one animal without a box are the same.

    Args:
        medium: the photo or video.
        estimates: the animals measured in it.
        observations: its observations of animals.
    """
    by_id = {observation.observation_id: j for j, observation in enumerate(observations)}
    found = {i: by_id[name] for i, e in enumerate(estimates) if (name := observation_id(medium, e)) in by_id}
    seconds: dict[int, tuple[list[int], list[int]]] = defaultdict(lambda: ([], []))
    for i, estimate in enumerate(estimates):
        seconds[round(estimate.observation.time_s * 1000)][0].append(i)
    for j, observation in enumerate(observations):
        seconds[round(second_of(observation, medium) * 1000)][1].append(j)
    for animals, rows in seconds.values():
        taken = set(found.values())
        open_animals = [i for i in animals if i not in found]
        open_rows = [j for j in rows if j not in taken]
        if not open_animals or not open_rows:
            continue
        boxes = [estimates[i].observation.box for i in open_animals], [box_of(observations[j]) for j in open_rows]
        # Among rows with the same box, the one that an earlier export chose counts.
        scores = [[match_score(medium, estimates[i], observations[j]) for j in open_rows] for i in open_animals]
        found |= {open_animals[a]: open_rows[b] for a, b in match_boxes(*boxes, np.array(scores))}
        is_single = medium.kind is MediumKind.PHOTO and len(animals) == len(rows) == 1
        if is_single and open_animals[0] not in found:
            observation = observations[open_rows[0]]
            if observation.bbox is None and observation.count in (None, 1):
                found[open_animals[0]] = open_rows[0]
    return found


COLUMNS = (
    *("observationID", "deploymentID", "mediaID", "eventID", "eventStart", "eventEnd", "observationLevel"),
    *("observationType", "cameraSetupType", "scientificName", "count", "lifeStage", "sex", "behavior", "individualID"),
    *("individualPositionRadius", "individualPositionAngle", "individualSpeed"),
    *("bboxX", "bboxY", "bboxWidth", "bboxHeight", "classificationMethod", "classifiedBy"),
    *("classificationTimestamp", "classificationProbability", "observationTags", "observationComments"),
)
"""The columns of the standard, in its order."""


@dataclass(frozen=True, slots=True)
class WrittenObservations:
    """The new observations.csv and what was done.

    n_rows: without the header and blank rows. columns: its header; gained: the columns that it lacked before. n_added: new
    rows. n_renewed: rows that an earlier export had added. n_filled: rows of others that got a distance. n_already_measured:
    animals left out because somebody else has given their distance. n_outdated: rows of these media with a distance of an
    earlier export that matches none of the animals.
    """

    content: bytes
    n_rows: int
    columns: tuple[str, ...]
    gained: tuple[str, ...]
    n_added: int
    n_renewed: int
    n_filled: int
    n_already_measured: int
    n_outdated: int


def write_observations(
    path: Path,
    content: bytes,
    measured: Mapping[str, Sequence[Estimate]],
    media: Mapping[str, MediumRow],
    deployments: Iterable[str],
    classified_at: str,
    times: TimeReader,
) -> WrittenObservations:
    """Puts measured animals into a table of observations. Doing so again with the same animals changes nothing.

    Args:
        path: the table's name for messages.
        content: the table, which `package.read_package` has read without an error.
        measured: measured animals by mediaID, in the order of their rows.
        media: the media by mediaID.
        deployments: the ids of the package's deployments.
        classified_at: date and time of the run that measured, "" when it isn't known.
        times: has read the package's other times.
    """
    table = split_csv(path, content)
    before = [field_text(field).strip() for field in table.header.fields]
    known = frozenset(deployments)
    existing: dict[str, list[_Existing]] = defaultdict(list)
    for position, record in enumerate(table.records):
        if record.is_blank:
            continue
        row = _row(path, record, before)
        # Rows of other media need not be valid.
        if row.optional_text("mediaID") not in measured:
            continue
        observation = observation_row(row, known, times)
        if is_animal_in_medium(observation):
            existing[observation.media_id].append(_Existing(position, observation, row.cells))

    changed: dict[int, dict[str, str]] = {}
    added: list[dict[str, str]] = []
    counts: Counter[str] = Counter()
    for media_id, estimates in measured.items():
        medium, rows = media[media_id], existing[media_id]
        pairs = match_observations(medium, estimates, [row.observation for row in rows])
        agreed = _agreed_values(rows)
        for i, estimate in enumerate(estimates):
            if i not in pairs:
                added.append(new_row_cells(medium, estimate, agreed, classified_at))
                continue
            position, observation, cells = rows[pairs[i]]
            is_of_others = observation.radius_m is not None and not has_trapmeter_distance(observation)
            if is_of_others or (is_reviewed_distance(observation) and not estimate.is_by_hand):
                counts["already_measured"] += 1
                continue
            counts["renewed" if observation.observation_id == observation_id(medium, estimate) else "filled"] += 1
            changed[position] = updated_cells(estimate, medium, observation, cells, classified_at)
        unmatched = set(range(len(rows))) - set(pairs.values())
        counts["outdated"] += sum(has_trapmeter_distance(rows[j].observation) for j in unmatched)
    return _assemble(table, before, changed, added, counts)


class _Existing(NamedTuple):
    """An observation of an animal: its position among the rows of the table, and its cells by column."""

    position: int
    observation: ObservationRow
    cells: dict[str, str]


def _assemble(
    table: RawTable,
    before: Sequence[str],
    changed: Mapping[int, Mapping[str, str]],
    added: Sequence[Mapping[str, str]],
    counts: Mapping[str, int],
) -> WrittenObservations:
    quoted = are_all_quoted(table.header.fields)
    columns = _with_required(before) if changed or added else before
    gained = tuple(name for name in columns if name not in before)
    end = table.header.end or "\n"
    header = _widened(table.header, before, columns, {name: quote_field(name, quoted=quoted) for name in gained})
    records = [
        _changed(_widened(record, before, columns, {}), columns, changed.get(position, {}))
        for position, record in enumerate(table.records)
    ]
    last = max((i for i, record in enumerate(records) if not record.is_blank), default=-1)
    new = [
        RawRecord(tuple(quote_field(cells.get(name, ""), quoted=quoted) for name in columns), end, 0) for cells in added
    ]
    if new and last >= 0 and not records[last].end:
        records[last] = RawRecord(records[last].fields, end, records[last].line)
    if new and not header.end:
        header = RawRecord(header.fields, end, header.line)
    rows = [*records[: last + 1], *new, *records[last + 1 :]]
    return WrittenObservations(
        table.to_bytes(header, rows),
        sum(not record.is_blank for record in rows),
        tuple(columns),
        gained,
        len(added),
        *(counts[name] for name in ("renewed", "filled", "already_measured", "outdated")),
    )


def _row(path: Path, record: RawRecord, columns: Sequence[str]) -> Row:
    cells = [*map(field_text, record.fields), *[""] * (len(columns) - len(record.fields))]
    return with_missing_emptied(Row(path, record.line, dict(zip(columns, cells, strict=False))))


def _with_required(columns: Sequence[str]) -> list[str]:
    """The columns and the required ones that they lack, each after the column that it follows in the standard."""
    result = list(columns)
    for name in REQUIRED_COLUMNS:
        if name not in result:
            before = [other for other in COLUMNS[: COLUMNS.index(name)] if other in result]
            result.insert(max((result.index(other) for other in before), default=-1) + 1, name)
    return result


def _widened(record: RawRecord, before: Sequence[str], columns: Sequence[str], new: Mapping[str, str]) -> RawRecord:
    """The row with a field for each column, empty or from new in those that were added; short rows stay short."""
    if len(columns) == len(before) or record.is_blank:
        return record
    by_name = dict(zip(before, record.fields, strict=False))
    last = max((i for i, name in enumerate(columns) if name in by_name), default=-1)
    width = len(columns) if len(record.fields) >= len(before) else last + 1
    fields = tuple(by_name.get(name, new.get(name, "")) for name in columns[:width])
    return RawRecord((*fields, *record.fields[len(before) :]), record.end, record.line)


def _changed(record: RawRecord, columns: Sequence[str], cells: Mapping[str, str]) -> RawRecord:
    """The row with other texts in some columns; fields whose text stays the same keep their bytes."""
    fields = [*record.fields, *[""] * (len(columns) - len(record.fields))] if cells else list(record.fields)
    for name, text in cells.items():
        if name in columns:
            at = columns.index(name)
            if field_text(fields[at]) != text:
                fields[at] = quote_field(text, quoted=fields[at].startswith('"'))
    return RawRecord(tuple(fields), record.end, record.line)


def _agreed_values(rows: Sequence[_Existing]) -> AgreedValues:
    """What all observations of animals in a medium agree on, as it is in the cells."""
    events = {row.cells.get("eventID", "") for row in rows if row.observation.event_id}
    species = {row.cells.get("scientificName", "") for row in rows if row.observation.species}
    return AgreedValues(events.pop() if len(events) == 1 else "", species.pop() if len(species) == 1 else "")
