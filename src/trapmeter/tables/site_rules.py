"""Assigns each video or photo to a site, by its folder, its name or a CSV file.

A rule is one of four records; `parse_site_rule` makes it from a text such as "folder:1".
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from trapmeter.errors import InputError
from trapmeter.records import Medium
from trapmeter.tables.file_names import NameIndex, list_names, name_parts
from trapmeter.tables.wildlife_insights import read_survey_columns, read_survey_rows

RULE_FORMS = """\
  none                        no sites
  folder:1                    the top folder in the file's name; folder:2 is the folder below it
  folder:-1                   the folder that holds the file; folder:-2 is its parent
  regex:(S[0-9]+)_            the text that the first group, or a group named site, matches in the file's name
  csv:sites.csv or sites.csv  a table with site_id and media_id, video_id, file or folder"""

NAME_COLUMNS = ("media_id", "video_id", "file", "folder")
"""The first of these columns that a site table has says which media a row is about."""


@dataclass(frozen=True, slots=True)
class NoSite:
    """No rule: sites stay as they are."""


@dataclass(frozen=True, slots=True)
class FolderSite:
    """The site is a folder in media_id: 1 is the top one, 2 the next; -1 is the one that holds the file, -2 its parent."""

    level: int

    def __post_init__(self) -> None:
        if self.level == 0:
            raise InputError("folders are counted from 1 (the top) or from -1 (the one that holds the file), got 0")


@dataclass(frozen=True, slots=True)
class RegexSite:
    """The site is the text that the group named site, or else the first group, matches in media_id."""

    pattern: str

    def __post_init__(self) -> None:
        try:
            groups = re.compile(self.pattern).groups
        except re.error as error:
            raise InputError(
                f"the pattern {self.pattern!r} is not a regular expression: {error.msg} at position {error.pos}"
            ) from None
        if not groups:
            raise InputError(
                f"the pattern {self.pattern!r} has no group; put parentheses around the part that is the site"
            )


@dataclass(frozen=True, slots=True)
class CsvSite:
    """A CSV file with site_id and one of NAME_COLUMNS gives the site; a folder is the start of media_id."""

    path: Path


SiteRule = NoSite | FolderSite | RegexSite | CsvSite


def parse_site_rule(text: str) -> SiteRule:
    """Parses a rule that a user wrote.

    Raises:
        InputError: it has none of the known forms, which the message lists.

    Example:
        >>> parse_site_rule("folder:-1")
        FolderSite(level=-1)
    """
    form, _, rest = text.partition(":")
    if text == "none":
        return NoSite()
    if form == "regex" and rest:
        return RegexSite(rest)
    if form == "csv" and rest:
        return CsvSite(Path(rest))
    if form == "folder" and re.fullmatch(r"[+-]?[0-9]{1,4}", rest):
        return FolderSite(int(rest))
    if text.lower().endswith(".csv"):
        return CsvSite(Path(text))
    raise InputError(f"{text!r} is not a rule for sites; write one of\n{RULE_FORMS}")


def format_site_rule(rule: SiteRule) -> str:
    """The text from which `parse_site_rule` makes this rule."""
    match rule:
        case NoSite():
            return "none"
        case FolderSite(level):
            return f"folder:{level}"
        case RegexSite(pattern):
            return f"regex:{pattern}"
        case CsvSite(path):
            return f"csv:{path}"


def assign_sites(media: Sequence[Medium], rule: SiteRule) -> list[Medium]:
    """The media with their sites, in the order given; a medium without a site by the rule stays as it is.

    Raises:
        InputError: the site table can't be read or contradicts itself, or a name in it fits several media.
    """
    site_of = _lookup(rule, [medium.media_id for medium in media])
    return [replace(medium, site_id=site_of(medium.media_id) or medium.site_id) for medium in media]


def _lookup(rule: SiteRule, media_ids: Sequence[str]) -> Callable[[str], str]:
    match rule:
        case NoSite():
            return lambda media_id: ""
        case FolderSite(level):
            return lambda media_id: _folder(media_id, level)
        case RegexSite(pattern):
            compiled = re.compile(pattern)
            return lambda media_id: _group(compiled, media_id)
        case CsvSite(path):
            return _table_lookup(path, media_ids)


def _folder(media_id: str, level: int) -> str:
    folders = name_parts(media_id)[:-1]
    index = level - 1 if level > 0 else level
    return folders[index] if -len(folders) <= index < len(folders) else ""


def _group(pattern: re.Pattern[str], media_id: str) -> str:
    # Some systems store letters and accents separately; people type them as one character.
    found = pattern.search(unicodedata.normalize("NFC", media_id))
    return (found["site" if "site" in pattern.groupindex else 1] or "") if found else ""


def look_up_column(path: Path, value_column: str, media_ids: Sequence[str]) -> dict[str, str]:
    """What another column of a site table says about each medium, such as the start of its deployment; "" for nothing.

    Raises:
        InputError: as `assign_sites`.
    """
    value_of = _table_lookup(path, media_ids, value_column)
    return {media_id: value_of(media_id) for media_id in media_ids}


def _table_lookup(path: Path, media_ids: Sequence[str], value_column: str = "site_id") -> Callable[[str], str]:
    columns = read_survey_columns(path)
    column = next((name for name in NAME_COLUMNS if name in columns), NAME_COLUMNS[0])
    values = _read_values(path, column, value_column)
    if column == "folder":
        folders = {"/".join(name_parts(folder)): value for folder, value in values.items()}
        return lambda media_id: _longest_prefix(folders, media_id)
    index = NameIndex(values)
    index.check(media_ids, f"{path}, column {column}")
    return lambda media_id: _value_by_name(path, values, index.find(media_id), media_id, value_column)


def _read_values(path: Path, column: str, value_column: str) -> dict[str, str]:
    values: dict[str, str] = {}
    lines: dict[str, int] = {}
    what = "sites" if value_column == "site_id" else f"values of {value_column}"
    for row in read_survey_rows(path, required=(column, "site_id")):
        name, value = row.text(column), row.optional_text(value_column)
        if column == "folder":
            name = "/".join(name_parts(name))
        if values.setdefault(name, value) != value:
            raise InputError(
                f"{path}, lines {lines[name]} and {row.line}: {name} has the {what} {values[name]!r} and {value!r}; keep one"
            )
        lines.setdefault(name, row.line)
    return values


def _longest_prefix(folders: dict[str, str], media_id: str) -> str:
    parts = name_parts(media_id)[:-1]
    prefixes = ("/".join(parts[:count]) for count in range(len(parts), 0, -1))
    return next((folders[prefix] for prefix in prefixes if prefix in folders), "")


def _value_by_name(path: Path, values: dict[str, str], names: list[str], media_id: str, value_column: str) -> str:
    found = {values[name] for name in names}
    if len(found) > 1:
        raise InputError(
            f"{path}: {media_id} could be any of {list_names(names)}, which differ in {value_column}; write its full name"
        )
    return found.pop() if found else ""
