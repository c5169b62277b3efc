"""Tables for density: times of day of animals, start times of videos and photos, animals to exclude."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, tzinfo
from pathlib import Path
from types import MappingProxyType

from trapmeter.errors import InputError
from trapmeter.files import atomic_file
from trapmeter.tables.csvfile import UniqueRows, read_rows, to_cell
from trapmeter.tables.species_names import canonical_name, is_animal
from trapmeter.tables.times import TimeReader, hour_of_day, hour_or_time
from trapmeter.tables.wildlife_insights import read_survey_rows


@dataclass(frozen=True, slots=True)
class ActivityTime:
    """The hour of the day (0 up to 24) at which an animal was recorded, and the site, "" when it isn't known.

    label: text of the column that was asked for, such as the species.
    """

    hour: float
    site_id: str = ""
    label: str = ""


def read_activity_times(
    path: str | Path,
    *,
    species: str | None = None,
    species_column: str | None = None,
    label_column: str | None = None,
    zone: tzinfo | None = None,
    zones: Mapping[str, tzinfo] = MappingProxyType({}),
) -> list[ActivityTime]:
    """Reads a CSV file with time (14:05, 14:05:30, or a date and time such as 2024-05-01T14:05:30) and optionally site_id.

    A time without a zone is local. The hour of an instant is that of a clock in `zone`; without it in the zone of the site's
    deployments; or else in the zone that the times carry, if they all carry the same.

    Args:
        path: the CSV file.
        species: with species_column, only its rows count.
        species_column: the column of the species; None takes all rows.
        label_column: a column whose text each time keeps.
        zone: the zone whose hours count.
        zones: of the deployments of each site.

    Raises:
        InputError: a column is missing, a cell is not a time, or times carry different zones, or only some of them carry one,
            and none was named; names file, line and column.
    """
    required = ["time", *(column for column in (species_column, label_column) if column is not None)]
    common = next(iter(set(zones.values()))) if len(set(zones.values())) == 1 else None
    times, first = [], None
    for row in read_rows(path, required=required):
        name = canonical_name(row.optional_text("species") if species_column is None else row.text(species_column))
        if not is_animal(name) or (species_column is not None and name != canonical_name(species or "")):
            continue
        site_id, time = row.optional_text("site_id"), hour_or_time(row, "time")
        known_zone = zone or zones.get(site_id, common)
        own_zone = time.utcoffset() if isinstance(time, datetime) else None
        if known_zone is None:
            first = first or (own_zone, row.where)
            if first[0] != own_zone:
                raise InputError(
                    f"{row.where}, column 'time': {row.text('time')!r} has another zone than the time in {first[1]}, or only "
                    "one of them has a zone, so their hours of the day can't be compared; name the zone in which animals "
                    "were recorded with --timezone, such as --timezone Europe/Berlin"
                )
        hour = hour_of_day(time, known_zone) if isinstance(time, datetime) else time
        times.append(ActivityTime(hour, site_id, "" if label_column is None else row.text(label_column)))
    return times


def read_media_starts(path: str | Path, times: TimeReader | None = None) -> dict[str, datetime]:
    """Reads a CSV file with media_id and start, the date and time at which each video or photo starts.

    The images.csv of a Wildlife Insights download is read as well.

    times: reads the times of this table and of those that are compared with it.

    Raises:
        InputError: a column is missing, a cell is not a date and time, a time can't be compared with those that `times` read
            before, or a medium appears twice.
    """
    times = times or TimeReader()
    starts: dict[str, datetime] = {}
    media = UniqueRows()
    for row in read_survey_rows(path, required=("media_id", "start"), one_per_image=True):
        name = row.text("media_id")
        media.check(row, name, name)
        starts[name] = times.read(row, "start")
    return starts


def read_excluded_animals(path: str | Path) -> set[tuple[str, int | None]]:
    """Reads a CSV file with media_id and optionally animal_id: animals that don't count. None stands for all of a medium.

    Raises:
        InputError: the column media_id is missing, or an animal_id is not a whole number.
    """
    return {
        (row.text("media_id"), row.optional_count("animal_id", "nothing for all animals of the medium"))
        for row in read_rows(path, required=("media_id",))
    }


def write_excluded_animals(path: Path, animals: Iterable[tuple[str, int | None]]) -> None:
    """Writes the table that `read_excluded_animals` reads, in the order given.

    Raises:
        RunError: the file can't be written.
    """
    with atomic_file(path) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("media_id", "animal_id"))
        writer.writerows((to_cell(media_id), animal_id or "") for media_id, animal_id in animals)
