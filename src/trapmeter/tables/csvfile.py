"""CSV tables: reads what people and spreadsheets write, and names file, line and column of every mistake."""

from __future__ import annotations

import csv
import difflib
import io
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from trapmeter.errors import InputError

_UNWRITABLE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]|\\(?=u[0-9a-f]{4})")
_CODE = re.compile(r"\\u([0-9a-f]{4})")
# The full-width signs are formulas too where spreadsheets run in Japanese.
_FORMULA = re.compile(r"'*\s*[=+\-@＝＋－＠]")


def to_cell(text: str) -> str:
    """The text as it is written into a cell."""
    text = _UNWRITABLE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)
    return f"'{text}" if _FORMULA.match(text) else text


def from_cell(cell: str) -> str:
    """The text that was written into a cell."""
    text = cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell
    # Most cells of large tables have none.
    return _CODE.sub(lambda match: chr(int(match[1], 16)), text) if "\\u" in text else text


BYTE_ORDER_MARK = b"\xef\xbb\xbf"
MIN_SIMILARITY = 0.65
"""How alike two names are (difflib's ratio) that may be the same: theta and theta_deg, hfov and hfov_deg."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a CSV file: cells by column name. line is where it starts in the file; the header is line 1."""

    path: Path
    line: int
    cells: dict[str, str]
    decimal: str = "."

    @property
    def where(self) -> str:
        """File and line, as every message begins."""
        return f"{self.path}, line {self.line}"

    def error(self, column: str, expected: str) -> InputError:
        """The error for a cell that is not what was expected, ready to be raised."""
        return InputError(
            f"{self.where}, column {column!r}: expected {expected}, got {self.raw(column)!r}; correct that cell"
        )

    def raw(self, column: str) -> str:
        """The cell as it stands, blanks included; "" where the file lacks the column."""
        return self.cells.get(column, "")

    def optional_text(self, column: str) -> str:
        """The cell without blanks around it; "" when empty or when the file lacks the column.

        What our own tables do to texts that a spreadsheet would run is undone.
        """
        return from_cell(self.raw(column).strip())

    def text(self, column: str) -> str:
        """The cell without blanks around it, which must not be empty."""
        text = self.optional_text(column)
        if not text:
            raise self.error(column, "a text")
        return text

    def optional_number(self, column: str) -> float | None:
        """The cell as a finite number, or None when empty or when the file lacks the column."""
        text = self.optional_text(column)
        if not text:
            return None
        if self.decimal != "." and "." not in text:
            text = text.replace(self.decimal, ".")
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        # float() reads "1_000" and "nan"; in a table both are mistakes.
        if not math.isfinite(number) or "_" in text:
            raise self.error(column, "a number")
        return number

    def number(self, column: str) -> float:
        """The cell as a finite number, which must not be empty."""
        number = self.optional_number(column)
        if number is None:
            raise self.error(column, "a number")
        return number

    def non_negative_number(self, column: str, meaning: str) -> float:
        """The cell as a finite number >= 0; meaning ("metres", "seconds") goes into the message."""
        number = self.number(column)
        if number < 0:
            raise self.error(column, f"a number of {meaning} >= 0")
        return number


def read_rows(path: Path, *, required: Sequence[str]) -> Iterator[Row]:
    """The rows of a CSV file that has at least the required columns.

    Raises:
        InputError: the file can't be read, is empty, is no UTF-8 text, lacks a column or has one twice, or a row has
            more or fewer cells than the header.
    """
    return parse_rows(path, read_text(path), required=required)


def parse_rows(path: Path, text: str, *, required: Sequence[str], allows_short_rows: bool = False) -> Iterator[Row]:
    """`read_rows` of a text that was read already, as from an archive; path is its name for messages.

    may_be_short: rows may leave out empty cells at their end, as some programs write them.
    """
    table = _split_rows(path, text)
    header_line, header, decimal = next(table, (0, [], "."))
    columns = [name.strip() for name in header]
    if not any(columns):
        raise InputError(f"{path} is empty; expected a CSV file with the columns {', '.join(required)}")
    _check_columns(path, header_line, columns, required)
    for line, found, _ in table:
        cells = found
        if not any(map(str.strip, cells)):
            continue
        if len(cells) > len(columns) and not any(cells[len(columns) :]):
            cells = cells[: len(columns)]
        if allows_short_rows:
            cells = [*cells, *[""] * (len(columns) - len(cells))]
        if len(cells) != len(columns):
            raise InputError(
                f"{path}, line {line}: expected {len(columns)} cells as in the header, got {len(cells)}; "
                "put text that contains the separator in double quotes, or see whether the file was cut off"
            )
        yield Row(path, line, dict(zip(columns, cells, strict=True)), decimal)


def read_columns(path: Path) -> tuple[str, ...]:
    """The column names of a CSV file, () when it is empty: to tell formats apart."""
    _, header, _ = next(_split_rows(path, read_text(path)), (0, [], "."))
    return tuple(name.strip() for name in header)


def find_misspelt_columns(path: Path, known: Sequence[str]) -> list[str]:
    """Says which columns of a CSV file look like known ones that it lacks: such columns are passed over."""
    columns = read_columns(path)
    missing = [name for name in known if name not in columns]
    found = []
    for column in columns:
        near = difflib.get_close_matches(column.lower(), missing, 1, MIN_SIMILARITY) if column not in known else []
        if near:
            found.append(f"{path}: the column {column!r} is passed over; rename it {near[0]!r} if that is what it is")
    return found


def read_text(path: Path) -> str:
    """The whole file as text, without a byte order mark; line ends as they stand.

    Raises:
        InputError: the file can't be read or is not UTF-8; names the byte offset and the line.
    """
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path} does not exist; check the name and the folder") from None
    except OSError as error:
        raise InputError(f"{path} can't be read: {error.strerror or error}") from error
    return decode_text(path, raw)


def decode_text(path: Path, raw: bytes) -> str:
    """The content of a file as text, without a byte order mark; path is its name for messages.

    Raises:
        InputError: it is not UTF-8; names the byte offset and the line.
    """
    offset = len(BYTE_ORDER_MARK) if raw.startswith(BYTE_ORDER_MARK) else 0
    try:
        return raw[offset:].decode("utf-8")
    except UnicodeDecodeError as error:
        at = offset + error.start
        line = raw.count(b"\n", 0, at) + 1
        raise InputError(
            f"{path}, line {line}: expected UTF-8 text, got byte 0x{raw[at]:02x} at byte offset {at}; "
            "save the table again as 'CSV UTF-8'"
        ) from None


def separator_of(body: str) -> str:
    """What separates the cells of a table, told from its first line."""
    header = re.split(r"[\r\n]", body, maxsplit=1)[0]
    return next((mark for mark in ",;\t" if mark in header), ",")


def _split_rows(path: Path, text: str) -> Iterator[tuple[int, list[str], str]]:
    """Yields (line where the row starts, cells, decimal mark); the first is the header."""
    body = text.lstrip("\r\n")
    skipped = text[: len(text) - len(body)].count("\n")
    separator = separator_of(body)
    reader = csv.reader(io.StringIO(body, newline=""), delimiter=separator, strict=True)
    start = 1
    try:
        for cells in reader:
            yield skipped + start, cells, "," if separator == ";" else "."
            start = reader.line_num + 1
    except csv.Error as error:
        raise InputError(
            f"{path}, line {skipped + start}: this is no CSV row ({error}); correct or remove it"
        ) from error


def _check_columns(path: Path, line: int, columns: Sequence[str], required: Sequence[str]) -> None:
    found = ", ".join(repr(name) for name in columns)
    missing = [name for name in required if name not in columns]
    if missing:
        raise InputError(
            f"{path}, line {line}: expected the columns {', '.join(required)}, "
            f"but {', '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing; found {found}. "
            "Add or rename columns; capitals matter"
        )
    twice = sorted({name for name in columns if name and columns.count(name) > 1})
    if twice:
        raise InputError(f"{path}, line {line}: the column {twice[0]!r} stands twice; found {found}. Remove one")
