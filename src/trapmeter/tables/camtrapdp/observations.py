"""Matches estimates with the rows of observations.csv, fills those in and adds missing ones."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

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


def match_observations(
    medium: MediumRow, estimates: Sequence[Estimate], sightings: Sequence[ObservationRow]
) -> dict[int, int]:
    """The position of the sighting that each measured animal is, by its own position; who is none of them is left out.

    A row that we added is told by its id. Boxes at the same second (to the millisecond) are paired by their overlap. In a
    photo of one animal and one observation of one animal without a box, they are the same.

    Args:
        medium: the photo or video.
        estimates: the animals measured in it.
        sightings: its observations of animals.
    """
    by_id = {sighting.observation_id: j for j, sighting in enumerate(sightings)}
    found = {i: by_id[name] for i, e in enumerate(estimates) if (name := observation_id(medium, e)) in by_id}
    moments: dict[int, tuple[list[int], list[int]]] = defaultdict(lambda: ([], []))
    for i, estimate in enumerate(estimates):
        moments[round(estimate.observation.time_s * 1000)][0].append(i)
    for j, sighting in enumerate(sightings):
        moments[round(second_of(sighting, medium) * 1000)][1].append(j)
    for ours, theirs in moments.values():
        taken = set(found.values())
        left = [i for i in ours if i not in found]
        free = [j for j in theirs if j not in taken]
        if not left or not free:
            continue
        boxes = [estimates[i].observation.box for i in left], [box_of(sightings[j]) for j in free]
        # Of rows with one and the same box, an earlier export has chosen one.
        told = [[match_score(medium, estimates[i], sightings[j]) for j in free] for i in left]
        found |= {left[a]: free[b] for a, b in match_boxes(*boxes, np.array(told))}
        alone = medium.kind is MediumKind.PHOTO and len(ours) == len(theirs) == 1
        if alone and left[0] not in found:
            only = sightings[free[0]]
            if only.bbox is None and only.count in (None, 1):
                found[left[0]] = free[0]
    return found


COLUMNS = (
    *("observationID", "deploymentID", "mediaID", "eventID", "eventStart", "eventEnd", "observationLevel"),
    *("observationType", "cameraSetupType", "scientificName", "count", "lifeStage", "sex", "behavior", "individualID"),
    *("individualPositionRadius", "individualPositionAngle", "individualSpeed"),
    *("bboxX", "bboxY", "bboxWidth", "bboxHeight", "classificationMethod", "classifiedBy"),
    *("classificationTimestamp", "classificationProbability", "observationTags", "observationComments"),
)
"""Of the standard, in its order."""


@dataclass(frozen=True, slots=True)
class WrittenObservations:
    """The new observations.csv and what was done.

    content: its bytes. n_rows: below the header, blank ones left out. columns: its header; gained: those that it lacked.
    n_added: rows that are new; n_renewed: those that an earlier export had added; n_filled: others' that hold our distance.
    n_known: animals that were left out because somebody else has told their distance. n_stale: rows of these media with a
    distance of an earlier export that no animal answers any more.
    """

    content: bytes
    n_rows: int
    columns: tuple[str, ...]
    gained: tuple[str, ...]
    n_added: int
    n_renewed: int
    n_filled: int
    n_known: int
    n_outdated: int


def write_observations(
    path: Path,
    content: bytes,
    measured: Mapping[str, Sequence[Estimate]],
    media: Mapping[str, MediumRow],
    deployments: Iterable[str],
    classified_at: str,
) -> WrittenObservations:
    """Puts measured animals into a table of observations; the same ones once more change nothing.

    Args:
        path: the table's name for messages.
        content: the table, which `package.read_package` has found to be right.
        measured: measured animals by mediaID, in the order of their rows.
        media: the media by mediaID.
        deployments: the deployments that there are.
        classified_at: date and time of the run that measured, "" where nobody knows.
    """
    table = split_csv(path, content)
    before = [field_text(field).strip() for field in table.header.fields]
    columns = _with_required(before)
    known = frozenset(deployments)
    sightings: dict[str, list[tuple[int, ObservationRow, dict[str, str]]]] = defaultdict(list)
    for position, record in enumerate(table.records):
        if record.is_blank:
            continue
        row = _row(path, record, before)
        # Rows of other media need not be understood.
        if row.optional_text("mediaID") not in measured:
            continue
        sighting = observation_row(row, known)
        if is_animal_in_medium(sighting):
            sightings[sighting.media_id].append((position, sighting, row.cells))

    changed: dict[int, dict[str, str]] = {}
    added: list[dict[str, str]] = []
    counts = dict.fromkeys(("renewed", "filled", "known", "stale"), 0)
    for media_id, estimates in measured.items():
        medium, theirs = media[media_id], sightings[media_id]
        pairs = match_observations(medium, estimates, [sighting for _, sighting, _ in theirs])
        company = _agreed_values([(sighting, cells) for _, sighting, cells in theirs])
        for i, estimate in enumerate(estimates):
            if i not in pairs:
                added.append(new_row_cells(medium, estimate, company, classified_at))
                continue
            position, sighting, cells = theirs[pairs[i]]
            is_theirs = sighting.radius_m is not None and not has_trapmeter_distance(sighting)
            if is_theirs or (is_reviewed_distance(sighting) and not estimate.is_by_hand):
                counts["known"] += 1
                continue
            counts["renewed" if sighting.observation_id == observation_id(medium, estimate) else "filled"] += 1
            changed[position] = updated_cells(estimate, medium, sighting, cells, classified_at)
        unanswered = set(range(len(theirs))) - set(pairs.values())
        counts["stale"] += sum(has_trapmeter_distance(theirs[j][1]) for j in unanswered)
    return _assemble(table, before, columns, changed, added, counts)


def _assemble(
    table: RawTable,
    before: Sequence[str],
    columns: Sequence[str],
    changed: Mapping[int, Mapping[str, str]],
    added: Sequence[Mapping[str, str]],
    counts: Mapping[str, int],
) -> WrittenObservations:
    quoted = are_all_quoted(table.header.fields)
    if not changed and not added:
        columns = before
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
        *(counts[name] for name in ("renewed", "filled", "known", "stale")),
    )


def _row(path: Path, record: RawRecord, columns: Sequence[str]) -> Row:
    cells = [*map(field_text, record.fields), *[""] * (len(columns) - len(record.fields))]
    return with_missing_emptied(Row(path, record.line, dict(zip(columns, cells, strict=False))))


def _with_required(columns: Sequence[str]) -> list[str]:
    """The columns with those that are needed, each behind the one that it follows in the standard."""
    result = list(columns)
    for name in REQUIRED_COLUMNS:
        if name not in result:
            ahead = [one for one in COLUMNS[: COLUMNS.index(name)] if one in result]
            result.insert(max((result.index(one) for one in ahead), default=-1) + 1, name)
    return result


def _widened(record: RawRecord, before: Sequence[str], columns: Sequence[str], new: Mapping[str, str]) -> RawRecord:
    """The row with a field for each of the columns, empty in those that are new or as told; short rows stay short."""
    if len(columns) == len(before) or record.is_blank:
        return record
    by_name = dict(zip(before, record.fields, strict=False))
    last = max((i for i, name in enumerate(columns) if name in by_name), default=-1)
    width = len(columns) if len(record.fields) >= len(before) else last + 1
    fields = tuple(by_name.get(name, new.get(name, "")) for name in columns[:width])
    return RawRecord((*fields, *record.fields[len(before) :]), record.end, record.line)


def _changed(record: RawRecord, columns: Sequence[str], cells: Mapping[str, str]) -> RawRecord:
    """The row with other texts in some columns; fields whose text is the same keep their bytes."""
    fields = [*record.fields, *[""] * (len(columns) - len(record.fields))] if cells else list(record.fields)
    for name, text in cells.items():
        if name in columns:
            at = columns.index(name)
            if field_text(fields[at]) != text:
                fields[at] = quote_field(text, quoted=fields[at].startswith('"'))
    return RawRecord(tuple(fields), record.end, record.line)


def _agreed_values(rows: Sequence[tuple[ObservationRow, Mapping[str, str]]]) -> AgreedValues:
    """What all observations of animals in a medium agree on, as it stands in the cells."""
    events = {cells.get("eventID", "") for sighting, cells in rows if sighting.event_id}
    species = {cells.get("scientificName", "") for sighting, cells in rows if sighting.species}
    return AgreedValues(events.pop() if len(events) == 1 else "", species.pop() if len(species) == 1 else "")
