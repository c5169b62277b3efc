"""Formulas: which columns the scale of a detection function depends on, in the notation of R, such as `species + season`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from trapmeter.errors import InputError

_TERM = re.compile(
    r"(?P<factor>(?:as\.)?factor\(\s*)?(?:`(?P<quoted>[^`]+)`|(?P<plain>[^\W\d][\w.]*))(?(factor)\s*\)|)"
)
_ADVICE = (
    "write columns separated by +, such as --formula 'species + season'; factor(season) takes numbers as names, and a column "
    "with a blank in its name stands between backticks"
)


@dataclass(frozen=True, slots=True)
class Term:
    """A column of a formula. is_factor: whether its numbers are names of levels."""

    column: str
    is_factor: bool = False

    @property
    def name(self) -> str:
        """As in the formula."""
        column = self.column if re.fullmatch(r"[^\W\d][\w.]*", self.column) else f"`{self.column}`"
        return f"factor({column})" if self.is_factor else column


@dataclass(frozen=True, slots=True)
class Formula:
    """The columns on whose values the scale depends; () for the same scale everywhere."""

    terms: tuple[Term, ...]

    @property
    def name(self) -> str:
        """Such as 'species + season'; '1' without terms."""
        return " + ".join(term.name for term in self.terms) or "1"

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns."""
        return tuple(term.column for term in self.terms)


def parse_formula(text: str) -> Formula:
    """Reads a formula such as `species + season`, `~ factor(year)`, or `1` for no column.

    Raises:
        InputError: it isn't a sum of columns, or names a column twice.

    Example:
        >>> parse_formula("~ species + factor(year)").columns
        ('species', 'year')
    """
    terms = tuple(_parse_terms(text))
    columns = [term.column for term in terms]
    repeated = next((column for column in columns if columns.count(column) > 1), None)
    if repeated is not None:
        raise InputError(f"the formula {text!r} names the column {repeated!r} twice; leave one out")
    return Formula(terms)


def _parse_terms(text: str) -> Iterator[Term]:
    body = text.strip().removeprefix("~").strip()
    if body == "1":
        return
    for part in _split(body):
        if part == "1":
            continue
        match = _TERM.fullmatch(part)
        if match is None:
            what = "interactions and functions of columns aren't supported" if re.search(r"[*:^(/|-]", part) else ""
            found = f"got {part!r} in {text!r}" if part and part != body else f"got {text!r}"
            raise InputError(f"expected a formula, {found}{f': {what}' if what else ''}; {_ADVICE}")
        yield Term(match["quoted"] or match["plain"], match["factor"] is not None)


def _split(body: str) -> list[str]:
    """The parts between plus signs that don't stand between backticks."""
    return [part.strip() for part in re.split(r"\+(?=(?:[^`]*`[^`]*`)*[^`]*$)", body)]
