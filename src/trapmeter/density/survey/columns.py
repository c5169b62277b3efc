"""Columns that a formula or --by names, as texts of a survey's observations and stations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from trapmeter.density.survey.survey import Column
from trapmeter.errors import InputError
from trapmeter.tables.csvfile import read_columns
from trapmeter.tables.deployments import Deployment

_MISSING_ADVICE = "fill it in, leave the row out, or leave the column out of --formula and --by"


def check_columns(path: Path, wanted: Sequence[str]) -> None:
    """Raises InputError if a table lacks a column that a formula or --by names."""
    found = read_columns(path)
    for name in wanted:
        if name not in found:
            raise missing_column(name, [path], found)


def missing_column(name: str, paths: Sequence[Path], found: Sequence[str]) -> InputError:
    """The error for a column that a formula or --by names and no table has. found: columns of the tables."""
    tables = " and ".join(map(str, paths))
    verb = "have" if len(paths) > 1 else "has"
    known = ", ".join(map(repr, dict.fromkeys(found)))
    return InputError(
        f"{tables} {verb} no column {name!r}, which --formula or --by names; there are {known}. "
        "Correct the name; capitals matter"
    )


def check_value(where: str, name: str, text: str) -> str:
    """The text of a cell, which must not be empty. where: file and line.

    Raises:
        InputError: it is empty.
    """
    if not text:
        raise InputError(
            f"{where}, column {name!r}: expected a value, because --formula or --by names it; {_MISSING_ADVICE}"
        )
    return text


def column_of_sites(name: str, deployments: Mapping[str, Sequence[Deployment]], site_ids: Sequence[str]) -> Column:
    """A column of the deployments as one of stations. site_ids: the site of each observation (n).

    Raises:
        InputError: a cell is empty, or the deployments of a site differ.
    """
    by_site = {}
    for site_id, rows in deployments.items():
        values = {check_value(row.where, name, row.row.value_text(name)): row for row in rows}
        if len(values) > 1:
            last = list(values.values())[-1]
            raise InputError(
                f"{last.where}, column {name!r}: expected one value for all deployments of site {site_id!r}, got "
                f"{', '.join(map(repr, sorted(values)))}; correct it, or split the site into two names"
            )
        (by_site[site_id],) = values
    return Column(tuple(by_site[site_id] for site_id in site_ids), tuple(by_site.values()))


def column_of_rows(values: Sequence[str], by_station: Sequence[set[str]], *, may_describe_stations: bool) -> Column:
    """A column of a flat file. It describes stations if each has one value, also those without a detection.

    Args:
        values: text of each observation (n).
        by_station: different texts in all rows of each station, "" for missing ones.
        may_describe_stations: whether it may be a property of stations; species and size never are.
    """
    known = [texts - {""} for texts in by_station]
    if may_describe_stations and all(len(texts) == 1 for texts in known):
        return Column(tuple(values), tuple(next(iter(texts)) for texts in known))
    return Column(tuple(values))
