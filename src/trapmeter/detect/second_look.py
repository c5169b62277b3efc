"""A second look at a video's pictures, for animals that the detector hardly sees or misses in single pictures.

The detector's first look is at each picture as it is. The second is at a small copy that softens what stands still and
stresses what moves. The boxes of both, down to low scores, are judged together with movement and with the neighbouring
seconds. Photos, and videos with few or very small pictures, get no second look: there the threshold of scores alone decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from trapmeter.detect.candidates import Candidate, make_candidates
from trapmeter.detect.evidence import Evidence, embedded_evidence, log_odds
from trapmeter.detect.megadetector_lite import NMS_IOU
from trapmeter.detect.motion import WIDTH, Scene
from trapmeter.errors import InputError
from trapmeter.geometry import nms
from trapmeter.records import Box, Detector, Pixels

LEAST_SCORE = 0.02
"""Boxes below this are not considered. From 0.01 on there would be half as many again, and hardly more animals."""
LEAST_PICTURES = 4
"""Different pictures that it takes to tell what moves."""
BLOCK_PICTURES = 30
"""A long video is judged in blocks of this many pictures, or up to twice as many, so that memory has a limit."""
DEFAULT_SCORE = 0.25
"""The threshold of scores for which the evidence's least likelihood was chosen."""
SURE_SCORE = 0.5
"""A first look's box from this score on counts whatever the evidence, if it reaches the threshold of scores."""
LEAST_MOVING = 0.1
"""The least movement in a box that doesn't reach the threshold of scores: where nothing moves, scores alone decide."""


@dataclass(frozen=True, slots=True)
class FirstLook:
    """What was found in a picture alone (boxes down to LEAST_SCORE), and its copy for the second look."""

    boxes: tuple[Box, ...]
    small: Pixels


@dataclass(frozen=True)
class SecondLook:
    """Finds animals in a fixed camera's pictures after the first look.

    detector: a detector for small pictures, down to LEAST_SCORE. min_score: the threshold of scores, 0..1.
    """

    detector: Detector
    min_score: float
    evidence: Evidence = field(default_factory=embedded_evidence)

    def __post_init__(self) -> None:
        if not 0.0 <= self.min_score <= 1.0:
            raise InputError(f"the detector's min_score must lie in 0..1, got {self.min_score}")

    def find(self, looks: Sequence[tuple[float, FirstLook]]) -> list[tuple[Box, ...]]:
        """The animals' boxes at each second (times ascending), best score first.

        Equal pictures in succession should be the same FirstLook: they are looked at once.
        """
        sizes = {look.small.shape for _, look in looks}
        if len(sizes) > 1 or len({id(look) for _, look in looks}) < LEAST_PICTURES:
            return [tuple(box for box in look.boxes if box.score >= self.min_score) for _, look in looks]
        candidates = self.candidates([look for _, look in looks])
        seconds = [(time_s, found) for (time_s, _), found in zip(looks, candidates, strict=True)]
        likelihoods = self.evidence.likelihoods(seconds)
        return [self.animals(found, likely) for found, likely in zip(candidates, likelihoods, strict=True)]

    def candidates(self, looks: Sequence[FirstLook]) -> list[tuple[Candidate, ...]]:
        """The candidates of each picture. All pictures have the same size; there are at least three."""
        scene = Scene.of([look.small for look in looks])
        candidates: list[tuple[Candidate, ...]] = []
        for i, look in enumerate(looks):
            if i and look is looks[i - 1]:
                candidates.append(candidates[-1])
                continue
            movement = scene.movement(look.small)
            (second,) = self.detector.detect([scene.highlight(look.small, movement)])
            candidates.append(make_candidates(look.boxes, second, movement))
        return candidates

    def animals(self, candidates: Sequence[Candidate], likelihood: NDArray[np.float64]) -> tuple[Box, ...]:
        """The boxes of a second's candidates that count as animals by their likelihood (n), best score first."""
        # A higher threshold of scores asks for more evidence, by the same step in log odds.
        least_odds = log_odds(self.evidence.least) + log_odds(self.min_score) - log_odds(DEFAULT_SCORE)
        boxes, ranks = [], []
        for candidate, likely in zip(candidates, likelihood.tolist(), strict=True):
            first_score = 0.0 if candidate.first is None else candidate.first.score
            is_own = first_score > 0 and first_score >= self.min_score
            if is_own:
                moves = candidate.moving >= LEAST_MOVING
                counts = first_score >= SURE_SCORE or moves or likely >= self.evidence.least_own
            else:
                counts = candidate.moving >= LEAST_MOVING and bool(log_odds(likely) >= least_odds)
            if counts:
                boxes.append(candidate.box(self.min_score))
                # Boxes that count on their own come first, so that no other takes their place.
                ranks.append(is_own + likely)
        if not boxes:
            return ()
        kept = nms(np.array([box.xyxy for box in boxes]), np.array(ranks), NMS_IOU)
        return tuple(sorted((boxes[i] for i in kept), key=lambda box: -box.score))


def small_copy(picture: Pixels) -> Pixels:
    """The picture (uint8, height x width x 3), scaled down, never up, to fit within WIDTH x WIDTH."""
    height, width = picture.shape[:2]
    scale = WIDTH / max(height, width)
    if scale >= 1:
        return picture
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
