"""Measured animals put into observations.csv: their rows are filled in, missing ones added, all else stays as it is."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from trapmeter.records import Estimate
from trapmeter.tables.camtrapdp.matching import match
from trapmeter.tables.camtrapdp.moments import is_of_medium
from trapmeter.tables.camtrapdp.ours import (
    NEEDED,
    Company,
    added_cells,
    filled_cells,
    has_our_distance,
    is_by_hand,
    observation_id,
)
from trapmeter.tables.camtrapdp.package import Medium, Sighting, sighting_of, without_missing
from trapmeter.tables.csvfile import Row
from trapmeter.tables.rawcsv import RawRecord, RawTable, cell_in, field_of, is_quoted, split_csv

COLUMNS = (
    *("observationID", "deploymentID", "mediaID", "eventID", "eventStart", "eventEnd", "observationLevel"),
    *("observationType", "cameraSetupType", "scientificName", "count", "lifeStage", "sex", "behavior", "individualID"),
    *("individualPositionRadius", "individualPositionAngle", "individualSpeed"),
    *("bboxX", "bboxY", "bboxWidth", "bboxHeight", "classificationMethod", "classifiedBy"),
    *("classificationTimestamp", "classificationProbability", "observationTags", "observationComments"),
)
"""Of the standard, in its order."""


@dataclass(frozen=True, slots=True)
class Written:
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
    n_stale: int


def write_into(
    path: Path,
    content: bytes,
    measured: Mapping[str, Sequence[Estimate]],
    media: Mapping[str, Medium],
    deployments: Iterable[str],
    classified_at: str,
) -> Written:
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
    before = [cell_in(field).strip() for field in table.header.fields]
    columns = _with_needed(before)
    known = frozenset(deployments)
    sightings: dict[str, list[tuple[int, Sighting, dict[str, str]]]] = defaultdict(list)
    for position, record in enumerate(table.records):
        if record.is_blank:
            continue
        row = _row(path, record, before)
        # Rows of other media need not be understood.
        if row.optional_text("mediaID") not in measured:
            continue
        sighting = sighting_of(row, known)
        if is_of_medium(sighting):
            sightings[sighting.media_id].append((position, sighting, row.cells))

    changed: dict[int, dict[str, str]] = {}
    added: list[dict[str, str]] = []
    counts = dict.fromkeys(("renewed", "filled", "known", "stale"), 0)
    for media_id, estimates in measured.items():
        medium, theirs = media[media_id], sightings[media_id]
        pairs = match(medium, estimates, [sighting for _, sighting, _ in theirs])
        company = _company([(sighting, cells) for _, sighting, cells in theirs])
        for i, estimate in enumerate(estimates):
            if i not in pairs:
                added.append(added_cells(medium, estimate, company, classified_at))
                continue
            position, sighting, cells = theirs[pairs[i]]
            is_theirs = sighting.radius_m is not None and not has_our_distance(sighting)
            if is_theirs or (is_by_hand(sighting) and not estimate.is_by_hand):
                counts["known"] += 1
                continue
            counts["renewed" if sighting.observation_id == observation_id(medium, estimate) else "filled"] += 1
            changed[position] = filled_cells(estimate, medium, sighting, cells, classified_at)
        unanswered = set(range(len(theirs))) - set(pairs.values())
        counts["stale"] += sum(has_our_distance(theirs[j][1]) for j in unanswered)
    return _put_together(table, before, columns, changed, added, counts)


def _put_together(
    table: RawTable,
    before: Sequence[str],
    columns: Sequence[str],
    changed: Mapping[int, Mapping[str, str]],
    added: Sequence[Mapping[str, str]],
    counts: Mapping[str, int],
) -> Written:
    quoted = is_quoted(table.header.fields)
    if not changed and not added:
        columns = before
    gained = tuple(name for name in columns if name not in before)
    end = table.header.end or "\n"
    header = _widened(table.header, before, columns, {name: field_of(name, quoted=quoted) for name in gained})
    records = [
        _changed(_widened(record, before, columns, {}), columns, changed.get(position, {}))
        for position, record in enumerate(table.records)
    ]
    last = max((i for i, record in enumerate(records) if not record.is_blank), default=-1)
    new = [
        RawRecord(tuple(field_of(cells.get(name, ""), quoted=quoted) for name in columns), end, 0) for cells in added
    ]
    if new and last >= 0 and not records[last].end:
        records[last] = RawRecord(records[last].fields, end, records[last].line)
    if new and not header.end:
        header = RawRecord(header.fields, end, header.line)
    rows = [*records[: last + 1], *new, *records[last + 1 :]]
    return Written(
        table.to_bytes(header, rows),
        sum(not record.is_blank for record in rows),
        tuple(columns),
        gained,
        len(added),
        *(counts[name] for name in ("renewed", "filled", "known", "stale")),
    )


def _row(path: Path, record: RawRecord, columns: Sequence[str]) -> Row:
    cells = [*map(cell_in, record.fields), *[""] * (len(columns) - len(record.fields))]
    return without_missing(Row(path, record.line, dict(zip(columns, cells, strict=False))))


def _with_needed(columns: Sequence[str]) -> list[str]:
    """The columns with those that are needed, each behind the one that it follows in the standard."""
    result = list(columns)
    for name in NEEDED:
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
            if cell_in(fields[at]) != text:
                fields[at] = field_of(text, quoted=fields[at].startswith('"'))
    return RawRecord(tuple(fields), record.end, record.line)


def _company(rows: Sequence[tuple[Sighting, Mapping[str, str]]]) -> Company:
    """What all observations of animals in a medium agree on, as it stands in the cells."""
    events = {cells.get("eventID", "") for sighting, cells in rows if sighting.event_id}
    species = {cells.get("scientificName", "") for sighting, cells in rows if sighting.species}
    return Company(events.pop() if len(events) == 1 else "", species.pop() if len(species) == 1 else "")
