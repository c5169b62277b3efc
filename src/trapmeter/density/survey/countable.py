"""Which measured animals count: those at snapshots, while cameras worked, once each, and not excluded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from pathlib import Path

from trapmeter.density.survey.effort import StationEffort, keep_one_medium_per_interval
from trapmeter.density.survey.interval import TIME_TOLERANCE_S, is_video, offset_from_multiple_s
from trapmeter.records import Estimate

Excluded = set[tuple[str, int | None]]
"""Media and animals in them; None for all animals of a medium."""


def keep_at_snapshots(rows: Iterable[Estimate], sites: Mapping[str, StationEffort]) -> list[Estimate]:
    """The rows at a multiple of their site's snapshot interval."""

    def is_at_snapshot(estimate: Estimate) -> bool:
        interval_s = sites[estimate.observation.site_id].snapshot_s
        return offset_from_multiple_s(estimate.observation.time_s, interval_s) < TIME_TOLERANCE_S

    return [estimate for estimate in rows if is_at_snapshot(estimate)]


def drop_duplicates(rows: Iterable[Estimate]) -> list[Estimate]:
    """The first row of each animal at each time; animals without a number, in frames measured as one, count as one."""
    first: dict[tuple[str, float, int | None], Estimate] = {}
    for estimate in rows:
        observation = estimate.observation
        first.setdefault((observation.media_id, observation.time_s, observation.animal_id), estimate)
    return list(first.values())


def note_unknown_names(excluded: Excluded, estimates: Iterable[Estimate], path: Path) -> tuple[str, ...]:
    """A note on names that match no row: probably typing errors, whose animals still count."""
    observations = {estimate.observation for estimate in estimates}
    known = {(row.media_id, row.animal_id) for row in observations} | {(row.media_id, None) for row in observations}
    unknown = sorted(excluded - known, key=str)
    if not unknown:
        return ()
    media_id, animal_id = unknown[0]
    animal = "" if animal_id is None else f", animal {animal_id}"
    return (
        f"{len(unknown):,} of {len(excluded):,} names in {path.name} match no row of the distances, such as "
        f"{media_id}{animal}; correct them, because the animals still count",
    )


def drop_excluded(rows: Iterable[Estimate], excluded: Excluded) -> list[Estimate]:
    """The rows of other animals and media."""
    return [
        estimate
        for estimate in rows
        if not {(estimate.observation.media_id, None), (estimate.observation.media_id, estimate.observation.animal_id)}
        & excluded
    ]


def keep_while_working(
    rows: Iterable[Estimate], sites: Mapping[str, StationEffort], starts: Mapping[str, datetime]
) -> list[Estimate]:
    """The rows at times when a camera worked, and those whose time isn't known."""

    def is_while_working(estimate: Estimate) -> bool:
        observation = estimate.observation
        start = starts.get(observation.media_id)
        return start is None or sites[observation.site_id].works_at(start + timedelta(seconds=observation.time_s))

    return [estimate for estimate in rows if is_while_working(estimate)]


def is_of_video(estimate: Estimate) -> bool:
    """Whether a row is of a video rather than a photo."""
    return bool(estimate.observation.time_s) or is_video(estimate.observation.media_id)


def keep_first_photos(
    rows: Iterable[Estimate], sites: Mapping[str, StationEffort], starts: Mapping[str, datetime]
) -> list[Estimate]:
    """All rows of videos and of photos without a known time, and those of the first photo in each snapshot interval."""
    rows = list(rows)
    photos = [row for row in rows if not is_of_video(row) and row.observation.media_id in starts]
    kept = set(map(id, rows)) - set(map(id, photos))
    # Times with and without a zone can't be compared.
    for has_zone in (False, True):
        first = keep_one_medium_per_interval(
            [row for row in photos if (starts[row.observation.media_id].tzinfo is not None) == has_zone],
            lambda row: (row.observation.site_id, starts[row.observation.media_id], row.observation.media_id),
            lambda site_id: sites[site_id].snapshot_s,
        )
        kept |= set(map(id, first))
    return [row for row in rows if id(row) in kept]
