"""Finds the animals of a medium's pictures: a detector over one picture after the other."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

import numpy as np

from trapmeter.media.infrared import is_infrared
from trapmeter.media.reading import Absence
from trapmeter.predict.seen import FoundSecond
from trapmeter.records import Box, Detector, Frame, Status

CORRUPT = "the decoder calls this picture corrupt"


class Looker:
    """Runs the detector over a medium's pictures one by one: a batch saves no time on a processor and holds memory."""

    def __init__(self, detector: Detector) -> None:
        self._detector = detector
        self.input_hw = detector.input_hw
        self.spent_s = 0.0
        self._nights: list[bool] = []

    @property
    def is_night(self) -> bool | None:
        """Whether most of the pictures so far are without colours, as by infrared flash; None before the first."""
        return sum(self._nights) * 2 > len(self._nights) if self._nights else None

    def look(self, pictures: Iterable[tuple[float, Frame | Absence]]) -> Iterator[FoundSecond]:
        """The animals at each second. A picture whose pixels are those of the one before keeps its boxes unseen."""
        before: Frame | None = None
        boxes: tuple[Box, ...] = ()
        for time_s, shown in pictures:
            if isinstance(shown, Absence):
                yield FoundSecond(time_s, shown.status, shown.reason)
                continue
            if before is None or not np.array_equal(shown.pixels, before.pixels):
                boxes = self._detect(shown)
                self._nights.append(is_infrared(shown.pixels))
            before = shown
            yield found_second(time_s, boxes, CORRUPT if shown.is_corrupt else "")

    def _detect(self, picture: Frame) -> tuple[Box, ...]:
        started = time.perf_counter()
        (boxes,) = self._detector.detect([picture.pixels])
        self.spent_s += time.perf_counter() - started
        return tuple(boxes)


def found_second(time_s: float, boxes: tuple[Box, ...], reason: str) -> FoundSecond:
    """A second that was looked at."""
    return FoundSecond(time_s, Status.MEASURED if boxes else Status.NO_ANIMAL, reason, boxes)
