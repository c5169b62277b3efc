"""Whether media were looked at as often as effort counts snapshots: else density is too low by what nobody looked at."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

from trapmeter.density.sites import Site
from trapmeter.errors import InputError
from trapmeter.media.find import kind_of
from trapmeter.records import Estimate, MediumKind
from trapmeter.tables.distances import run_facts

SAME_TIME_S = 1e-3
ROUNDING_S = 1e-5
"""Moments of `predict --every` are written to a microsecond; those of a table of times may have fewer decimals."""


def is_video(media_id: str) -> bool:
    """Whether a medium is a video, by the end of its name."""
    return kind_of(Path(media_id)) is MediumKind.VIDEO


def check_spacing(path: Path, estimates: Sequence[Estimate], sites: Mapping[str, Site], notes: list[str]) -> None:
    """Refuses effort that counts more snapshots than were looked at; notes where nobody can tell.

    A site's moments lie as far apart as the closest in one of its media. Where videos have one moment each, the run.json
    beside the table tells. Moments at odd distances were given by a table, where a snapshot need not be a multiple.

    Raises:
        InputError: moments of a site are farther apart than its snapshots, or snapshots lie between them.
    """
    times: dict[str, dict[str, set[float]]] = defaultdict(lambda: defaultdict(set))
    for one in estimates:
        times[one.observation.site_id][one.observation.media_id].add(one.observation.time_s)
    every_s = _every_s(path)
    untold = []
    for site_id in [name for name in times if name in sites]:
        gaps = [b - a for moments in times[site_id].values() for a, b in pairwise(sorted(moments))]
        if not gaps and any(map(is_video, times[site_id])):
            if every_s is None:
                untold.append(site_id)
            else:
                gaps = [every_s]
        if gaps:
            _check(path, site_id, sites[site_id].snapshot_s, gaps)
    if untold:
        others = f" and {len(untold) - 1:,} others" if len(untold) > 1 else ""
        snapshot_s = sites[untold[0]].snapshot_s
        notes.append(
            f"effort counts a snapshot every {snapshot_s:g} s, but each video of site {untold[0]!r}{others} was looked at "
            f"once: density is too low where videos last longer; measure them anew with --every {snapshot_s:g}"
        )


def _check(path: Path, site_id: str, snapshot_s: float, gaps: Sequence[float]) -> None:
    apart = min(gaps)
    said = f"{path}: moments of site {site_id!r} lie {apart:g} s apart, but its effort counts a snapshot every "
    said += f"{snapshot_s:g} s"
    if apart > snapshot_s + SAME_TIME_S:
        raise InputError(f"{said}; measure anew with --every {snapshot_s:g}, or give snapshot_s = {apart:g}")
    is_regular = all(_off(gap, apart) < ROUNDING_S for gap in gaps)
    if is_regular and _off(snapshot_s, apart) > SAME_TIME_S:
        below = snapshot_s // apart * apart
        raise InputError(
            f"{said}, of which some lie between two moments, where nobody looked; measure anew with --every "
            f"{snapshot_s:g}, or give snapshot_s = {below:g} or {below + apart:g}, multiples of {apart:g}"
        )


def _off(length_s: float, unit_s: float) -> float:
    """How far a length is from a multiple of the unit, seconds."""
    return abs(length_s / unit_s - round(length_s / unit_s)) * unit_s


def _every_s(path: Path) -> float | None:
    """The spacing that the run beside the table was asked for; None where nobody knows, or a table gave the times."""
    arguments = run_facts(path).get("arguments")
    if not isinstance(arguments, dict) or arguments.get("times") is not None:
        return None
    every_s = arguments.get("every_s")
    return every_s if isinstance(every_s, int | float) and every_s > 0 else None
