"""What a run knew about cameras and animals, and what would help most."""

from __future__ import annotations

from collections.abc import Collection

from trapmeter.boxmodel.expected_errors import error_ratio
from trapmeter.boxmodel.knowledge import Knowledge
from trapmeter.boxmodel.model import BoxModel
from trapmeter.calibration.field_facts import FieldFacts
from trapmeter.prediction.estimators import BoxEstimator, DistanceEstimator
from trapmeter.records import Observation

WORTH_TELLING = 0.95
"""Advice is given if errors become at least this much smaller."""
_HOW = {
    Knowledge.LENS: "the lens (--hfov or --cameras; --exif for photos)",
    Knowledge.SIZE: "the species (--species)",
    Knowledge.LENS_AND_SIZE: "lens and species (--hfov, --species)",
}
_NEXT = {
    Knowledge.NOTHING: (Knowledge.LENS, Knowledge.SIZE, Knowledge.LENS_AND_SIZE),
    Knowledge.LENS: (Knowledge.LENS_AND_SIZE,),
    Knowledge.SIZE: (Knowledge.LENS_AND_SIZE,),
}
_NAMES = {
    Knowledge.NOTHING: "nothing was known about the cameras and animals of most media",
    Knowledge.LENS: "the lens of most media was known, but not the size of their animals",
    Knowledge.SIZE: "the size of the animals of most media was known, but not the lens",
}
_POINTS = (
    "lens and size of the animals of most media were known; what helps now are reference points of each camera (`trapmeter "
    "points`, then `trapmeter calibrate`)"
)


def advise(estimator: DistanceEstimator, facts: FieldFacts, animals: Collection[Observation]) -> list[str]:
    """A line that says what was known about most media with animals, and what to tell for smaller errors.

    Nothing if there are no animals, or if the estimator isn't a box model with measured errors.
    """
    if not animals or not isinstance(estimator, BoxEstimator) or not isinstance(estimator.model, BoxModel):
        return []
    known = _usual_knowledge(facts, animals)
    if known is Knowledge.LENS_AND_SIZE:
        return [_POINTS]
    ratios = {after: error_ratio(estimator.model.card.held_out, known, after) for after in _NEXT[known]}
    gains = {after: ratio for after, ratio in ratios.items() if ratio is not None and ratio < WORTH_TELLING}
    if not gains:
        return []
    options = [f"{1 - ratio:.0%} smaller with {_HOW[_told(known, after)]}" for after, ratio in gains.items()]
    return [f"{_NAMES[known]}; errors at rendered and simulated sites are {', '.join(options)}"]


def _told(known: Knowledge, after: Knowledge) -> Knowledge:
    """What is still to be told."""
    if after is Knowledge.LENS_AND_SIZE and known is not Knowledge.NOTHING:
        return Knowledge.SIZE if known is Knowledge.LENS else Knowledge.LENS
    return after


def _usual_knowledge(facts: FieldFacts, animals: Collection[Observation]) -> Knowledge:
    """What is known about the first animal of more than half of the media."""
    first = {animal.media_id: animal for animal in reversed(list(animals))}
    half = len(first) / 2
    told = [facts.known(animal) for animal in first.values()]
    has_lens = sum(known.hfov_deg is not None for known in told) > half
    has_size = sum(known.shoulder_m is not None for known in told) > half
    if has_lens and has_size:
        return Knowledge.LENS_AND_SIZE
    return Knowledge.LENS if has_lens else Knowledge.SIZE if has_size else Knowledge.NOTHING
