"""Finds boxes that are probably things: a leaf, a stump, the strip with the date.

A box is marked, never removed. An animal that sleeps stays in place as well; what tells it from a thing is that the detector
is sure of it, and that it is not there in the site's other videos.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray

from trapmeter.geometry import iou
from trapmeter.media.discovery import medium_kind
from trapmeter.records import STATIC_PREFIX, MediumKind, Observation

# Chosen on real clips of zamba's tests, where things stay at an overlap of 0.92 or more with scores of 0.26 to 0.45, and apes
# that sit at 0.80 with scores of 0.63 or more.
SAME_PLACE_IOU = 0.85
"""Overlap from which two boxes are in the same place."""
LEAST_BOXES, LEAST_S = 5, 5.0
"""How often and for how long a box must be in the same place within a video, seconds."""
UNSURE_SCORE, SURE_SCORE = 0.5, 0.8
"""A box that stays in one video is marked below the first score; one that also recurs in others, below the second."""
LEAST_VIDEOS, LEAST_PHOTOS, LEAST_SHARE = 3, 10, 0.25
"""In how many of a site's other videos or photos, and in which share of them, a box must recur. A burst of photos shows one
animal many times, so photos need more."""
EDGE_STRIP = 0.08
"""Share of the picture's height at its top and bottom in which cameras print date and temperature."""

SAME_BOX_IOU = 0.7
"""Overlap from which `share_repeated_boxes` takes two boxes for the same."""
PRIOR_VIDEOS = 2
"""Videos without the box that are added to the count, so that a few photos of a new site don't decide."""
ROWS_PER_BLOCK = 500


def static_reasons(observations: Sequence[Observation]) -> list[str]:
    """Why each box probably shows a thing, starting with STATIC_PREFIX; "" for those that don't, or without a box.

    Boxes are compared with others of their site; if it is unknown, of their medium.
    """
    reasons = [""] * len(observations)
    sites: dict[tuple[bool, str], list[int]] = defaultdict(list)
    for row, observation in enumerate(observations):
        if observation.box is not None and observation.animal_id:
            sites[observation.site_key].append(row)
    for rows in sites.values():
        for track, reason in _static_tracks(observations, rows):
            for row in track.rows:
                reasons[row] = STATIC_PREFIX + reason
    return reasons


@dataclass(frozen=True, slots=True)
class _Track:
    """An animal's boxes in one medium. box: their median; is_still: nearly all of them are in its place."""

    media_id: str
    rows: tuple[int, ...]
    box: NDArray[np.float64]
    length_s: float
    score: float
    is_still: bool


def _tracks(observations: Sequence[Observation], rows: Sequence[int]) -> list[_Track]:
    by_animal: dict[tuple[str, int], list[int]] = defaultdict(list)
    for row in rows:
        by_animal[observations[row].media_id, observations[row].animal_id].append(row)
    tracks = []
    for (media_id, _), members in by_animal.items():
        boxes = [box for row in members if (box := observations[row].box) is not None]
        corners = np.array([box.xyxy for box in boxes])
        median = np.median(corners, axis=0)
        overlaps = iou(corners, median[None])[:, 0]
        times_s = [observations[row].time_s for row in members]
        score = float(np.median([box.score for box in boxes]))
        is_still = bool(np.quantile(overlaps, 0.1) >= SAME_PLACE_IOU)
        tracks.append(_Track(media_id, tuple(members), median, max(times_s) - min(times_s), score, is_still))
    return tracks


def _static_tracks(observations: Sequence[Observation], rows: Sequence[int]) -> Iterator[tuple[_Track, str]]:
    tracks = _tracks(observations, rows)
    n_recurring = _count_other_media(
        np.array([track.box for track in tracks]), [track.media_id for track in tracks], SAME_PLACE_IOU
    )
    n_others = len({observations[row].media_id for row in rows}) - 1
    for track, n in zip(tracks, n_recurring.tolist(), strict=True):
        if not track.is_still:
            continue
        is_photo = medium_kind(PurePosixPath(track.media_id)) is MediumKind.PHOTO
        if (
            n >= (LEAST_PHOTOS if is_photo else LEAST_VIDEOS)
            and n >= LEAST_SHARE * n_others
            and track.score < SURE_SCORE
        ):
            yield track, f"the same box is in {n} of the site's {n_others} other videos and photos with animals"
        elif track.score >= UNSURE_SCORE:
            continue
        elif len(track.rows) >= LEAST_BOXES and track.length_s >= LEAST_S:
            yield track, f"the box stays in place for {track.length_s:.0f} s, and the detector is not sure of it"
        elif track.box[1] >= 1 - EDGE_STRIP or track.box[3] <= EDGE_STRIP:
            yield track, "the box lies at the edge where cameras print the date, and the detector is not sure of it"


def share_repeated_boxes(observations: Sequence[Observation]) -> NDArray[np.float64]:
    """The share (0..1) of a site's other videos that have the same box, for each of its rows; 0 without a box."""
    shares = np.zeros(len(observations))
    n_media = len({row.media_id for row in observations})
    boxed = [i for i, row in enumerate(observations) if row.box is not None]
    if n_media < 2 or not boxed:
        return shares
    corners = np.array([box.xyxy for row in observations if (box := row.box) is not None])
    n_others = _count_other_media(corners, [observations[i].media_id for i in boxed], SAME_BOX_IOU)
    shares[boxed] = n_others / (n_media - 1 + PRIOR_VIDEOS)
    return shares


def _count_other_media(corners: NDArray[np.float64], media_ids: Sequence[str], least_iou: float) -> NDArray[np.int64]:
    """In how many other media each box (n x 4) recurs with an overlap of least_iou or more (n)."""
    number: dict[str, int] = {}
    medium = [number.setdefault(media_id, len(number)) for media_id in media_ids]
    in_medium = np.eye(len(number), dtype=np.float32)[medium]
    counts = np.zeros(len(corners), np.int64)
    for start in range(0, len(corners), ROWS_PER_BLOCK):
        block = slice(start, start + ROWS_PER_BLOCK)
        is_same = iou(corners[block], corners) >= least_iou
        # A box's own medium is always among them.
        counts[block] = (is_same.astype(np.float32) @ in_medium > 0).sum(axis=1) - 1
    return counts
