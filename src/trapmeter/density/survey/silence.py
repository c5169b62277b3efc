"""Silent stretches: times without any photo or video at a site whose camera is said to have worked.

A camera that stopped counts no animals, so its effort must end there. But the absence of media may also be the absence of
animals. Each stretch is therefore judged against the site's own rhythm. If the camera takes pictures at regular times
(time-lapse, or a test photograph every day), three missing ones are clear. Otherwise a stretch is doubtful if it is so long
that visits at random, as many as the site had, would rarely leave it: of n gaps between random visits, one takes a share x of
their sum with a probability of n (1 - x) ** (n - 1) at most (Fisher 1929).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import pairwise

from trapmeter.tables.deployments import Deployment, Period

MISSED_PICTURES = 3
"""So many regular pictures must be missing for a clear stretch."""
FEWEST_REGULAR = 10
REGULAR_SHARE, LONGER_SHARE = 0.2, 0.02
"""Of the gaps of a minute or more, the least share that has one length, and the largest share that is longer, if pictures are
taken at regular times; triggers come in between."""
SAME_GAP = 0.01
"""Gaps that differ by less than this share are of one length."""
ALL_REGULAR = 0.8
"""The least share of gaps of one length if photographs are those of a time-lapse camera alone."""
ONE_VISIT_S = 1800.0
"""Media within this time are of one visit; their gaps tell nothing about silence."""
LEAST_DOUBTFUL_S = 86_400.0
RARELY = 0.01
"""A stretch is doubtful if so long a gap is less probable than this."""
MAX_LISTED = 5


class SilenceRule(StrEnum):
    """Which silent stretches are no effort."""

    CLEAR = "clear"
    """Those of cameras that take pictures at regular times, and then took none."""
    ALL = "all"
    """The doubtful ones too."""
    NONE = "none"
    """None; they are only named."""


@dataclass(frozen=True, slots=True)
class Silence:
    """A silent stretch at a site. working_s: its length in the hours in which the camera worked."""

    site_id: str
    period: Period
    working_s: float
    is_clear: bool


def regular_gap_s(gaps_s: Sequence[float]) -> float | None:
    """The interval at which a camera takes pictures, with or without triggers in between; None without a rhythm.

    gaps_s: between its media, seconds.
    """
    long = [gap for gap in gaps_s if gap >= 60]
    if len(long) < FEWEST_REGULAR:
        return None
    usual = Counter(round(math.log(gap) / SAME_GAP) for gap in long).most_common(1)[0][0]
    same = sorted(gap for gap in long if abs(round(math.log(gap) / SAME_GAP) - usual) <= 1)
    interval_s = same[len(same) // 2]
    n_longer = sum(gap > interval_s * (1 + 2 * SAME_GAP) + 2 for gap in long)
    is_regular = (
        len(same) >= max(FEWEST_REGULAR, REGULAR_SHARE * len(long)) and n_longer <= LONGER_SHARE * len(long) + 2
    )
    return interval_s if is_regular else None


def find_silences(
    deployments: Iterable[Deployment], media: Mapping[str, Sequence[datetime]], *, regular_s: Mapping[str, float]
) -> list[Silence]:
    """The clear and the doubtful stretches of all sites.

    Args:
        deployments: of all sites.
        media: the times of all media of each site; sites without any may be missing.
        regular_s: sites whose cameras take pictures at regular times, and the interval.
    """
    return [
        silence
        for deployment in deployments
        for silence in _of_deployment(
            deployment,
            sorted(filter(deployment.is_working_at, media.get(deployment.site_id, ()))),
            regular_s.get(deployment.site_id),
        )
    ]


def judge_silence(
    deployments: Sequence[Deployment],
    media: Mapping[str, Sequence[datetime]],
    rule: SilenceRule,
    *,
    snapshot_s: float | None,
    is_photos: bool,
) -> tuple[list[Deployment], tuple[str, ...]]:
    """The deployments without the silent stretches that are no effort, and notes on them and on regular photographs.

    Args:
        deployments: of all sites.
        media: the times of all media of each site.
        rule: which stretches are no effort.
        snapshot_s: the interval for deployments that don't state it. Where there is none, effort follows from triggers, and
            any regular pictures show that the camera worked; else only pictures of that interval do.
        is_photos: whether all media are photographs.
    """
    told = {deployment.site_id: deployment.snapshot_s or snapshot_s for deployment in deployments}
    regular_s: dict[str, float] = {}
    other: dict[str, float] = {}
    for site_id, interval_s in told.items():
        gaps_s = [(after - before).total_seconds() for before, after in pairwise(sorted(media.get(site_id, ())))]
        found_s = regular_gap_s(gaps_s)
        if found_s is None:
            continue
        if interval_s is None or abs(found_s - interval_s) <= 2 * SAME_GAP * interval_s + 1:
            regular_s[site_id] = found_s
        elif is_photos and found_s > interval_s and _count_same(gaps_s, found_s) >= ALL_REGULAR * len(gaps_s):
            other[site_id] = found_s
    shorter, notes = leave_out_silences(deployments, find_silences(deployments, media, regular_s=regular_s), rule)
    return shorter, (*notes, *_note_other_interval(other, told))


def _count_same(gaps_s: Sequence[float], interval_s: float) -> int:
    return sum(abs(gap - interval_s) <= 2 * SAME_GAP * interval_s + 1 for gap in gaps_s)


def _note_other_interval(other: Mapping[str, float], told: Mapping[str, float | None]) -> Iterator[str]:
    for site_id, found_s in list(other.items())[:1]:
        others = f" and {len(other) - 1:,} other sites" if len(other) > 1 else ""
        yield (
            f"the photographs of site {site_id!r}{others} come every {found_s:,.4g} s, as those of a time-lapse camera, but "
            f"effort counts a snapshot every {told[site_id]:,.4g} s: density is too low if no more photographs were taken; "
            f"give snapshot_s = {found_s:.4g}"
        )


def _of_deployment(deployment: Deployment, times: Sequence[datetime], regular_s: float | None) -> Iterator[Silence]:
    ends = [deployment.start, *times, deployment.end]
    stretches = [(before, after) for before, after in pairwise(ends) if after > before]
    lengths_s = [_working_s(deployment, stretch) for stretch in stretches]
    visits = [length for length in lengths_s if length >= ONE_VISIT_S]
    for period, length_s in zip(stretches, lengths_s, strict=True):
        if regular_s is not None:
            if length_s > MISSED_PICTURES * regular_s:
                # The camera worked until the first picture that is missing.
                start = period[0] + timedelta(seconds=regular_s if period[0] in times else 0)
                yield Silence(deployment.site_id, (min(start, period[1]), period[1]), length_s, is_clear=True)
            continue
        if length_s >= LEAST_DOUBTFUL_S and (not times or _chance(length_s, visits) < RARELY):
            yield Silence(deployment.site_id, period, length_s, is_clear=False)


def _chance(length_s: float, visits: Sequence[float]) -> float:
    """How probable a gap of this length is among the gaps between random visits."""
    return len(visits) * (1 - length_s / math.fsum(visits)) ** (len(visits) - 1)


def _working_s(deployment: Deployment, period: Period) -> float:
    return replace(deployment, start=period[0], end=period[1]).with_gaps(()).working_s()


def leave_out_silences(
    deployments: Sequence[Deployment], silences: Sequence[Silence], rule: SilenceRule
) -> tuple[list[Deployment], tuple[str, ...]]:
    """The deployments without the stretches that the rule names, and a note on each kind of stretch."""
    leaves_out = {True: rule is not SilenceRule.NONE, False: rule is SilenceRule.ALL}
    without: dict[str, list[Period]] = {}
    for silence in silences:
        if leaves_out[silence.is_clear]:
            without.setdefault(silence.site_id, []).append(silence.period)
    total_s = math.fsum(deployment.working_s() for deployment in deployments)
    notes = tuple(
        _note(found, total_s, is_left_out=leaves_out[is_clear])
        for is_clear in (True, False)
        if (found := [silence for silence in silences if silence.is_clear is is_clear])
    )
    return [deployment.with_gaps(without.get(deployment.site_id, ())) for deployment in deployments], notes


def _note(silences: Sequence[Silence], total_s: float, *, is_left_out: bool) -> str:
    share = math.fsum(silence.working_s for silence in silences) / total_s
    longest = sorted(silences, key=lambda silence: -silence.working_s)[:MAX_LISTED]
    listed = ", ".join(
        f"{silence.site_id!r} from {silence.period[0]:%Y-%m-%d %H:%M} to {silence.period[1]:%Y-%m-%d %H:%M} "
        f"({silence.working_s / 86_400:.1f} days)"
        for silence in longest
    )
    listed += f", and {len(silences) - len(longest):,} others" if len(silences) > len(longest) else ""
    is_clear = silences[0].is_clear
    what = "stretches without the regular pictures" if is_clear else "unusually long stretches without any media"
    text = f"{len(silences):,} {what}, {share:.1%} of the effort: {listed}. "
    if is_left_out:
        return f"{text}They are no effort (--silence none counts them)"
    if is_clear:
        return f"{text}They count as effort; leave out --silence none if the cameras had stopped"
    return (
        f"{text}They count as effort, since no animal may have passed. If the cameras had stopped, name the times in a table "
        "(--gaps), or leave out all such stretches (--silence all): otherwise density is too low"
    )
