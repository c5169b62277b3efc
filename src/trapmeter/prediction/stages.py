"""The stages that a medium passes through: prefetching, detector, networks, and all of them in one decoding pass."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from trapmeter.detect.second_look import BLOCK_PICTURES, FirstLook, SecondLook, small_copy
from trapmeter.facts import NO_FACTS, Facts
from trapmeter.frames.extraction import PHOTO_LENGTH_S
from trapmeter.frames.pictures import resize_picture
from trapmeter.frames.windows import Window, all_window_times, cut_windows, needed_seconds
from trapmeter.media.infrared import is_infrared
from trapmeter.media.reader import MediumReader, MissingFrame
from trapmeter.models.input_spec import InputSpec
from trapmeter.models.network_input import fact_input, network_input
from trapmeter.prediction.medium_result import UntrackedSecond
from trapmeter.records import Box, Detector, Frame, Pixels, Status

# Texts of distances.csv.
CORRUPT_DOUBT = "the decoder calls this picture corrupt"
CORRUPT_REASON = "part of the picture is damaged or missing, and an animal may be there"
WHOLE_PICTURE_DOUBT = "the network predicts one distance for the whole picture, not one for each animal"

BATCH_SIZE = 8
"""Windows per network call: larger batches gain nothing on a processor and cost memory."""

N_PREFETCHED = 4
"""Pictures or windows that are decoded, and held, in advance: enough to bridge one that takes longer than the others."""

EMPTY_PICTURE = np.zeros((0, 0, 3), np.uint8)

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class _Looked:
    """A second after the first look: what was seen, or why there is no picture."""

    time_s: float
    look: FirstLook | MissingFrame
    is_corrupt: bool = False


class DetectorStage:
    """Runs the detector on a medium's pictures one by one: on a processor a batch saves no time and costs memory.

    With a second look it holds small copies of the pictures, at most twice BLOCK_PICTURES, until it has judged them together;
    without one all boxes of the detector are animals, and each second is out before the next picture is taken.
    """

    def __init__(self, detector: Detector, second_look: SecondLook | None = None) -> None:
        self._detector = detector
        self._second_look = second_look
        self.input_hw = detector.input_hw
        self.spent_s = 0.0
        self._nights: list[bool] = []

    @property
    def is_night(self) -> bool | None:
        """Whether most of the pictures so far have no colours, as under infrared flash; None before the first."""
        return sum(self._nights) * 2 > len(self._nights) if self._nights else None

    def detect(self, pictures: Iterable[tuple[float, Frame | MissingFrame]]) -> Iterator[UntrackedSecond]:
        """The animals at each second. A picture with the same pixels as the previous one takes over its boxes."""
        n_in_block = 1 if self._second_look is None else BLOCK_PICTURES
        waiting: list[_Looked] = []
        for looked in self._first_looks(pictures):
            waiting.append(looked)
            # A short block at the end would tell too little, so the last one is up to twice as long.
            if n_in_block == 1 or len(waiting) >= 2 * n_in_block:
                yield from self._judge(waiting[:n_in_block])
                del waiting[:n_in_block]
        yield from self._judge(waiting)

    def _first_looks(self, pictures: Iterable[tuple[float, Frame | MissingFrame]]) -> Iterator[_Looked]:
        previous: Frame | None = None
        look = FirstLook((), EMPTY_PICTURE)
        for time_s, picture in pictures:
            if isinstance(picture, MissingFrame):
                yield _Looked(time_s, picture)
                continue
            if previous is None or not np.array_equal(picture.pixels, previous.pixels):
                look = self._look(picture)
                self._nights.append(is_infrared(picture.pixels))
            previous = picture
            yield _Looked(time_s, look, picture.is_corrupt)

    def _look(self, picture: Frame) -> FirstLook:
        started = time.perf_counter()
        (boxes,) = self._detector.detect([picture.pixels])
        small = EMPTY_PICTURE if self._second_look is None else small_copy(picture.pixels)
        self.spent_s += time.perf_counter() - started
        return FirstLook(tuple(boxes), small)

    def _judge(self, block: Sequence[_Looked]) -> Iterator[UntrackedSecond]:
        """The animals of some seconds in succession."""
        seen = [(second.time_s, second.look) for second in block if isinstance(second.look, FirstLook)]
        started = time.perf_counter()
        judged = [look.boxes for _, look in seen] if self._second_look is None else self._second_look.find(seen)
        found = iter(judged)
        self.spent_s += time.perf_counter() - started
        for second in block:
            if isinstance(second.look, MissingFrame):
                yield UntrackedSecond(second.time_s, second.look.status, second.look.reason)
                continue
            boxes = next(found)
            if second.is_corrupt and not boxes:
                yield UntrackedSecond(second.time_s, Status.UNKNOWN, CORRUPT_REASON)
            else:
                yield untracked_second(second.time_s, boxes, CORRUPT_DOUBT if second.is_corrupt else "")


def untracked_second(time_s: float, boxes: tuple[Box, ...], reason: str) -> UntrackedSecond:
    """A second with the boxes that were found in it, if any."""
    return UntrackedSecond(time_s, Status.MEASURED if boxes else Status.NO_ANIMAL, reason, boxes)


class WindowEnsemble(Protocol):
    """Networks that predict distances for windows, as `trapmeter.models.runtimes.network.Ensemble` and a test's fake do."""

    @property
    def spec(self) -> InputSpec:
        """The input of all of them."""
        ...

    def predict_members(
        self, windows: NDArray[np.uint8], facts: NDArray[np.float32] | None = None
    ) -> NDArray[np.float64]:
        """Every member's distances in metres: (members, windows). facts: of networks that take any."""
        ...


class AnimalInput(NamedTuple):
    """What networks get for one animal: bytes (channels, height, width), and facts (numbers)."""

    window: NDArray[np.uint8]
    facts: NDArray[np.float32]


class NetworkStage:
    """Runs the networks on each animal's window, holding no more than one batch of windows."""

    def __init__(self, networks: WindowEnsemble) -> None:
        self._networks = networks
        self.spec = networks.spec
        self.spent_s = 0.0

    def predict(
        self, seconds: Iterable[tuple[UntrackedSecond, Window | MissingFrame | None]], facts: Facts = NO_FACTS
    ) -> Iterator[UntrackedSecond]:
        """The seconds with the networks' predictions for their animals. Windows of seconds without animals are not used.

        facts: about the camera and all animals of the medium.
        """
        batch: list[UntrackedSecond] = []
        inputs: list[AnimalInput] = []
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
                inputs += [
                    AnimalInput(network_input(window, box, self.spec), fact_input(facts, box, self.spec))
                    for box in self._input_boxes(second)
                ]
                batch.append(second)
        yield from self._predict_batch(batch, inputs)

    def _input_boxes(self, second: UntrackedSecond) -> tuple[Box | None, ...]:
        """A network that takes no box runs once, however many animals there are."""
        return second.boxes if self.spec.box_channel else second.boxes[:1]

    def _predict_batch(
        self, batch: Sequence[UntrackedSecond], inputs: Sequence[AnimalInput]
    ) -> Iterator[UntrackedSecond]:
        started = time.perf_counter()
        # A second with a herd may have more windows than one batch.
        calls = [self._predict_members(inputs[i : i + BATCH_SIZE]) for i in range(0, len(inputs), BATCH_SIZE)]
        self.spent_s += time.perf_counter() - started
        predictions = iter([tuple(row) for members_by_window in calls for row in members_by_window.T.tolist()])
        for second in batch:
            answers = [next(predictions) for _ in self._input_boxes(second)]
            if len(answers) < len(second.boxes):
                reason = "; ".join(filter(None, (second.reason, WHOLE_PICTURE_DOUBT)))
                yield replace(second, reason=reason, answers=tuple(answers * len(second.boxes)))
            else:
                yield replace(second, answers=tuple(answers))

    def _predict_members(self, inputs: Sequence[AnimalInput]) -> NDArray[np.float64]:
        windows, facts = (np.stack(parts) for parts in zip(*inputs, strict=True))
        if not self.spec.facts:
            return self._networks.predict_members(windows)
        return self._networks.predict_members(windows, facts)


class Prefetcher:
    """Runs iterators in a thread of their own. spent_s: seconds that the thread worked, whether anyone waited or not."""

    def __init__(self) -> None:
        self.spent_s = 0.0

    def prefetch(self, items: Iterator[Item]) -> Iterator[Item]:
        """The same items in the same order; errors of `items` are raised here."""
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
    reader: MediumReader,
    times_s: Sequence[float],
    detector: DetectorStage,
    networks: NetworkStage,
    prefetcher: Prefetcher,
    facts: Facts = NO_FACTS,
) -> Iterator[UntrackedSecond]:
    """The animals at each second (ascending), with the networks' predictions for them, from a single decoding pass.

    reader: opened for the detector's size first, for the networks' second. facts: as for `NetworkStage.predict`.
    All seconds that any window could need are decoded, since it turns out too late which windows are needed. Memory holds the
    pictures of one window, and those between the first second that the detector has not decided on and the last one of the
    window at which it is.
    """
    length_s, spec = reader.facts.length_s, networks.spec
    inside = [time_s for time_s in times_s if 0 <= time_s < max(length_s, PHOTO_LENGTH_S)]
    window_times = all_window_times(inside, length_s, spec)
    needed = sorted(needed_seconds(window_times).union(times_s))
    for_detector, for_windows = _split(prefetcher.prefetch(_both_sizes(reader, needed, spec)))
    is_requested, has_window = frozenset(times_s), frozenset(inside)
    seconds = detector.detect((time_s, picture) for time_s, picture in for_detector if time_s in is_requested)
    windows = cut_windows(for_windows, window_times, spec.size_hw)
    return networks.predict(
        ((second, next(windows) if second.time_s in has_window else None) for second in seconds), facts
    )


def _both_sizes(
    reader: MediumReader, times_s: Sequence[float], spec: InputSpec
) -> Iterator[tuple[float, Frame | MissingFrame, Pixels | MissingFrame]]:
    """Each second's picture for the detector and for the networks. The full-size picture is released at once."""
    for time_s, picture in zip(times_s, reader.frames(times_s), strict=True):
        if isinstance(picture, MissingFrame):
            yield time_s, picture, picture
        else:
            yield time_s, replace(picture, others=()), resize_picture(picture.others[0], spec.size_hw, spec.resize)


def _split(
    pictures: Iterator[tuple[float, Frame | MissingFrame, Pixels | MissingFrame]],
) -> tuple[Iterator[tuple[float, Frame | MissingFrame]], Iterator[tuple[float, Pixels | MissingFrame]]]:
    """One iterator for the detector and one for windows; each holds only what the other is ahead by.

    itertools.tee would hold at least 57 pictures.
    """
    for_detector: deque[tuple[float, Frame | MissingFrame]] = deque()
    for_windows: deque[tuple[float, Pixels | MissingFrame]] = deque()

    def take(own: deque[Item]) -> Iterator[Item]:
        while True:
            if not own:
                item = next(pictures, None)
                if item is None:
                    return
                time_s, detector_picture, window_picture = item
                for_detector.append((time_s, detector_picture))
                for_windows.append((time_s, window_picture))
            yield own.popleft()

    return take(for_detector), take(for_windows)
