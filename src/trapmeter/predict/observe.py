"""Looks at one medium: decodes the seconds asked for, finds the animals, follows them through time, asks the networks.

The one function here is all that a worker runs, on this machine or another. A medium that can't be read comes back as
failed rows; only our own mistakes are raised.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from trapmeter.detect.tracking import track
from trapmeter.errors import InputError, MediaError
from trapmeter.frames.sizing import decoded_size
from trapmeter.frames.store import FrameStore
from trapmeter.media.reading import Absence, FitWithin, MediumFacts, Scale, open_medium
from trapmeter.predict.ahead import Ahead
from trapmeter.predict.asker import Asker, WindowNetworks
from trapmeter.predict.looker import Looker, found_second
from trapmeter.predict.one_pass import look_and_ask
from trapmeter.predict.seen import FoundSecond, MediumSeen, SecondSeen, failed_medium
from trapmeter.predict.windows import Window, decoded_windows, stored_windows
from trapmeter.records import Detector, Medium, MediumKind, Status
from trapmeter.tables.boxes import MediumBoxes

NOT_TOLD = "the table of boxes tells nothing of this second"


@dataclass(frozen=True, slots=True)
class Eyes:
    """What a worker looks with.

    A task's own boxes count before the detector; without either a task is answered second by second as a whole. With a
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
    ahead = Ahead()
    looker = None if eyes.detector is None or task.boxes is not None else Looker(eyes.detector)
    asker = None if eyes.networks is None else Asker(eyes.networks)
    try:
        if task.boxes is not None and task.boxes.failure:
            raise MediaError(task.boxes.failure)
        status = medium.path.stat()
        size_bytes, modified_ns = status.st_size, status.st_mtime_ns
        if eyes.store is None:
            sight = _look_at_file(task, looker, asker, ahead)
        else:
            sight = _look_at_store(task, eyes.store, asker, ahead)
    except (MediaError, OSError) as error:
        reason = (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
        return failed_medium(medium.media_id, size_bytes, modified_ns, task.times_s or (), reason)
    return MediumSeen(
        medium.media_id,
        size_bytes,
        modified_ns,
        tuple(
            SecondSeen(second.time_s, second.status, second.reason, second.boxes, tuple(ids), second.answers)
            for second, ids in zip(sight.seconds, _animal_ids(sight.seconds), strict=True)
        ),
        doubts=sight.doubts,
        hfov_deg=sight.hfov_deg,
        aspect=sight.aspect,
        length_s=None if medium.kind is MediumKind.PHOTO else sight.length_s,
        recorded=sight.recorded,
        is_night=None if looker is None else looker.is_night,
        decode_s=ahead.spent_s,
        detect_s=0.0 if looker is None else looker.spent_s,
        network_s=0.0 if asker is None else asker.spent_s,
    )


@dataclass(frozen=True, slots=True)
class _Sight:
    """The seconds of a medium, with answers where networks were asked, and what is known of the medium."""

    seconds: Sequence[FoundSecond]
    length_s: float
    doubts: tuple[str, ...] = ()
    hfov_deg: float | None = None
    aspect: float | None = None
    recorded: str = ""


def _look_at_file(task: Task, looker: Looker | None, asker: Asker | None, ahead: Ahead) -> _Sight:
    scales: list[Scale] = [] if looker is None else [FitWithin(*looker.input_hw)]
    if looker is not None and asker is not None:
        scales.append(decoded_size(asker.spec.size_hw, asker.spec.resize))
    with open_medium(task.medium, *scales) as reader:
        facts = reader.facts
        times_s = reader.regular_times(task.every_s) if task.times_s is None else task.times_s
        if looker is not None and asker is not None:
            found = list(look_and_ask(reader, times_s, looker, asker, ahead))
            return _sight(found, reader.facts)
        if looker is not None:
            found = list(looker.look(ahead.over(zip(times_s, reader.frames(times_s), strict=True))))
        else:
            found = list(_without_looking(task, times_s, facts.length_s, facts.frame_rate))
        # Doubts have grown while frames were read.
        facts = reader.facts
    if asker is not None:
        with_animals = [second.time_s for second in found if second.boxes]
        windows = decoded_windows(task.medium, with_animals, asker.spec) if with_animals else iter(())
        found = _ask(asker, found, ahead.over(windows))
    return _sight(found, facts)


def _sight(seconds: Sequence[FoundSecond], facts: MediumFacts) -> _Sight:
    return _Sight(seconds, facts.length_s, facts.doubts, facts.hfov_deg, facts.aspect, facts.recorded)


def _look_at_store(task: Task, store: FrameStore, asker: Asker | None, ahead: Ahead) -> _Sight:
    media_id = task.medium.media_id
    try:
        length_s = store.length_s(media_id)
    except InputError as error:
        raise MediaError(str(error)) from error
    found = list(_without_looking(task, task.times_s or (), length_s, None))
    if asker is not None:
        with_animals = [second.time_s for second in found if second.boxes]
        found = _ask(asker, found, ahead.over(stored_windows(store, media_id, with_animals, asker.spec)))
    return _Sight(found, length_s)


def _ask(asker: Asker, found: Sequence[FoundSecond], windows: Iterator[Window | Absence]) -> list[FoundSecond]:
    """windows: one for each second that has animals."""
    return list(asker.ask((second, next(windows) if second.boxes else None) for second in found))


def _without_looking(
    task: Task, times_s: Sequence[float], length_s: float, frame_rate: float | None
) -> Iterator[FoundSecond]:
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
            yield FoundSecond(time_s, Status.PAST_END, f"the medium ends at {length_s:.2f} s")
        elif table is None:
            yield FoundSecond(time_s, Status.MEASURED, boxes=(None,))
        elif known is None:
            yield found_second(time_s, (), NOT_TOLD)
        else:
            yield found_second(time_s, tuple(box for box in known if box.score >= task.min_score), "")


def _animal_ids(found: Sequence[FoundSecond]) -> list[list[int]]:
    """The ids of each second's animals; a second that is answered as a whole has 0, since nobody saw who was there."""
    ids = track([(s.time_s, [box for box in s.boxes if box is not None]) for s in found])
    return [
        [0] * len(second.boxes) if None in second.boxes else next_ids
        for second, next_ids in zip(found, ids, strict=True)
    ]
