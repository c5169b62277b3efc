"""Finds boxes that recur in a site's other videos: a stump or stone, not an animal."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from trapmeter.geometry import iou
from trapmeter.records import Observation

SAME_BOX_IOU = 0.7
"""Overlap from which two boxes show the same static thing."""
PRIOR_VIDEOS = 2
"""Videos without the box that are added to the count, so that a few photos of a new site don't decide."""
ROWS_PER_BLOCK = 500


def share_repeated_boxes(observations: Sequence[Observation]) -> NDArray[np.float64]:
    """The share (0..1) of a site's other videos that have the same box, for each of its rows; 0 without a box."""
    number: dict[str, int] = {}
    video = np.array([number.setdefault(row.media_id, len(number)) for row in observations], np.int64)
    shares = np.zeros(len(observations))
    boxed = np.array([i for i, row in enumerate(observations) if row.box is not None], np.int64)
    if len(number) < 2 or not len(boxed):
        return shares
    corners = np.array([row.box.xyxy for row in observations if row.box is not None])
    in_video = np.eye(len(number), dtype=np.float32)[video[boxed]]
    for start in range(0, len(boxed), ROWS_PER_BLOCK):
        block = slice(start, start + ROWS_PER_BLOCK)
        is_same = iou(corners[block], corners) >= SAME_BOX_IOU
        n_videos = (is_same.astype(np.float32) @ in_video > 0).sum(axis=1)
        # A box's own video is always among them.
        shares[boxed[block]] = (n_videos - 1) / (len(number) - 1 + PRIOR_VIDEOS)
    return shares
