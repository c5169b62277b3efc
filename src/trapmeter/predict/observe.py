"""Looks at one medium: decodes the seconds asked for, finds the animals, follows them through time.

The one function here is all that a worker runs, on this machine or another. A medium that can't be read comes back as
failed rows; only our own mistakes are raised.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from trapmeter.detect.tracking import track
from trapmeter.errors import MediaError
from trapmeter.media.reading import Absence, FitWithin, Reader, open_medium
from trapmeter.predict.seen import MediumSeen, SecondSeen, failed_medium
from trapmeter.records import Box, Detector, Frame, Medium, MediumKind, Status
from trapmeter.tables.boxes import MediumBoxes

BATCH = 8
"""Pictures that are looked at together: larger batches gain nothing on a processor and cost memory."""

NOT_TOLD = "the table of boxes tells nothing of this second"
CORRUPT = "the decoder calls this picture corrupt"


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


def observe(task: Task, detector: Detector | None) -> MediumSeen:
    """Everything that is seen in one medium. Without a detector the task's own boxes are used.

    A photo is a single moment: its times are answered at second 0 alone.
    """
    medium = task.medium
    size_bytes, modified_ns = 0, 0
    started = time.perf_counter()
    try:
        status = medium.path.stat()
        size_bytes, modified_ns = status.st_size, status.st_mtime_ns
        if task.boxes is not None and task.boxes.failure:
            raise MediaError(task.boxes.failure)
        looker = None if detector is None else _Looker(detector)
        with open_medium(medium, None if detector is None else FitWithin(*detector.input_hw)) as reader:
            times_s = reader.regular_times(task.every_s) if task.times_s is None else task.times_s
            found = list(_from_table(task, reader, times_s) if looker is None else looker.look(reader, times_s))
            facts = reader.facts
    except (MediaError, OSError) as error:
        reason = (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
        return failed_medium(medium.media_id, size_bytes, modified_ns, task.times_s or (), reason)
    ids = track([(second.time_s, second.boxes) for second in found])
    detect_s = 0.0 if looker is None else looker.spent_s
    return MediumSeen(
        medium.media_id,
        size_bytes,
        modified_ns,
        tuple(
            SecondSeen(second.time_s, second.status, second.reason, second.boxes, tuple(animal_ids))
            for second, animal_ids in zip(found, ids, strict=True)
        ),
        doubts=facts.doubts,
        length_s=None if medium.kind is MediumKind.PHOTO else facts.length_s,
        decode_s=time.perf_counter() - started - detect_s,
        detect_s=detect_s,
    )


@dataclass(frozen=True, slots=True)
class _Found:
    time_s: float
    status: Status
    reason: str = ""
    boxes: tuple[Box, ...] = ()


def _from_table(task: Task, reader: Reader, times_s: Sequence[float]) -> Iterator[_Found]:
    """The boxes that a table has for each second; the medium is opened for its length alone."""
    facts = reader.facts
    table = MediumBoxes("") if task.boxes is None else task.boxes.timed(facts.frame_rate)
    if table.always and task.medium.kind is MediumKind.VIDEO:
        raise MediaError("the table of boxes doesn't tell when in the video they were seen")
    for time_s in times_s:
        known = table.at(time_s)
        if time_s > 0 and time_s >= facts.length_s:
            yield _Found(time_s, Status.PAST_END, f"the medium ends at {facts.length_s:.2f} s")
        elif known is None:
            yield _found(time_s, (), NOT_TOLD)
        else:
            yield _found(time_s, tuple(box for box in known if box.score >= task.min_score), "")


class _Looker:
    """Runs the detector over a medium's pictures in batches, holding no more than one batch."""

    def __init__(self, detector: Detector) -> None:
        self._detector = detector
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


def _found(time_s: float, boxes: tuple[Box, ...], reason: str) -> _Found:
    return _Found(time_s, Status.MEASURED if boxes else Status.NO_ANIMAL, reason, boxes)
