"""The stages that a medium passes through: decoding ahead, detector and networks, and both in a single pass."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from trapmeter.frames.extraction import PHOTO_LENGTH_S
from trapmeter.frames.pictures import resize_picture
from trapmeter.frames.windows import Window, all_window_times, cut_windows, needed_seconds
from trapmeter.media.infrared import is_infrared
from trapmeter.media.reader import MediumReader, MissingFrame
from trapmeter.models.input_spec import InputSpec
from trapmeter.models.network_input import network_input
from trapmeter.prediction.medium_result import UntrackedSecond
from trapmeter.records import Box, Detector, Frame, Pixels, Status

CORRUPT_DOUBT = "the decoder calls this picture corrupt"


class DetectorStage:
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

    def detect(self, pictures: Iterable[tuple[float, Frame | MissingFrame]]) -> Iterator[UntrackedSecond]:
        """The animals at each second. A picture whose pixels are those of the one before keeps its boxes unseen."""
        before: Frame | None = None
        boxes: tuple[Box, ...] = ()
        for time_s, shown in pictures:
            if isinstance(shown, MissingFrame):
                yield UntrackedSecond(time_s, shown.status, shown.reason)
                continue
            if before is None or not np.array_equal(shown.pixels, before.pixels):
                boxes = self._detect(shown)
                self._nights.append(is_infrared(shown.pixels))
            before = shown
            yield untracked_second(time_s, boxes, CORRUPT_DOUBT if shown.is_corrupt else "")

    def _detect(self, picture: Frame) -> tuple[Box, ...]:
        started = time.perf_counter()
        (boxes,) = self._detector.detect([picture.pixels])
        self.spent_s += time.perf_counter() - started
        return tuple(boxes)


def untracked_second(time_s: float, boxes: tuple[Box, ...], reason: str) -> UntrackedSecond:
    """A second that was looked at."""
    return UntrackedSecond(time_s, Status.MEASURED if boxes else Status.NO_ANIMAL, reason, boxes)


BATCH_SIZE = 8
"""Windows that are asked about together: larger batches gain nothing on a processor and cost memory."""

WHOLE_PICTURE_DOUBT = "the network answers for the whole picture, not for each of its animals"


class WindowEnsemble(Protocol):
    """Networks that answer for windows: `trapmeter.models.runtimes.network.Ensemble` is the one, a test's fake is another."""

    @property
    def spec(self) -> InputSpec:
        """The input of all of them."""
        ...

    def predict_members(self, windows: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Every member's answer in metres: (members, windows)."""
        ...


class NetworkStage:
    """Asks the networks for the distance of each animal, holding no more than one batch of windows."""

    def __init__(self, networks: WindowEnsemble) -> None:
        self._networks = networks
        self.spec = networks.spec
        self.spent_s = 0.0

    def predict(
        self, seconds: Iterable[tuple[UntrackedSecond, Window | MissingFrame | None]]
    ) -> Iterator[UntrackedSecond]:
        """The seconds with the networks' answers for their animals. Windows of seconds without any are not looked at."""
        batch: list[UntrackedSecond] = []
        inputs: list[NDArray[np.uint8]] = []
        for second, window in seconds:
            if len(inputs) >= BATCH_SIZE:
                yield from self._predict_batch(batch, inputs)
                batch, inputs = [], []
            if not second.boxes:
                batch.append(second)
            elif isinstance(window, MissingFrame):
                batch.append(UntrackedSecond(second.time_s, window.status, window.reason))
            else:
                assert window is not None, "a second with animals has a window"
                inputs += [network_input(window, box, self.spec) for box in self._inputs_of(second)]
                batch.append(second)
        yield from self._predict_batch(batch, inputs)

    def _inputs_of(self, second: UntrackedSecond) -> tuple[Box | None, ...]:
        """A network that doesn't see the box is asked once, however many animals there are."""
        return second.boxes if self.spec.box_channel else second.boxes[:1]

    def _predict_batch(
        self, batch: Sequence[UntrackedSecond], inputs: Sequence[NDArray[np.uint8]]
    ) -> Iterator[UntrackedSecond]:
        started = time.perf_counter()
        # A second with a herd may bring more windows than one batch.
        parts = [
            self._networks.predict_members(np.stack(inputs[i : i + BATCH_SIZE]))
            for i in range(0, len(inputs), BATCH_SIZE)
        ]
        self.spent_s += time.perf_counter() - started
        answers = iter([tuple(row) for part in parts for row in part.T.tolist()])
        for second in batch:
            mine = [next(answers) for _ in self._inputs_of(second)]
            if len(mine) < len(second.boxes):
                reason = "; ".join(filter(None, (second.reason, WHOLE_PICTURE_DOUBT)))
                yield replace(second, reason=reason, answers=tuple(mine * len(second.boxes)))
            else:
                yield replace(second, answers=tuple(mine))


N_PREFETCHED = 4
"""How many pictures or windows are decoded ahead, and so held at most: enough for one that takes longer than the others."""

Item = TypeVar("Item")


class Prefetcher:
    """Runs iterators in a thread of their own. spent_s: seconds that the thread worked, whether somebody waited or not."""

    def __init__(self) -> None:
        self.spent_s = 0.0

    def prefetch(self, items: Iterator[Item]) -> Iterator[Item]:
        """The same items in the same order; what items raises is raised here."""
        with ThreadPoolExecutor(max_workers=1) as thread:
            waiting = deque(thread.submit(self._next, items) for _ in range(N_PREFETCHED))
            while item := waiting.popleft().result():
                waiting.append(thread.submit(self._next, items))
                yield item[0]

    def _next(self, items: Iterator[Item]) -> tuple[Item] | None:
        started = time.perf_counter()
        try:
            return (next(items),)
        except StopIteration:
            return None
        finally:
            self.spent_s += time.perf_counter() - started


def run_stages(
    reader: MediumReader, times_s: Sequence[float], looker: DetectorStage, asker: NetworkStage, ahead: Prefetcher
) -> Iterator[UntrackedSecond]:
    """The animals at each second (ascending) with the networks' answers for them.

    reader: opened for the detector's size first, for the networks' second. All seconds that any window could need are
    decoded, since whether it is needed shows only when they have passed. What is held are the pictures of one window, and
    those between the second that the detector looks at and the last one of its window.
    """
    length_s, spec = reader.facts.length_s, asker.spec
    inside = [time_s for time_s in times_s if 0 <= time_s < max(length_s, PHOTO_LENGTH_S)]
    wanted = all_window_times(inside, length_s, spec)
    needed = sorted(needed_seconds(wanted).union(times_s))
    for_detector, for_windows = _split(ahead.prefetch(_both_sizes(reader, needed, spec)))
    is_asked, has_window = frozenset(times_s), frozenset(inside)
    found = looker.detect((time_s, picture) for time_s, picture in for_detector if time_s in is_asked)
    windows = cut_windows(for_windows, wanted, spec.size_hw)
    return asker.predict((second, next(windows) if second.time_s in has_window else None) for second in found)


def _both_sizes(
    reader: MediumReader, times_s: Sequence[float], spec: InputSpec
) -> Iterator[tuple[float, Frame | MissingFrame, Pixels | MissingFrame]]:
    """Each second's picture for the detector and for the networks. A full-size one is let go of at once."""
    for time_s, shown in zip(times_s, reader.frames(times_s), strict=True):
        if isinstance(shown, MissingFrame):
            yield time_s, shown, shown
        else:
            yield time_s, replace(shown, others=()), resize_picture(shown.others[0], spec.size_hw, spec.resize)


def _split(
    pictures: Iterator[tuple[float, Frame | MissingFrame, Pixels | MissingFrame]],
) -> tuple[Iterator[tuple[float, Frame | MissingFrame]], Iterator[tuple[float, Pixels | MissingFrame]]]:
    """One iterator for the detector and one for windows; each holds what only the other has taken so far.

    itertools.tee would hold 57 pictures at least.
    """
    for_detector: deque[tuple[float, Frame | MissingFrame]] = deque()
    for_windows: deque[tuple[float, Pixels | MissingFrame]] = deque()

    def take(own: deque[Item]) -> Iterator[Item]:
        while True:
            if not own:
                both = next(pictures, None)
                if both is None:
                    return
                time_s, picture, view = both
                for_detector.append((time_s, picture))
                for_windows.append((time_s, view))
            yield own.popleft()

    return take(for_detector), take(for_windows)
