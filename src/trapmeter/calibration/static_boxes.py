"""Finds boxes that recur in a site's other videos: a stump or stone, not an animal."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from trapmeter.geometry import iou
from trapmeter.records import Observation

SAME_BOX_IOU = 0.7
"""From this overlap on two boxes are of the same thing, if it doesn't move."""
PRIOR_VIDEOS = 2
"""Videos without that box that are thought to the others, so that a burst of photos at a new site doesn't decide."""
ROWS_PER_BLOCK = 500


def share_repeated_boxes(observations: Sequence[Observation]) -> NDArray[np.float64]:
    """For each row of a site the share (0..1) of the site's other videos that have the same box; 0 without one."""
    number: dict[str, int] = {}
    video = np.array([number.setdefault(seen.media_id, len(number)) for seen in observations], np.int64)
    shares = np.zeros(len(observations))
    boxed = np.array([i for i, seen in enumerate(observations) if seen.box is not None], np.int64)
    if len(number) < 2 or not len(boxed):
        return shares
    corners = np.array([seen.box.xyxy for seen in observations if seen.box is not None])
    videos = video[boxed]
    is_of = np.eye(len(number), dtype=bool)[videos]
    for start in range(0, len(boxed), ROWS_PER_BLOCK):
        rows = slice(start, start + ROWS_PER_BLOCK)
        same = iou(corners[rows], corners) >= SAME_BOX_IOU
        found = (same.astype(np.float32) @ is_of.astype(np.float32) > 0).sum(axis=1)
        # Its own video is always among them.
        shares[boxed[rows]] = (found - 1) / (len(number) - 1 + PRIOR_VIDEOS)
    return shares
