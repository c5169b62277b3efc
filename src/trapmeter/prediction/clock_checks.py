"""Finds clocks of cameras that are wrong, or seem to be: never set, set back, in the future, of two cameras at one site."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import PurePosixPath

from trapmeter.media.discovery import medium_kind
from trapmeter.prediction.recording_times import TimeInputs, can_compare
from trapmeter.records import MediumKind
from trapmeter.tables.medium_times import MediumTime, TimeSource

FUTURE_TOLERANCE = timedelta(days=1)
"""Zones differ by up to a day."""
BACK_TOLERANCE = timedelta(minutes=1)
"""A camera may store a picture a little before an earlier one, and a container counts from its end."""
MAX_BACK_SHARE = 0.1
"""If the times go back after more names than this share, the names are no counter."""
MAX_LISTED = 5

NOT_SET, FUTURE, OUTSIDE = "the clock was not set", "in the future", "outside of the deployments of its site"
_WORDS = {
    NOT_SET: "the clock was not set (a year before 1990, or 2000), so only differences between its times are used",
    FUTURE: "the time is in the future",
    OUTSIDE: "the time is outside of the site's deployments",
}
_DIGITS = re.compile(r"\d+")


def check_clocks(
    media: Sequence[MediumTime], cameras: Mapping[str, str], inputs: TimeInputs, now: datetime
) -> tuple[list[MediumTime], tuple[str, ...]]:
    """The media with what is doubtful about their times, and notes for the user on the sites concerned.

    cameras: the camera that took a medium, by media_id, as far as the file says. now: an instant.
    """
    problems = {medium.media_id: problem for medium in media if (problem := _problem(medium, inputs, now))}
    notes = [
        f"{_WORDS[kind]}: {_listing(medium for medium in media if problems.get(medium.media_id) == kind)}; "
        f"{'correct the times, or the deployments' if kind == OUTSIDE else '--clock-offset mends times'}"
        for kind in _WORDS
        if kind in problems.values()
    ]
    back = {}
    for before, after in _jumps_back(media, cameras):
        back[after.media_id] = (
            f"the clock went back by {_gap(before, after)} after {PurePosixPath(before.media_id).name}"
        )
    if back:
        jumped = [medium for medium in media if medium.media_id in back]
        notes.append(f"times go back where the names go on: {_listing(jumped)}; check the clock")
    for site_id, found in sorted(find_mixed_sites(media, cameras).items()):
        notes.append(
            f"the times of {len(found)} cameras interleave at {site_id}: {', '.join(found)}; each has events of its own. "
            "Give each camera its own site, or its own folder and --site"
        )
    notes += _zone_notes(media)
    checked = []
    for medium in media:
        texts = medium.note, problems.get(medium.media_id), back.get(medium.media_id)
        checked.append(replace(medium, note="; ".join(filter(None, texts))))
    return checked, tuple(notes)


def find_mixed_sites(media: Iterable[MediumTime], cameras: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """The cameras of each site where several took media in turns; one camera that took another's place is left out."""
    taken: dict[tuple[str, bool], list[tuple[datetime, str]]] = defaultdict(list)
    for medium in media:
        # A video names its camera otherwise than a photo of the same camera does.
        is_photo = medium_kind(PurePosixPath(medium.media_id)) is MediumKind.PHOTO
        camera = cameras.get(medium.media_id) if is_photo else ""
        if medium.site_id and medium.taken_at is not None and camera:
            taken[medium.site_id, medium.taken_at.tzinfo is None].append((medium.taken_at, camera))
    mixed: dict[str, tuple[str, ...]] = {}
    for (site_id, _), found in taken.items():
        names = sorted({camera for _, camera in found})
        n_changes = sum(before[1] != after[1] for before, after in pairwise(sorted(found)))
        if n_changes > len(names) - 1:
            mixed[site_id] = tuple(names)
    return mixed


def _problem(medium: MediumTime, inputs: TimeInputs, now: datetime) -> str:
    time, stays = medium.taken_at, inputs.stays.get(medium.site_id, ())
    if time is None:
        return ""
    if not medium.is_date_known:
        return NOT_SET
    if time.replace(tzinfo=time.tzinfo or UTC) > now + FUTURE_TOLERANCE:
        return FUTURE
    is_outside = stays and can_compare(stays[0].start, time) and inputs.stay_of(medium) is None
    return OUTSIDE if is_outside else ""


def _jumps_back(media: Sequence[MediumTime], cameras: Mapping[str, str]) -> Iterator[tuple[MediumTime, MediumTime]]:
    """Pairs of media that follow each other by the counter in their names, and whose times go back."""
    series: dict[tuple[object, ...], list[tuple[list[int], MediumTime]]] = defaultdict(list)
    for medium in media:
        name = PurePosixPath(medium.media_id)
        numbers = [int(digits) for digits in _DIGITS.findall(name.name)]
        is_by_file = medium.source in (TimeSource.EXIF, TimeSource.CONTAINER)
        if numbers and is_by_file and medium.is_date_known and medium.taken_at is not None:
            is_local = medium.taken_at.tzinfo is None
            camera = cameras.get(medium.media_id, "")
            key = medium.site_id, name.parent, _DIGITS.sub("#", name.name), camera, is_local
            series[key].append((numbers, medium))
    for numbered in series.values():
        ordered = [medium for _, medium in sorted(numbered, key=lambda entry: entry[0])]
        back = [(a, b) for a, b in pairwise(ordered) if _seconds(a, b) < -BACK_TOLERANCE.total_seconds()]
        if len(back) <= max(1, MAX_BACK_SHARE * len(ordered)):
            yield from back


def _seconds(before: MediumTime, after: MediumTime) -> float:
    assert before.taken_at is not None, "only media with a time are in a series"
    assert after.taken_at is not None, "only media with a time are in a series"
    return (after.taken_at - before.taken_at).total_seconds()


def _gap(before: MediumTime, after: MediumTime) -> str:
    return str(timedelta(seconds=round(-_seconds(before, after))))


def _listing(media: Iterable[MediumTime]) -> str:
    """The sites, each with its number of media and the first of them."""
    by_site: dict[str, list[MediumTime]] = defaultdict(list)
    for medium in media:
        by_site[medium.site_id].append(medium)
    texts = []
    for site_id, found in sorted(by_site.items()):
        first = min(found, key=lambda medium: medium.media_id)
        when = "" if first.taken_at is None else f" at {first.taken_at.isoformat(' ')}"
        texts.append(f"{site_id or 'no site'} ({len(found):,} media, the first {first.media_id}{when})")
    more = f" and {len(texts) - MAX_LISTED} more sites" if len(texts) > MAX_LISTED else ""
    return f"{', '.join(texts[:MAX_LISTED])}{more}"


def _zone_notes(media: Iterable[MediumTime]) -> list[str]:
    zoned = [medium.taken_at.tzinfo is not None for medium in media if medium.taken_at is not None]
    if len(set(zoned)) < 2:
        return []
    return [
        f"{zoned.count(False):,} times have no zone and {zoned.count(True):,} have one, so that they can't be compared; name "
        "the zone of the cameras' clocks with --timezone, such as --timezone Europe/Berlin"
    ]
