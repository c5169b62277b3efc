"""CSV files split into fields so that unchanged ones are written back byte for byte."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from trapmeter.tables.csvfile import BYTE_ORDER_MARK, decode_text, separator_of


@dataclass(frozen=True, slots=True)
class RawRecord:
    """A row. fields: as they are in the file, with their quotes. end: its line end, "" at the end of a file without one.

    line: where the row starts in the file, from 1.
    """

    fields: tuple[str, ...]
    end: str
    line: int

    @property
    def is_blank(self) -> bool:
        """Whether it holds nothing but separators and blanks."""
        return not any(field_text(field).strip() for field in self.fields)


@dataclass(frozen=True, slots=True)
class RawTable:
    """A file. start: byte order mark and blank lines before the header; records: the rows below the header."""

    start: str
    separator: str
    header: RawRecord
    records: tuple[RawRecord, ...]

    def to_bytes(self, header: RawRecord, records: Iterable[RawRecord]) -> bytes:
        """The file with another header and other rows."""
        rows = (self.separator.join(record.fields) + record.end for record in (header, *records))
        return (self.start + "".join(rows)).encode("utf-8")


def split_csv(path: Path, content: bytes) -> RawTable:
    """Splits a file that `csvfile` has read without an error; path is its name for messages.

    Raises:
        InputError: the content is not UTF-8.
    """
    text = decode_text(path, content)
    mark = "\ufeff" if content.startswith(BYTE_ORDER_MARK) else ""
    body = text.lstrip("\r\n")
    start = text[: len(text) - len(body)]
    separator = separator_of(body)
    field = re.compile(rf'("[^"]*(?:""[^"]*)*"|[^{separator}\r\n]*)({separator}|\r\n|\n|\r|\Z)')
    records: list[RawRecord] = []
    fields: list[str] = []
    at, line, first_line = 0, 1 + _n_lines(start), 1 + _n_lines(start)
    while at < len(body) or fields:
        found = field.match(body, at)
        assert found is not None, "the csv module has read this text"
        at = found.end()
        fields.append(found[1])
        if found[1].startswith('"'):
            line += _n_lines(found[1])
        if found[2] != separator:
            records.append(RawRecord(tuple(fields), found[2], first_line))
            line += 1
            fields, first_line = [], line
    return RawTable(mark + start, separator, records[0], tuple(records[1:]))


def field_text(field: str) -> str:
    """The text of a field, without its quotes."""
    return field[1:-1].replace('""', '"') if field.startswith('"') and len(field) > 1 else field


def quote_field(text: str, *, quoted: bool) -> str:
    """A text as a field, in quotes if it needs them or if quoted, because the file quotes all fields."""
    if quoted or re.search('[",;\t\r\n]', text):
        return '"' + text.replace('"', '""') + '"'
    return text


def are_all_quoted(fields: Sequence[str]) -> bool:
    """Whether all fields (of a header, for example) are in quotes."""
    return all(field.startswith('"') for field in fields)


def _n_lines(text: str) -> int:
    return text.count("\n") + text.count("\r") - text.count("\r\n")
