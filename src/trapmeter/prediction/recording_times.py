"""Finds out when each medium of a run was taken: from tables, from the media's Camtrap DP, from the files and their names."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, tzinfo
from pathlib import PurePosixPath

from trapmeter.errors import InputError
from trapmeter.media.discovery import medium_kind
from trapmeter.prediction.medium_result import MediumResult
from trapmeter.prediction.settings import PredictSettings
from trapmeter.prediction.sources import Sources
from trapmeter.records import Medium, MediumKind
from trapmeter.tables.clock_offsets import read_site_offsets
from trapmeter.tables.density_inputs import read_media_starts
from trapmeter.tables.deployments import read_deployments
from trapmeter.tables.file_names import NameIndex
from trapmeter.tables.medium_times import MediumTime, TimeSource
from trapmeter.tables.times import TimeReader, in_clock_of, is_clock_set, time_in_name, time_of_file


@dataclass(frozen=True, slots=True)
class Stay:
    """A camera at a site from start to end; clock_offset: what must be added to its times, None if that isn't stated."""

    start: datetime
    end: datetime
    clock_offset: timedelta | None = None

    def contains(self, time: datetime) -> bool:
        """Whether the camera stood there at this time; False if one of the times has a zone and the other none."""
        return can_compare(self.start, time) and self.start <= time <= self.end


@dataclass(frozen=True, slots=True)
class TimeInputs:
    """What is known of times before any medium is opened.

    zone: of times that carry none. table, package: when media were taken, by media_id. events: the events of the package, by
    media_id, and package_deployments the ids of its deployments. stays: the deployments of each site, by start. offsets: of
    the clocks, by site.
    """

    zone: tzinfo | None = None
    table: Mapping[str, datetime] = field(default_factory=dict)
    package: Mapping[str, datetime] = field(default_factory=dict)
    events: Mapping[str, str] = field(default_factory=dict)
    package_deployments: Mapping[str, str] = field(default_factory=dict)
    stays: Mapping[str, tuple[Stay, ...]] = field(default_factory=dict)
    offsets: Mapping[str, timedelta] = field(default_factory=dict)

    def stay_of(self, medium: MediumTime) -> Stay | None:
        """The deployment in which a medium was taken, None if it isn't known."""
        time = medium.taken_at
        stays = self.stays.get(medium.site_id, ())
        return None if time is None else next((stay for stay in stays if stay.contains(time)), None)


def can_compare(a: datetime, b: datetime) -> bool:
    """Whether both times have a zone, or none has."""
    return (a.tzinfo is None) == (b.tzinfo is None)


def read_time_inputs(settings: PredictSettings, media: Sequence[Medium], sources: Sources) -> TimeInputs:
    """Reads the tables of the settings.

    Raises:
        InputError: a table is not as expected, names none of the media, or an offset is for a site that doesn't exist.
    """
    times = TimeReader(settings.timezone)
    stays: dict[str, list[Stay]] = defaultdict(list)
    if settings.deployments is not None:
        for row in read_deployments(settings.deployments, times):
            stays[row.site_id].append(Stay(row.start, row.end, row.clock_offset))
    else:
        for deployment in sources.deployments:
            stays[deployment.site_id].append(Stay(deployment.start, deployment.end))
    sites = {medium.site_id for medium in media} - {""}
    offsets = {} if settings.cameras is None else read_site_offsets(settings.cameras)
    for given in settings.clock_offset:
        if given.site_id not in sites:
            known = f"the sites are {', '.join(sorted(sites)[:8])}" if sites else "the media have no site; give --site"
            raise InputError(f"--clock-offset: there is no site {given.site_id!r}; {known}")
        offsets[given.site_id] = given.offset
    return TimeInputs(
        settings.timezone,
        {} if settings.media_times is None else _read_table(settings, [medium.media_id for medium in media], times),
        sources.starts,
        sources.events,
        {} if settings.deployments is not None else sources.deployment_of,
        {site_id: tuple(sorted(found, key=lambda stay: stay.start)) for site_id, found in stays.items()},
        offsets,
    )


def _read_table(settings: PredictSettings, names: Sequence[str], times: TimeReader) -> dict[str, datetime]:
    path = settings.media_times
    assert path is not None, "the caller checks it"
    by_name = read_media_starts(path, times)
    found = {name: by_name[entry] for name, entry in NameIndex(by_name).match(names, path).items()}
    if not found:
        raise InputError(
            f"{path}: none of its {len(by_name)} names is one of the media; it names {next(iter(by_name), 'none')}, and the "
            f"first medium is {names[0]}"
        )
    return found


def find_times(media: Iterable[MediumResult], site_ids: Mapping[str, str], inputs: TimeInputs) -> list[MediumTime]:
    """When each medium was taken, as far as anything says, in the order given. No medium fails because of its time."""
    return [_find_time(medium, site_ids.get(medium.media_id, ""), inputs) for medium in media]


def _find_time(medium: MediumResult, site_id: str, inputs: TimeInputs) -> MediumTime:
    time, source = _stated_time(medium, inputs)
    if time is None or source is None:
        return MediumTime(medium.media_id, site_id)
    offset = timedelta()
    try:
        time = in_clock_of(time, inputs.zone)
        if source.is_by_clock:
            offset = _clock_offset(time, site_id, inputs)
            time = in_clock_of(time + offset, inputs.zone)
    except OverflowError:
        return MediumTime(medium.media_id, site_id, note=f"the time {time.isoformat()} is out of range")
    return MediumTime(medium.media_id, site_id, time, source, offset)


def _stated_time(medium: MediumResult, inputs: TimeInputs) -> tuple[datetime | None, TimeSource | None]:
    """The most trusted time; one by a clock that was not set counts only if there is no other."""
    media_id = medium.media_id
    if media_id in inputs.table:
        return inputs.table[media_id], TimeSource.TABLE
    if media_id in inputs.package:
        return inputs.package[media_id], TimeSource.CAMTRAP_DP
    is_photo = medium_kind(PurePosixPath(media_id)) is MediumKind.PHOTO
    stated = [
        (time_of_file(medium.recorded), TimeSource.EXIF if is_photo else TimeSource.CONTAINER),
        (time_in_name(media_id), TimeSource.FILE_NAME),
    ]
    known = [(time, source) for time, source in stated if time is not None]
    return next((entry for entry in known if is_clock_set(entry[0])), known[0] if known else (None, None))


def _clock_offset(time: datetime, site_id: str, inputs: TimeInputs) -> timedelta:
    """The offset of a site's clock: the site's own, or that of the only deployment into which it brings the time."""
    if site_id in inputs.offsets:
        return inputs.offsets[site_id]
    stays = inputs.stays.get(site_id, ())
    offsets = {stay.clock_offset or timedelta() for stay in stays}
    if len(offsets) > 1:
        offsets = {offset for stay in stays if stay.contains(time + (offset := stay.clock_offset or timedelta()))}
    return offsets.pop() if len(offsets) == 1 else timedelta()
