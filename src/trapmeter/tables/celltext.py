r"""Texts of our own CSV files: any text can be written, is valid UTF-8 on one line, and comes back the same.

Two things are changed on writing and undone on reading:

- Control characters (newlines, tabs) and bytes of a file name that were no UTF-8 (Python holds them as lone
  surrogates, "\udcff") become ``\uXXXX``. A backslash that already stands before such a code becomes ``\u005c``.
- A text that a spreadsheet would run as a formula (=, +, - or @ first, blanks or apostrophes before it or not) gets
  an apostrophe in front.
"""

from __future__ import annotations

import re

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
