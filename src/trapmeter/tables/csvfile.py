r"""CSV tables: reads what people and spreadsheets write, and names file, line and column of every mistake.

Texts from elsewhere (file names, sites, reasons) are escaped when they go into a cell, and come back unchanged when read:
- Control characters and lone surrogates (file names need not be valid UTF-8) would break lines or could not be written at
  all. Each becomes a code such as \u000a.
- A spreadsheet runs a cell that starts with =, +, - or @ as a formula, so a file named `=HYPERLINK(...)` could act on the
  computer of everyone who opens the table. An apostrophe in front makes the cell a plain text.
"""

from __future__ import annotations

import csv
import difflib
import io
import math
import re
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from trapmeter.errors import InputError

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
MIN_SIMILARITY = 0.65
"""From this ratio on (difflib's), two names count as one misspelt: theta and theta_deg, hfov and hfov_deg."""
MISSING_VALUES = frozenset({"", "NA", "NaN", "na", "nan"})
"""Cells without a value, as R and others write them."""
_UNWRITABLE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]|\\(?=u[0-9a-f]{4})")
_CODE = re.compile(r"\\u([0-9a-f]{4})")
# The full-width signs start formulas too, in spreadsheets that run in Japanese.
_FORMULA = re.compile(r"'*\s*[=+\-@＝＋－＠]")


def to_cell(text: str) -> str:
    """The text as a cell that fits on one line and that no spreadsheet runs; the module's docstring says why."""
    text = _UNWRITABLE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)
    return f"'{text}" if _FORMULA.match(text) else text


def from_cell(cell: str) -> str:
    """The text from which `to_cell` made this cell."""
    text = cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell
    # Most cells of a large table hold no code: the check in front saves the search.
    return _CODE.sub(lambda match: chr(int(match[1], 16)), text) if "\\u" in text else text


def fixed_decimals(number: float, decimals: int) -> str:
    """The number with fixed decimals; -0.0 is written as 0.0."""
    text = f"{number:.{decimals}f}"
    return text.removeprefix("-") if float(text) == 0 else text


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a CSV file: its cells by column name. line is where it starts in the file; the header is line 1."""

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
        """The cell as it is in the file, blanks included; "" when the file lacks the column."""
        return self.cells.get(column, "")

    def optional_text(self, column: str) -> str:
        """The text of a cell without blanks around it; "" when the cell is empty or the file lacks the column."""
        return from_cell(self.raw(column).strip())

    def value_text(self, column: str) -> str:
        """The text of a cell that may hold a number or a name: numbers with a decimal point, "" for a missing value."""
        text = self.optional_text(column)
        if text in MISSING_VALUES:
            return ""
        as_number = text.replace(self.decimal, ".")
        return as_number if re.fullmatch(r"[-+]?[\d.]+", as_number) else text

    def text(self, column: str) -> str:
        """The text of a cell without blanks around it, which must not be empty."""
        text = self.optional_text(column)
        if not text:
            raise self.error(column, "a text")
        return text

    def optional_number(self, column: str) -> float | None:
        """The cell as a finite number, or None when it is empty or the file lacks the column."""
        text = self.optional_text(column)
        if not text:
            return None
        if self.decimal != "." and "." not in text:
            text = text.replace(self.decimal, ".")
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        # float() accepts "1_000" and "nan"; in a table both are mistakes.
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

    def optional_count(self, column: str, otherwise: str = "nothing") -> int | None:
        """The cell as a whole number >= 1, or None when it is empty; otherwise: what an empty cell means, for the message."""
        number = self.optional_number(column)
        if number is not None and (number < 1 or number != int(number)):
            raise self.error(column, f"a whole number >= 1, or {otherwise}")
        return None if number is None else int(number)


class UniqueRows:
    """Refuses a second row about the same thing, and names the lines of both."""

    def __init__(self) -> None:
        self._lines: dict[Hashable, int] = {}

    def check(self, row: Row, key: Hashable, what: str) -> None:
        """Call once for each row: key identifies what the row is about, and what names it in the message.

        Raises:
            InputError: an earlier row has the same key.
        """
        first = self._lines.setdefault(key, row.line)
        if first != row.line:
            raise InputError(f"{row.path}, lines {first} and {row.line}: {what} appears twice; keep one of the rows")


def read_rows(path: str | Path, *, required: Sequence[str]) -> Iterator[Row]:
    """Reads the rows of a CSV file that has at least the required columns.

    Cells are separated by commas, semicolons (with decimal commas) or tabs. Blank rows are skipped.

    Raises:
        InputError: the file can't be read, is empty, is not UTF-8, lacks a column or has one twice, or a row has more or
            fewer cells than the header.
    """
    return parse_rows(path, read_text(path), required=required)


def parse_rows(
    path: str | Path, text: str, *, required: Sequence[str], allows_short_rows: bool = False
) -> Iterator[Row]:
    """As `read_rows`, from a text that was read before (from an archive, for example); path is its name for messages.

    allows_short_rows: rows may lack empty cells at their end, as some programs write them.
    """
    path = Path(path)
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
                "put text that contains the separator in double quotes, or check whether the end of the file is missing"
            )
        yield Row(path, line, dict(zip(columns, cells, strict=True)), decimal)


def read_columns(path: str | Path) -> tuple[str, ...]:
    """The column names of a CSV file, () when it is empty. They tell formats apart."""
    _, header, _ = next(_split_rows(path, read_text(path)), (0, [], "."))
    return tuple(name.strip() for name in header)


def find_misspelt_columns(path: str | Path, known: Sequence[str]) -> list[str]:
    """A note for each column of a CSV file that looks like a known column the file lacks. Such columns are ignored."""
    columns = read_columns(path)
    missing = [name for name in known if name not in columns]
    notes = []
    for column in columns:
        near = difflib.get_close_matches(column.lower(), missing, 1, MIN_SIMILARITY) if column not in known else []
        if near:
            notes.append(f"{path}: the column {column!r} is ignored; rename it {near[0]!r} if that is what you mean")
    return notes


def find_ignored_columns(path: str | Path, known: Sequence[str]) -> list[str]:
    """As `find_misspelt_columns`, and one note that names all other columns of a CSV file that are ignored."""
    misspelt = find_misspelt_columns(path, known)
    ignored = [repr(column) for column in read_columns(path) if column and column not in known]
    others = [name for name in ignored if not any(f"column {name} is ignored" in note for note in misspelt)]
    if not others:
        return misspelt
    columns = f"column {others[0]} is" if len(others) == 1 else f"columns {', '.join(others)} are"
    return [*misspelt, f"{path}: the {columns} ignored"]


def read_text(path: str | Path) -> str:
    """The content of a file as text, without a byte order mark; line ends stay as they are.

    Raises:
        InputError: the file can't be read or is not UTF-8; names the byte offset and the line.
    """
    try:
        raw = Path(path).read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path} does not exist; check the name and the folder") from None
    except OSError as error:
        raise InputError(f"{path} can't be read: {error.strerror or error}") from error
    return decode_text(path, raw)


def decode_text(path: str | Path, raw: bytes) -> str:
    """The bytes of a file as text, without a byte order mark; path is its name for messages.

    Raises:
        InputError: they are not UTF-8; names the byte offset and the line.
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


def separator_of(text: str) -> str:
    """The character that separates the cells of a table, found in its first line."""
    header = re.split(r"[\r\n]", text, maxsplit=1)[0]
    return next((mark for mark in ",;\t" if mark in header), ",")


def _split_rows(path: str | Path, text: str) -> Iterator[tuple[int, list[str], str]]:
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
            f"{path}, line {skipped + start}: this is not a CSV row ({error}); correct or remove it"
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
        raise InputError(f"{path}, line {line}: the column {twice[0]!r} appears twice; found {found}. Remove one")
