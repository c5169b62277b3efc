"""Looks at one medium: decodes the seconds asked for, finds the animals, follows them through time, asks the networks.

The one function here is all that a worker runs, on this machine or another. A medium that can't be read comes back as
failed rows; only our own mistakes are raised.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from trapmeter.detect.tracking import track
from trapmeter.errors import InputError, MediaError
from trapmeter.frames.store import FrameStore
from trapmeter.media.reading import Absence, FitWithin, MediumFacts, Reader, open_medium
from trapmeter.models.inputs import network_input
from trapmeter.models.spec import InputSpec
from trapmeter.predict.seen import MediumSeen, SecondSeen, failed_medium
from trapmeter.predict.windows import Window, decoded_windows, stored_windows
from trapmeter.records import Box, Detector, Frame, Medium, MediumKind, Status
from trapmeter.tables.boxes import MediumBoxes

BATCH = 8
"""Pictures or windows that are looked at together: larger batches gain nothing on a processor and cost memory."""

NOT_TOLD = "the table of boxes tells nothing of this second"
CORRUPT = "the decoder calls this picture corrupt"
SHARED = "the network answers for the whole picture, not for each of its animals"


class WindowNetworks(Protocol):
    """Networks that answer for windows: `trapmeter.runtimes.ensemble.Ensemble` is the one, a test's fake is another."""

    @property
    def spec(self) -> InputSpec:
        """The input of all of them."""
        ...

    def answers(self, windows: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Every member's answer in metres: (members, windows)."""
        ...


@dataclass(frozen=True, slots=True)
class Eyes:
    """What a worker looks with.

    Without a detector the tasks' own boxes are used; a task without any is answered second by second as a whole. With a
    store no video is opened: pictures and lengths come from there.
    """

    detector: Detector | None = None
    networks: WindowNetworks | None = None
    store: FrameStore | None = None


@dataclass(frozen=True, slots=True)
class Task:
    """What to look at in a medium.

    times_s: the seconds asked for, ascending, or None for every every_s seconds. boxes: animals known from a table, in
    place of a detector; boxes below min_score don't count.
    """

    medium: Medium
    times_s: tuple[float, ...] | None
    every_s: float
    boxes: MediumBoxes | None = None
    min_score: float = 0.0


def observe(task: Task, eyes: Eyes) -> MediumSeen:
    """Everything that is seen in one medium. A photo is a single moment: its times are answered at second 0 alone."""
    medium = task.medium
    size_bytes, modified_ns = 0, 0
    started = time.perf_counter()
    looker = None if eyes.detector is None else _Looker(eyes.detector)
    asker = None if eyes.networks is None else _Asker(eyes.networks)
    try:
        status = medium.path.stat()
        size_bytes, modified_ns = status.st_size, status.st_mtime_ns
        if task.boxes is not None and task.boxes.failure:
            raise MediaError(task.boxes.failure)
        found, facts = _look_at_file(task, looker) if eyes.store is None else _look_at_store(task, eyes.store)
        if asker is not None:
            times_s = [second.time_s for second in found if second.boxes]
            if not times_s:
                windows: Iterator[Window | Absence] = iter(())
            elif eyes.store is None:
                windows = decoded_windows(medium, times_s, asker.spec)
            else:
                windows = stored_windows(eyes.store, medium.media_id, times_s, asker.spec)
            found = list(asker.ask(found, windows))
    except (MediaError, OSError) as error:
        reason = (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
        return failed_medium(medium.media_id, size_bytes, modified_ns, task.times_s or (), reason)
    detect_s = 0.0 if looker is None else looker.spent_s
    network_s = 0.0 if asker is None else asker.spent_s
    return MediumSeen(
        medium.media_id,
        size_bytes,
        modified_ns,
        tuple(
            SecondSeen(second.time_s, second.status, second.reason, second.boxes, tuple(ids), second.answers)
            for second, ids in zip(found, _animal_ids(found), strict=True)
        ),
        doubts=facts.doubts,
        length_s=None if medium.kind is MediumKind.PHOTO else facts.length_s,
        decode_s=time.perf_counter() - started - detect_s - network_s,
        detect_s=detect_s,
        network_s=network_s,
        hfov_deg=facts.hfov_deg,
        aspect=facts.aspect,
    )


@dataclass(frozen=True, slots=True)
class _Found:
    time_s: float
    status: Status
    reason: str = ""
    boxes: tuple[Box | None, ...] = ()
    answers: tuple[tuple[float, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class _Stored:
    """What is known of a video whose frames are in a store."""

    length_s: float
    doubts: tuple[str, ...] = ()
    hfov_deg: float | None = None
    aspect: float | None = None


def _look_at_file(task: Task, looker: _Looker | None) -> tuple[list[_Found], MediumFacts]:
    """The seconds of a medium, and what is known of it."""
    with open_medium(task.medium, None if looker is None else FitWithin(*looker.input_hw)) as reader:
        times_s = reader.regular_times(task.every_s) if task.times_s is None else task.times_s
        if looker is not None:
            found = list(looker.look(reader, times_s))
        else:
            found = list(_without_looking(task, times_s, reader.facts.length_s, reader.facts.frame_rate))
        return found, reader.facts


def _look_at_store(task: Task, store: FrameStore) -> tuple[list[_Found], _Stored]:
    try:
        length_s = store.length_s(task.medium.media_id)
    except InputError as error:
        raise MediaError(str(error)) from error
    return list(_without_looking(task, task.times_s or (), length_s, None)), _Stored(length_s)


def _without_looking(
    task: Task, times_s: Sequence[float], length_s: float, frame_rate: float | None
) -> Iterator[_Found]:
    """The boxes that a table has for each second; without a table each second counts as one animal, wherever it is."""
    table = None if task.boxes is None else task.boxes.timed(frame_rate)
    if table is not None and task.medium.kind is MediumKind.VIDEO:
        if table.always:
            raise MediaError("the table of boxes doesn't tell when in the video they were seen")
        if table.by_number:
            raise MediaError("the table of boxes counts frames; a frame store doesn't know their seconds")
    for time_s in times_s:
        known = None if table is None else table.at(time_s)
        if time_s > 0 and time_s >= length_s:
            yield _Found(time_s, Status.PAST_END, f"the medium ends at {length_s:.2f} s")
        elif table is None:
            yield _Found(time_s, Status.MEASURED, boxes=(None,))
        elif known is None:
            yield _found(time_s, (), NOT_TOLD)
        else:
            yield _found(time_s, tuple(box for box in known if box.score >= task.min_score), "")


def _animal_ids(found: Sequence[_Found]) -> list[list[int]]:
    """The ids of each second's animals; a second that is answered as a whole has 0, since nobody saw who was there."""
    ids = track([(s.time_s, [box for box in s.boxes if box is not None]) for s in found])
    return [
        [0] * len(second.boxes) if None in second.boxes else next_ids
        for second, next_ids in zip(found, ids, strict=True)
    ]


class _Looker:
    """Runs the detector over a medium's pictures in batches, holding no more than one batch."""

    def __init__(self, detector: Detector) -> None:
        self._detector = detector
        self.input_hw = detector.input_hw
        self.spent_s = 0.0

    def look(self, reader: Reader, times_s: Sequence[float]) -> Iterator[_Found]:
        """The animals at each second. A picture that stands for several seconds is looked at once."""
        batch: list[tuple[float, Frame | Absence]] = []
        pictures: list[Frame] = []
        for time_s, shown in zip(times_s, reader.frames(times_s), strict=True):
            if isinstance(shown, Frame) and not (pictures and pictures[-1] is shown):
                if len(pictures) == BATCH:
                    yield from self._answer(batch, pictures)
                    batch, pictures = [], []
                pictures.append(shown)
            batch.append((time_s, shown))
        yield from self._answer(batch, pictures)

    def _answer(self, batch: list[tuple[float, Frame | Absence]], pictures: list[Frame]) -> Iterator[_Found]:
        started = time.perf_counter()
        found = self._detector.detect([picture.pixels for picture in pictures]) if pictures else []
        self.spent_s += time.perf_counter() - started
        boxes_of = {id(picture): tuple(boxes) for picture, boxes in zip(pictures, found, strict=True)}
        for time_s, shown in batch:
            if isinstance(shown, Absence):
                yield _Found(time_s, shown.status, shown.reason)
            else:
                yield _found(time_s, boxes_of[id(shown)], CORRUPT if shown.is_corrupt else "")


class _Asker:
    """Asks the networks for the distance of each animal, holding no more than one batch of windows."""

    def __init__(self, networks: WindowNetworks) -> None:
        self._networks = networks
        self.spec = networks.spec
        self.spent_s = 0.0

    def ask(self, found: Iterable[_Found], windows: Iterator[Window | Absence]) -> Iterator[_Found]:
        """The seconds with the networks' answers for their animals; windows: one for each second that has animals."""
        batch: list[_Found] = []
        inputs: list[NDArray[np.uint8]] = []
        for second in found:
            if len(inputs) >= BATCH:
                yield from self._answer(batch, inputs)
                batch, inputs = [], []
            if second.boxes:
                window = next(windows)
                if isinstance(window, Absence):
                    batch.append(_Found(second.time_s, window.status, window.reason))
                    continue
                inputs += [network_input(window, box, self.spec) for box in self._asked_for(second)]
            batch.append(second)
        yield from self._answer(batch, inputs)

    def _asked_for(self, second: _Found) -> tuple[Box | None, ...]:
        """A network that doesn't see the box is asked once, however many animals there are."""
        return second.boxes if self.spec.box_channel else second.boxes[:1]

    def _answer(self, batch: Sequence[_Found], inputs: Sequence[NDArray[np.uint8]]) -> Iterator[_Found]:
        started = time.perf_counter()
        # A second with a herd may bring more windows than one batch.
        parts = [self._networks.answers(np.stack(inputs[i : i + BATCH])) for i in range(0, len(inputs), BATCH)]
        self.spent_s += time.perf_counter() - started
        answers = iter([tuple(row) for part in parts for row in part.T.tolist()])
        for second in batch:
            mine = [next(answers) for _ in self._asked_for(second)]
            if len(mine) < len(second.boxes):
                reason = "; ".join(filter(None, (second.reason, SHARED)))
                yield replace(second, reason=reason, answers=tuple(mine * len(second.boxes)))
            else:
                yield replace(second, answers=tuple(mine))


def _found(time_s: float, boxes: tuple[Box, ...], reason: str) -> _Found:
    return _Found(time_s, Status.MEASURED if boxes else Status.NO_ANIMAL, reason, boxes)
