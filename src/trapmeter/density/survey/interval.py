"""Checks that effort counts no more snapshots than were measured: the interval between them against the measured times.

Effort counts a snapshot at every interval while a camera worked. If fewer times were measured than that, density is too low
by the snapshots that were never processed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

from trapmeter.density.survey.effort import StationEffort
from trapmeter.errors import InputError
from trapmeter.media.discovery import medium_kind
from trapmeter.records import Estimate, MediumKind
from trapmeter.tables.distances import read_run_facts

TIME_TOLERANCE_S = 1e-3
ROUNDING_TOLERANCE_S = 1e-5
"""`predict --every` writes times to a microsecond; a table of times may have fewer decimals."""


def is_video(media_id: str) -> bool:
    """Whether a medium is a video, by the suffix of its name."""
    return medium_kind(Path(media_id)) is MediumKind.VIDEO


def check_snapshot_interval(
    path: Path, estimates: Sequence[Estimate], sites: Mapping[str, StationEffort]
) -> tuple[str, ...]:
    """Refuses effort with more snapshots than were measured; returns a note on sites for which that can't be checked.

    The interval between a site's measured times is the shortest one within any of its media. If its videos have one time
    each, the run.json beside the table gives the interval. Irregular times come from a table of times; then a snapshot
    needn't be a multiple.

    Raises:
        InputError: the times of a site are farther apart than its snapshots, or snapshots lie between them.
    """
    times: dict[str, dict[str, set[float]]] = defaultdict(lambda: defaultdict(set))
    for estimate in estimates:
        observation = estimate.observation
        times[observation.site_id][observation.media_id].add(observation.time_s)
    every_s = _read_every_s(path)
    unchecked = []
    for site_id in [name for name in times if name in sites]:
        gaps = [b - a for media_times in times[site_id].values() for a, b in pairwise(sorted(media_times))]
        if not gaps and any(map(is_video, times[site_id])):
            if every_s is None:
                unchecked.append(site_id)
            else:
                gaps = [every_s]
        if gaps:
            _check_station_interval(path, site_id, sites[site_id].snapshot_s, gaps)
    if not unchecked:
        return ()
    others = f" and {len(unchecked) - 1:,} others" if len(unchecked) > 1 else ""
    snapshot_s = sites[unchecked[0]].snapshot_s
    return (
        f"effort counts a snapshot every {snapshot_s:g} s, but each video of site {unchecked[0]!r}{others} was measured "
        f"once: density is too low if videos last longer; measure them again with --every {snapshot_s:g}",
    )


def _check_station_interval(path: Path, site_id: str, snapshot_s: float, gaps: Sequence[float]) -> None:
    shortest = min(gaps)
    problem = (
        f"{path}: the measured times of site {site_id!r} are {shortest:g} s apart, but its effort counts a snapshot "
    )
    problem += f"every {snapshot_s:g} s"
    if shortest > snapshot_s + TIME_TOLERANCE_S:
        raise InputError(f"{problem}; measure again with --every {snapshot_s:g}, or give snapshot_s = {shortest:g}")
    is_regular = all(offset_from_multiple_s(gap, shortest) < ROUNDING_TOLERANCE_S for gap in gaps)
    if is_regular and offset_from_multiple_s(snapshot_s, shortest) > TIME_TOLERANCE_S:
        below = snapshot_s // shortest * shortest
        raise InputError(
            f"{problem}, so some snapshots lie between two measured times; measure again with --every {snapshot_s:g}, or "
            f"give snapshot_s = {below:g} or {below + shortest:g}, multiples of {shortest:g}"
        )


def offset_from_multiple_s(time_s: float, unit_s: float) -> float:
    """The distance of a time or length from the nearest multiple of the unit, seconds."""
    return abs(time_s / unit_s - round(time_s / unit_s)) * unit_s


def _read_every_s(path: Path) -> float | None:
    """The --every of the run beside the table; None if it is unknown or a table gave the times."""
    arguments = read_run_facts(path).get("arguments")
    if not isinstance(arguments, dict) or arguments.get("times") is not None:
        return None
    every_s = arguments.get("every_s")
    return every_s if isinstance(every_s, int | float) and every_s > 0 else None
