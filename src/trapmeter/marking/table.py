"""The table of reference marks as the page edits it: one object at a time, all other rows and columns byte for byte.

Each change yields a new table that `read_reference_marks` has read, so that no change can break the file.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from trapmeter.errors import InputError
from trapmeter.tables.csvfile import decode_text, fixed_decimals, to_cell
from trapmeter.tables.lossless_csv import RawRecord, RawTable, are_all_quoted, field_text, quote_field, split_csv
from trapmeter.tables.reference_marks import COLUMNS, Mark, MarkedDeployment, Upright, parse_reference_marks

PIXEL_DECIMALS = 1
METRE_DECIMALS = 3


@dataclass(frozen=True, slots=True)
class MarkTable:
    """A table of marks. content: its bytes; deployments: as `read_reference_marks` reads them, each mark with its line."""

    path: Path
    content: bytes
    raw: RawTable
    deployments: tuple[MarkedDeployment, ...]


@dataclass(frozen=True, slots=True)
class PicturePlace:
    """Where an object was marked: site, dates of the deployment, name of the photo, and its size in pixels."""

    site_id: str
    start: datetime | None
    end: datetime | None
    photo: str
    width: int
    height: int


def read_table(path: Path) -> MarkTable:
    """The table, or an empty one if the file doesn't exist.

    Raises:
        InputError: the file is no table of reference marks; names line and column.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        content = (",".join(COLUMNS) + "\n").encode()
    except OSError as error:
        raise InputError(f"{path} can't be read: {error.strerror or error}") from error
    return parse_table(path, content)


def parse_table(path: Path, content: bytes) -> MarkTable:
    """The table with these bytes; path is its name for messages.

    Raises:
        InputError: they are no table of reference marks.
    """
    deployments = parse_reference_marks(path, decode_text(path, content), allows_few=True)
    return MarkTable(path, content, split_csv(path, content), tuple(deployments))


def put_object(table: MarkTable, upright: Upright, place: PicturePlace, replaced: Collection[int] = ()) -> MarkTable:
    """The table with a new object at its end, or in the place of the rows that start on the lines `replaced`.

    Coordinates are rounded to a tenth of a pixel and metres to a millimetre. A changed row keeps the cells that say where it
    belongs, and those of columns that trapmeter doesn't know.

    Raises:
        InputError: the new row contradicts the others, for example overlapping deployments.
    """
    header, records = _with_columns(table.raw)
    old = [record for record in records if record.line in replaced]
    new = [
        _record(table.raw, header, _cells(mark, upright, place), old[min(i, len(old) - 1)] if old else None)
        for i, mark in enumerate(upright.marks)
    ]
    at = records.index(old[0]) if old else len(records)
    before = [record for record in records[:at] if record.line not in replaced]
    after = [record for record in records[at:] if record.line not in replaced]
    return _with_records(table, header, [*before, *new, *after])


def remove_object(table: MarkTable, lines: Collection[int]) -> MarkTable:
    """The table without the rows that start on these lines."""
    kept = [record for record in table.raw.records if record.line not in lines]
    return _with_records(table, table.raw.header, kept)


def _with_records(table: MarkTable, header: RawRecord, records: Sequence[RawRecord]) -> MarkTable:
    end = header.end or "\n"
    ended = [replace(record, end=record.end or end) for record in records]
    return parse_table(table.path, table.raw.to_bytes(replace(header, end=end), ended))


def _with_columns(raw: RawTable) -> tuple[RawRecord, list[RawRecord]]:
    """Header and rows with all columns that marks need; those that the file lacks come last."""
    names = _names(raw.header)
    is_quoted = are_all_quoted(raw.header.fields)
    missing = [name for name in COLUMNS if name not in names]
    added = tuple(quote_field(name, quoted=is_quoted) for name in missing)
    header = replace(raw.header, fields=(*raw.header.fields, *added))
    empty = tuple(quote_field("", quoted=is_quoted) for _ in missing)
    # A row may have empty cells beyond the header: the new columns begin where the header ended.
    records = [
        record if record.is_blank else replace(record, fields=(*record.fields[: len(names)], *empty))
        for record in raw.records
    ]
    return header, records if missing else list(raw.records)


def _names(header: RawRecord) -> list[str]:
    return [field_text(field).strip() for field in header.fields]


def _record(raw: RawTable, header: RawRecord, cells: Mapping[str, str], old: RawRecord | None) -> RawRecord:
    """A row with these cells; of an old one, it keeps where it belongs and what the cells don't name."""
    names, is_quoted = _names(header), are_all_quoted(header.fields)
    values = dict(cells)
    if old is not None:
        kept = dict(zip(names, map(field_text, old.fields), strict=False))
        belongs = {name: kept[name] for name in ("site_id", "start", "end", "photo") if kept.get(name)}
        values = kept | values | belongs
    if raw.separator == ";":  # such tables have decimal commas
        numbers = ("x", "y", "mark_height_m", "distance_m")
        values |= {name: values[name].replace(".", ",") for name in numbers}
    fields = tuple(quote_field(values.get(name, ""), quoted=is_quoted) for name in names)
    return RawRecord(fields, "" if old is None else old.end, 0)


def _cells(mark: Mark, upright: Upright, place: PicturePlace) -> dict[str, str]:
    return {
        "site_id": to_cell(place.site_id),
        "start": time_text(place.start),
        "end": time_text(place.end),
        "photo": to_cell(place.photo),
        "object": to_cell(upright.name),
        "kind": upright.kind.value,
        "x": fixed_decimals(mark.x * place.width, PIXEL_DECIMALS),
        "y": fixed_decimals(mark.y * place.height, PIXEL_DECIMALS),
        "width": str(place.width),
        "height": str(place.height),
        "mark_height_m": _metres(mark.height_m),
        "distance_m": "" if upright.distance_m is None else _metres(upright.distance_m),
    }


def _metres(metres: float) -> str:
    return f"{round(metres, METRE_DECIMALS):g}"


def time_text(time: datetime | None) -> str:
    """ISO 8601; midnight by the camera's clock is a date alone, as people write it."""
    if time is None:
        return ""
    is_midnight = time.tzinfo is None and not (time.hour or time.minute or time.second or time.microsecond)
    return time.date().isoformat() if is_midnight else time.isoformat()
