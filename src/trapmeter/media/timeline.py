"""Decides from packet times alone which packets of a video must be decoded to show given seconds.

A container's frame count, frame rate and seek positions are unreliable; the presentation times (PTS) of its packets are the
only clock. So a video is first demuxed without decoding, which is nearly free, and this module decides from the packets'
times and keyframe flags. Nothing here reads a file.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

MAX_GAP_S = 300.0
"""A longer pause between two pictures means a damaged timestamp."""

MAX_LENGTH_S = 24 * 3600.0
"""Timestamps beyond a day are damaged: no camera trap records that long."""


@dataclass(frozen=True, slots=True)
class Timeline:
    """The packets of a video in decoding order.

    pts: int64 (n,), in units of time_base; is_key: bool (n,); is_shown: bool (n,), False for packets that are only needed to
    decode others; end_pts: when the last picture ends; time_base: seconds per unit; is_exact: whether every packet has its
    presentation time (if not, pts has decoding times, and only decoding in sequence gives the right ones); n_implausible:
    number of packets left out because their times are far from all others.
    """

    pts: NDArray[np.int64]
    is_key: NDArray[np.bool_]
    is_shown: NDArray[np.bool_]
    end_pts: int
    time_base: Fraction
    is_exact: bool = True
    n_implausible: int = 0

    @property
    def start_pts(self) -> int:
        """The time of the first picture, which is second 0."""
        return int(self.pts[self.is_shown].min())

    @property
    def usual_step(self) -> Fraction:
        """The median time from one picture to the next, in seconds."""
        steps = np.diff(np.unique(self.pts[self.is_shown]))
        return (int(np.median(steps)) if len(steps) else self.end_pts - self.start_pts) * self.time_base

    @property
    def length(self) -> Fraction:
        """From the first picture to the end of the last, in seconds."""
        return (self.end_pts - self.start_pts) * self.time_base


@dataclass(frozen=True, slots=True)
class DecodeRun:
    """Packets first..last (inclusive, in decoding order) to decode in sequence, starting with a keyframe.

    targets: the pts of the requested pictures among them, ascending.
    """

    first: int
    last: int
    targets: tuple[int, ...]


PACKET = np.dtype(
    [("pts", np.int64), ("has_pts", np.bool_), ("is_key", np.bool_), ("is_shown", np.bool_), ("duration", np.int64)]
)
"""A packet's pts (valid if has_pts), whether it is a keyframe, whether it is shown or only needed to decode others, and its
duration (0 if unknown); times in units of the stream's time base. Packets are rows of an array, since an hour of video has a
hundred thousand of them."""


def make_timeline(
    packets: NDArray[np.void], time_base: Fraction, rate: Fraction, *, is_exact: bool = True
) -> Timeline | None:
    """The timeline of packets (an array of PACKET, in decoding order); None if none of them is shown.

    Damaged files have times that are far off. Times within MAX_GAP_S of each other form a group; the group with the most
    pictures counts, up to MAX_LENGTH_S from its start. rate: pictures a second, for packets without a time or duration.
    is_exact: False if the packets' times are not those at which pictures are shown.
    """
    is_shown = packets["is_shown"]
    if not is_shown.any():
        return None
    usual = max(1, round(1 / (rate * time_base)))
    pts = _fill_missing_pts(np.clip(packets["pts"], -_FAR, _FAR), packets["has_pts"], usual)
    max_gap = max(1, int(MAX_GAP_S / time_base))
    start, end = _main_group(np.sort(pts[is_shown]), max_gap, int(MAX_LENGTH_S / time_base))
    is_near = is_shown & (pts >= start) & (pts <= end)
    last = int(np.flatnonzero(is_near & (pts == pts[is_near].max()))[-1])
    return Timeline(
        pts=pts,
        is_key=packets["is_key"],
        is_shown=is_near,
        # The last picture's duration may be damaged too, so it is limited to MAX_GAP_S.
        end_pts=int(pts[last]) + min(max(int(packets["duration"][last]) or usual, 1), max_gap),
        time_base=time_base,
        is_exact=is_exact and bool(packets["has_pts"].all()),
        n_implausible=int(is_shown.sum() - is_near.sum()),
    )


def _fill_missing_pts(pts: NDArray[np.int64], has_pts: NDArray[np.bool_], usual: int) -> NDArray[np.int64]:
    """Times for all packets: one without a time follows the one before it directly; the first one starts at 0."""
    number = np.arange(len(pts))
    last_timed = np.maximum.accumulate(np.where(has_pts, number, -1))
    return np.where(last_timed >= 0, pts[last_timed] + (number - last_timed) * usual, number * usual)


_FAR = 2**61


def _main_group(pts: NDArray[np.int64], max_gap: int, max_length: int) -> tuple[int, int]:
    """First and last time of the largest group of ascending times that has no gap above max_gap."""
    edges = [0, *(np.flatnonzero(np.diff(pts) > max_gap) + 1).tolist(), len(pts)]
    first, after = max(pairwise(edges), key=lambda edge: edge[1] - edge[0])
    start = int(pts[first])
    return start, min(int(pts[after - 1]), start + max_length)


def pts_shown_at(timeline: Timeline, times_s: Sequence[float]) -> list[int | None]:
    """The pts of the picture shown at each time: the last one with pts <= time; None past the end.

    For whole seconds these are the pictures that FFmpeg's filter fps=1:round=up returns.
    """
    shown_pts = np.unique(timeline.pts[timeline.is_shown])
    pts: list[int | None] = []
    for time in map(exact_seconds, times_s):
        last_pts = timeline.start_pts + time // timeline.time_base
        is_past = time >= timeline.length
        pts.append(None if is_past else int(shown_pts[np.searchsorted(shown_pts, last_pts, side="right") - 1]))
    return pts


def plan_decoding(timeline: Timeline, targets: Sequence[int]) -> list[DecodeRun]:
    """The least decoding that shows the pictures with the given pts (in any order, repeats allowed).

    A picture needs all packets from the last keyframe before it. Pictures that are stored after a keyframe but shown before
    it (the leading pictures of an open group) may also need the previous group. Adjacent runs are merged: dense requests are
    decoded in sequence, without going back.
    """
    keys = np.flatnonzero(timeline.is_key)
    shown = np.flatnonzero(timeline.is_shown)
    by_time = shown[np.argsort(timeline.pts[shown], kind="stable")]
    distinct = np.unique(np.array(targets, dtype=np.int64))
    # The last of several packets with the same time.
    packets = by_time[np.searchsorted(timeline.pts[by_time], distinct, side="right") - 1]
    runs: list[DecodeRun] = []
    for packet, target in sorted(zip(packets.tolist(), distinct.tolist(), strict=True)):
        group = int(np.searchsorted(keys, packet, side="right")) - 1
        is_leading = group > 0 and target < timeline.pts[keys[group]]
        # Before the first keyframe of a damaged file, the decoder gets everything from the start.
        first = int(keys[group - is_leading]) if group >= 0 else 0
        if runs and first <= runs[-1].last + 1:
            runs[-1] = DecodeRun(runs[-1].first, packet, tuple(sorted((*runs[-1].targets, target))))
        else:
            runs.append(DecodeRun(first, packet, (target,)))
    return runs


def regular_times(length: Fraction, every_s: float) -> list[float]:
    """0, every_s, 2 every_s, ... below length, in seconds; always at least second 0."""
    step = exact_seconds(every_s)
    return [float(i * step) for i in range(max(1, math.ceil(length / step)))]


def exact_seconds(time_s: float) -> Fraction:
    """A time in seconds, rounded to a microsecond: 0.1 has no exact binary form."""
    return Fraction(round(time_s * 1_000_000), 1_000_000)
