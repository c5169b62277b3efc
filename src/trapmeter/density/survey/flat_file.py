"""Reads a survey from a flat file of R's package Distance, and writes one."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from trapmeter.density.survey.species import ALL_SPECIES
from trapmeter.density.survey.survey import Station, Survey
from trapmeter.errors import InputError
from trapmeter.tables.flatfile import FlatRow

FULL_CIRCLE_NOTE = (
    "without a column 'multiplier' or --theta stations are taken to see a full circle, as in point transects; for camera "
    "traps give the angle of view"
)


def survey_from_rows(
    rows: Sequence[FlatRow], *, species: str | None = None, has_strata: bool = True, multiplier: float | None = None
) -> Survey:
    """Puts rows together: stations of all rows, and the distances of the species.

    Args:
        rows: of a flat file, in any order.
        species: whose distances count; other species' rows still tell of their stations. None or "all" takes every row.
        has_strata: whether Region.Label parts the survey. If not, a Sample.Label is one station whatever its region.
        multiplier: the share of a circle for rows that lack it; 1 when not given, as for ordinary point transects.

    Raises:
        InputError: there is no row, or no detection, or none of the species, or rows of one station or stratum differ in what
            they must share.
    """
    if not rows:
        raise InputError(
            "the flat file has no rows; expected one for each observation and for each station without any"
        )
    first: dict[tuple[str, str], FlatRow] = {}
    areas: dict[str, FlatRow] = {}
    for row in rows if has_strata else (replace(row, stratum="") for row in rows):
        _check_same_station(first.setdefault((row.stratum, row.station_id), row), row, "station")
        if has_strata:
            _check_same_area(areas.setdefault(row.stratum, row), row)
    filled = _default_multiplier(rows) if multiplier is None else multiplier
    shared = len({station for _, station in first}) < len(first)
    number = {key: index for index, key in enumerate(first)}
    cameras = tuple(
        Station(
            f"{stratum}/{station}" if shared else station,
            row.effort_snapshots,
            _multiplier(row, filled),
            stratum,
        )
        for (stratum, station), row in first.items()
    )
    seen = [row for row in rows if row.distance_m is not None and species in (None, ALL_SPECIES, row.species)]
    _check_detections(rows, seen)
    return Survey(
        cameras,
        np.array([number[row.stratum if has_strata else "", row.station_id] for row in seen], np.intp),
        np.array([[row.distance_m] for row in seen], np.float64),
        {stratum: row.area for stratum, row in areas.items() if row.area},
        notes=tuple(_notes(rows, has_strata=has_strata, multiplier=multiplier)),
    )


def _default_multiplier(rows: Sequence[FlatRow]) -> float | None:
    """What the rows tell who tell a multiplier: stations without detections are often NA in all but their effort.

    Raises:
        InputError: some rows tell none, and the others differ.
    """
    told = {row.multiplier for row in rows if row.multiplier is not None}
    empty = next((row for row in rows if row.multiplier is None), None)
    if len(told) > 1 and empty is not None:
        raise InputError(
            f"{empty.where}, column 'multiplier': expected the share of a circle that the camera covers, got NA, and other "
            f"rows tell several, as {min(told):g} and {max(told):g}; fill it in, or give --theta for such rows"
        )
    return next(iter(told), None)


def _notes(rows: Sequence[FlatRow], *, has_strata: bool, multiplier: float | None) -> Iterator[str]:
    told = {row.multiplier for row in rows}
    if multiplier is None and told == {None}:
        yield FULL_CIRCLE_NOTE
    elif multiplier is None and None in told:
        yield "rows without a multiplier take that of all others"
    least = min((share for share in told if share is not None), default=1.0)
    if least <= 2 * math.pi / 360:
        yield (
            f"a multiplier of {least:g} is an angle of {360 * least:.3g} degrees, which looks like radians divided by 360; "
            "give theta / 360 with theta in degrees"
        )
    if multiplier is not None and None not in told and told != {multiplier}:
        yield (
            f"the angle of view that was given ({360 * multiplier:g} degrees) was not used: the column 'multiplier' tells "
            "each row's own"
        )
    n_places, n_labels = len({(row.stratum, row.station_id) for row in rows}), len({row.station_id for row in rows})
    if not has_strata and n_places > n_labels:
        yield (
            f"{n_places:,} stations of all regions share {n_labels:,} labels: a label is taken as one station whose effort "
            "is told once; name them apart if they are stations of their own"
        )


def availability_from_rows(rows: Sequence[FlatRow]) -> float | None:
    """The availability that the rows tell, None without the column.

    Raises:
        InputError: rows differ in it.
    """
    told = {row.availability: row for row in rows if row.availability is not None}
    if len(told) > 1:
        low, high = min(told), max(told)
        raise InputError(
            f"{told[high].where}, column 'availability': expected one number for the whole survey, got {low:g} and {high:g}; "
            "give one, or estimate strata of their own"
        )
    return next(iter(told), None)


def rows_from_survey(survey: Survey, availability: float | None = None) -> Iterator[FlatRow]:
    """The survey as rows of a flat file: distances as they are, or the middle one of each row's draws."""
    # R takes 0 for not known; areas of some strata alone it would weight by.
    areas = survey.areas if survey.has_areas else {}
    by_camera: dict[int, list[float]] = {}
    for camera, metres in zip(survey.station.tolist(), np.median(survey.distance_m, axis=1).tolist(), strict=True):
        by_camera.setdefault(camera, []).append(metres)
    for number, camera in enumerate(survey.stations):
        for metres in by_camera.get(number, [None]):
            yield FlatRow(
                where="",
                stratum=camera.stratum or "all",
                area=areas.get(camera.stratum, 0.0),
                multiplier=camera.multiplier,
                availability=availability,
                station_id=camera.station_id,
                effort_snapshots=camera.effort_snapshots,
                distance_m=metres,
            )


def _check_same_station(before: FlatRow, row: FlatRow, what: str) -> None:
    for column, told, now in (
        ("Effort", before.effort_snapshots, row.effort_snapshots),
        ("multiplier", before.multiplier, row.multiplier),
    ):
        if told != now:
            raise InputError(
                f"{row.where}, column {column!r}: expected one number in all rows of {what} {row.station_id!r}, got "
                f"{_text(now)} after {_text(told)} in {before.where}; correct it, or give the stations names of their own"
            )


def _check_same_area(before: FlatRow, row: FlatRow) -> None:
    if before.area != row.area:
        raise InputError(
            f"{row.where}, column 'Area': expected one number in all rows of {row.stratum!r}, got {_text(row.area)} after "
            f"{_text(before.area)} in {before.where}; correct it"
        )


def _text(number: float | None) -> str:
    return "NA" if number is None else f"{number:g}"


def _multiplier(row: FlatRow, given: float | None) -> float:
    if row.multiplier is not None:
        return row.multiplier
    return 1.0 if given is None else given


def _check_detections(rows: Sequence[FlatRow], seen: Sequence[FlatRow]) -> None:
    if seen:
        return
    file = rows[0].where.rsplit(", line", 1)[0]
    raise InputError(
        f"{file} has no detection in {len(rows)} rows, so that there is no density to estimate; check the column 'distance'"
    )
