"""Process one medium: decode its seconds, detect and track its animals, run the networks.

The one function here is all that a worker runs, on this machine or another. A medium that can't be read comes back as
failed rows; only our own mistakes are raised.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from trapmeter.detect.tracking import track_animals
from trapmeter.errors import InputError, MediaError
from trapmeter.frames.pictures import decode_scale
from trapmeter.frames.store import FrameStore
from trapmeter.frames.windows import Window, decoded_windows, stored_windows
from trapmeter.media.opening import open_medium
from trapmeter.media.reader import FitWithin, MediumFacts, MissingFrame, Scale
from trapmeter.prediction.medium_result import MediumResult, SecondResult, UntrackedSecond, failed_result
from trapmeter.prediction.stages import (
    DetectorStage,
    NetworkStage,
    Prefetcher,
    WindowEnsemble,
    run_stages,
    untracked_second,
)
from trapmeter.records import Detector, Medium, MediumKind, Status
from trapmeter.tables.boxes import MediumBoxes

NOT_IN_TABLE = "the table of boxes tells nothing of this second"


@dataclass(frozen=True, slots=True)
class WorkerModels:
    """What a worker looks with.

    A task's own boxes count before the detector; without either a task is answered second by second as a whole. With a
    store no video is opened: pictures and lengths come from there.
    """

    detector: Detector | None = None
    networks: WindowEnsemble | None = None
    store: FrameStore | None = None


@dataclass(frozen=True, slots=True)
class MediumTask:
    """What to look at in a medium.

    times_s: the seconds asked for, ascending, or None for every every_s seconds. boxes: animals known from a table, in
    place of a detector; boxes below min_score don't count.
    """

    medium: Medium
    times_s: tuple[float, ...] | None
    every_s: float
    boxes: MediumBoxes | None = None
    min_score: float = 0.0


def process_medium(task: MediumTask, eyes: WorkerModels) -> MediumResult:
    """Everything that is seen in one medium. A photo is a single moment: its times are answered at second 0 alone."""
    medium = task.medium
    size_bytes, modified_ns = 0, 0
    ahead = Prefetcher()
    looker = None if eyes.detector is None or task.boxes is not None else DetectorStage(eyes.detector)
    asker = None if eyes.networks is None else NetworkStage(eyes.networks)
    try:
        if task.boxes is not None and task.boxes.failure:
            raise MediaError(task.boxes.failure)
        status = medium.path.stat()
        size_bytes, modified_ns = status.st_size, status.st_mtime_ns
        if eyes.store is None:
            sight = _process_file(task, looker, asker, ahead)
        else:
            sight = _process_stored(task, eyes.store, asker, ahead)
    except (MediaError, OSError) as error:
        reason = (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
        return failed_result(medium.media_id, size_bytes, modified_ns, task.times_s or (), reason)
    return MediumResult(
        medium.media_id,
        size_bytes,
        modified_ns,
        tuple(
            SecondResult(second.time_s, second.status, second.reason, second.boxes, tuple(ids), second.answers)
            for second, ids in zip(sight.seconds, _track_ids(sight.seconds), strict=True)
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
class _Content:
    """The seconds of a medium, with answers where networks were asked, and what is known of the medium."""

    seconds: Sequence[UntrackedSecond]
    length_s: float
    doubts: tuple[str, ...] = ()
    hfov_deg: float | None = None
    aspect: float | None = None
    recorded: str = ""


def _process_file(
    task: MediumTask, looker: DetectorStage | None, asker: NetworkStage | None, ahead: Prefetcher
) -> _Content:
    scales: list[Scale] = [] if looker is None else [FitWithin(*looker.input_hw)]
    if looker is not None and asker is not None:
        scales.append(decode_scale(asker.spec.size_hw, asker.spec.resize))
    with open_medium(task.medium, *scales) as reader:
        facts = reader.facts
        times_s = reader.regular_times(task.every_s) if task.times_s is None else task.times_s
        if looker is not None and asker is not None:
            found = list(run_stages(reader, times_s, looker, asker, ahead))
            return _file_content(found, reader.facts)
        if looker is not None:
            found = list(looker.detect(ahead.prefetch(zip(times_s, reader.frames(times_s), strict=True))))
        else:
            found = list(_known_seconds(task, times_s, facts.length_s, facts.frame_rate))
        # Doubts have grown while frames were read.
        facts = reader.facts
    if asker is not None:
        with_animals = [second.time_s for second in found if second.boxes]
        windows = decoded_windows(task.medium, with_animals, asker.spec) if with_animals else iter(())
        found = _run_networks(asker, found, ahead.prefetch(windows))
    return _file_content(found, facts)


def _file_content(seconds: Sequence[UntrackedSecond], facts: MediumFacts) -> _Content:
    return _Content(seconds, facts.length_s, facts.doubts, facts.hfov_deg, facts.aspect, facts.recorded)


def _process_stored(task: MediumTask, store: FrameStore, asker: NetworkStage | None, ahead: Prefetcher) -> _Content:
    media_id = task.medium.media_id
    try:
        length_s = store.length_s(media_id)
    except InputError as error:
        raise MediaError(str(error)) from error
    found = list(_known_seconds(task, task.times_s or (), length_s, None))
    if asker is not None:
        with_animals = [second.time_s for second in found if second.boxes]
        found = _run_networks(asker, found, ahead.prefetch(stored_windows(store, media_id, with_animals, asker.spec)))
    return _Content(found, length_s)


def _run_networks(
    asker: NetworkStage, found: Sequence[UntrackedSecond], windows: Iterator[Window | MissingFrame]
) -> list[UntrackedSecond]:
    """windows: one for each second that has animals."""
    return list(asker.predict((second, next(windows) if second.boxes else None) for second in found))


def _known_seconds(
    task: MediumTask, times_s: Sequence[float], length_s: float, frame_rate: float | None
) -> Iterator[UntrackedSecond]:
    """The boxes that a table has for each second; without a table each second counts as one animal, wherever it is."""
    table = None if task.boxes is None else task.boxes.with_frame_rate(frame_rate)
    if table is not None and task.medium.kind is MediumKind.VIDEO:
        if table.untimed:
            raise MediaError("the table of boxes doesn't tell when in the video they were seen")
        if table.by_frame_number:
            raise MediaError("the table of boxes counts frames; a frame store doesn't know their seconds")
    for time_s in times_s:
        known = None if table is None else table.at(time_s)
        if time_s > 0 and time_s >= length_s:
            yield UntrackedSecond(time_s, Status.PAST_END, f"the medium ends at {length_s:.2f} s")
        elif table is None:
            yield UntrackedSecond(time_s, Status.MEASURED, boxes=(None,))
        elif known is None:
            yield untracked_second(time_s, (), NOT_IN_TABLE)
        else:
            yield untracked_second(time_s, tuple(box for box in known if box.score >= task.min_score), "")


def _track_ids(found: Sequence[UntrackedSecond]) -> list[list[int]]:
    """The ids of each second's animals; a second that is answered as a whole has 0, since nobody saw who was there."""
    ids = track_animals([(s.time_s, [box for box in s.boxes if box is not None]) for s in found])
    return [
        [0] * len(second.boxes) if None in second.boxes else next_ids
        for second, next_ids in zip(found, ids, strict=True)
    ]
