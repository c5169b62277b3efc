"""Reads a survey from a flat file of R's package Distance, and writes one."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

import numpy as np

from trapmeter.density.survey.columns import check_value, column_of_rows
from trapmeter.density.survey.species import is_requested
from trapmeter.density.survey.survey import Availability, Station, Survey
from trapmeter.errors import InputError
from trapmeter.tables.flatfile import SIZE_COLUMN, FlatRow

NO_STRATUM = "all"
"""The Region.Label of stations without a stratum, which R requires."""
FULL_CIRCLE_NOTE = (
    "without a column 'multiplier' or --theta, stations are assumed to cover a full circle, as in point transects; for "
    "camera traps give the angle of view in degrees, such as --theta 42"
)


def survey_from_rows(
    rows: Sequence[FlatRow],
    *,
    species: str | None = None,
    has_strata: bool = True,
    multiplier: float | None = None,
    of_observations: Collection[str] = (SIZE_COLUMN,),
) -> Survey:
    """The survey in rows of a flat file: stations of all rows, and the distances of the species.

    Args:
        rows: of a flat file, in any order.
        species: the requested species; rows of others still count for the stations. None or "all" takes every row.
        has_strata: whether each Region.Label is a stratum. If not, a Sample.Label is one station whatever its region.
        multiplier: the share of a circle for rows without one; 1 by default, as for ordinary point transects.
        of_observations: columns that never describe stations, such as that of the species.

    Raises:
        InputError: there are no rows or no detections of the species, rows of a station or stratum contradict each other, or
            a detection lacks a value in a column that was read.
    """
    if not rows:
        raise InputError(
            "the flat file has no rows; expected one for each observation and for each station without detections"
        )
    first: dict[tuple[str, str], FlatRow] = {}
    areas: dict[str, FlatRow] = {}
    for row in rows if has_strata else (replace(row, stratum="") for row in rows):
        same_station = first.setdefault((row.stratum, row.station_id), row)
        _check_same("Effort", same_station, row, "effort_snapshots", f"station {row.station_id!r}")
        _check_same("multiplier", same_station, row, "multiplier", f"station {row.station_id!r}")
        if has_strata:
            _check_same("Area", areas.setdefault(row.stratum, row), row, "area", f"stratum {row.stratum!r}")
    default = _common_multiplier(rows) if multiplier is None else multiplier
    has_shared_labels = len({station for _, station in first}) < len(first)
    index = {key: number for number, key in enumerate(first)}
    stations = tuple(
        Station(
            f"{stratum}/{station}" if has_shared_labels else station,
            row.effort_snapshots,
            default if row.multiplier is None else row.multiplier,
            stratum,
        )
        for (stratum, station), row in first.items()
    )
    detections = [row for row in rows if row.distance_m is not None and is_requested(row.species, species)]
    if not detections:
        file = rows[0].where.rsplit(", line", 1)[0]
        raise InputError(
            f"{file} has no detection in {len(rows)} rows, so there is no density to estimate; check the column 'distance'"
        )
    sizes = np.array([row.size for row in detections], np.float64)

    def key(row: FlatRow) -> int:
        return index[row.stratum if has_strata else "", row.station_id]

    columns = {}
    for name in rows[0].cells:
        values = [check_value(row.where, name, row.cells[name]) for row in detections]
        by_station: list[set[str]] = [set() for _ in stations]
        for row in rows:
            by_station[key(row)].add(row.cells[name])
        columns[name] = column_of_rows(values, by_station, may_describe_stations=name not in of_observations)
    return Survey(
        stations,
        np.array([key(row) for row in detections], np.intp),
        np.array([[row.distance_m] for row in detections], np.float64),
        {stratum: row.area for stratum, row in areas.items() if row.area},
        notes=tuple(_notes(rows, has_strata=has_strata, multiplier=multiplier)),
        sizes=sizes if (sizes > 1).any() else None,
        columns=columns,
    )


def _common_multiplier(rows: Sequence[FlatRow]) -> float:
    """The multiplier for rows without one: that of the others, or 1. Stations without detections are often NA but for effort.

    Raises:
        InputError: some rows have none, and the others differ.
    """
    multipliers = {row.multiplier for row in rows if row.multiplier is not None}
    empty = next((row for row in rows if row.multiplier is None), None)
    if len(multipliers) > 1 and empty is not None:
        raise InputError(
            f"{empty.where}, column 'multiplier': expected the share of a circle that the camera covers, got NA, and other "
            f"rows differ, such as {min(multipliers):g} and {max(multipliers):g}; fill it in, or give --theta for such rows"
        )
    return next(iter(multipliers), 1.0)


def _notes(rows: Sequence[FlatRow], *, has_strata: bool, multiplier: float | None) -> Iterator[str]:
    multipliers = {row.multiplier for row in rows}
    if multiplier is None and multipliers == {None}:
        yield FULL_CIRCLE_NOTE
    elif multiplier is None and None in multipliers:
        yield "rows without a multiplier take that of all others"
    least = min((share for share in multipliers if share is not None), default=1.0)
    if least <= 2 * math.pi / 360:
        yield (
            f"a multiplier of {least:g} is an angle of {360 * least:.3g} degrees, which looks like radians divided by 360; "
            "give theta / 360 with theta in degrees"
        )
    if multiplier is not None and None not in multipliers and multipliers != {multiplier}:
        yield (
            f"the given angle of view ({360 * multiplier:g} degrees) was not used: the column 'multiplier' has a value in "
            "each row"
        )
    n_stations, n_labels = len({(row.stratum, row.station_id) for row in rows}), len({row.station_id for row in rows})
    if not has_strata and n_stations > n_labels:
        yield (
            f"{n_stations:,} stations of all regions share {n_labels:,} labels: each label is one station, whose effort "
            "counts once; give different stations different names"
        )


def availability_from_rows(rows: Sequence[FlatRow]) -> Availability | None:
    """The availability of the survey, None without the column.

    Raises:
        InputError: rows differ in it, or it is not above 0.
    """
    by_share = {row.availability: row for row in rows if row.availability is not None}
    if len(by_share) > 1:
        low, high = min(by_share), max(by_share)
        raise InputError(
            f"{by_share[high].where}, column 'availability': expected one number for the survey, got {low:g} and {high:g}; "
            "give one number, or estimate the strata separately"
        )
    return next((Availability(share) for share in by_share), None)


def rows_from_survey(survey: Survey, availability: float | None = None) -> Iterator[FlatRow]:
    """The survey as rows of a flat file: distances unchanged, or the median of each row's draws; sizes and columns too."""
    # R reads 0 as unknown. It would weight by areas even if only some strata have one.
    areas = survey.areas if survey.has_areas else {}
    metres = np.median(survey.distance_m, axis=1).tolist()
    by_station: dict[int, list[int | None]] = {}
    for observation, index in enumerate(survey.station.tolist()):
        by_station.setdefault(index, []).append(observation)
    for index, station in enumerate(survey.stations):
        of_station = {
            name: "" if column.at_stations is None else column.at_stations[index]
            for name, column in survey.columns.items()
        }
        for number in by_station.get(index, [None]):
            of_observation = {
                name: column.values[number] for name, column in survey.columns.items() if number is not None
            }
            yield FlatRow(
                where="",
                stratum=station.stratum or NO_STRATUM,
                area=areas.get(station.stratum, 0.0),
                multiplier=station.multiplier,
                availability=availability,
                station_id=station.station_id,
                effort_snapshots=station.effort_snapshots,
                distance_m=None if number is None else metres[number],
                size=1.0 if number is None or survey.sizes is None else float(survey.sizes[number]),
                cells=of_observation or of_station,
            )


def _check_same(column: str, before: FlatRow, row: FlatRow, field: str, owner: str) -> None:
    """Raises InputError if two rows of one station or stratum differ in a column. field: of `FlatRow`."""
    first, value = getattr(before, field), getattr(row, field)
    if first != value:
        raise InputError(
            f"{row.where}, column {column!r}: expected one number in all rows of {owner}, got {_cell(value)} after "
            f"{_cell(first)} in {before.where}; correct it, or give different stations and strata different names"
        )


def _cell(number: float | None) -> str:
    return "NA" if number is None else f"{number:g}"
