"""Processes one medium: decodes its seconds, detects and tracks its animals, runs the networks.

`process_medium` is all that a worker runs, on this machine or another. A medium that can't be read comes back as failed
rows, as does one whose pictures a network can't process; only internal errors are raised.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from trapmeter.detect.second_look import SecondLook
from trapmeter.detect.tracking import track_animals
from trapmeter.errors import InputError, MediaError, ModelError
from trapmeter.facts import NO_FACTS, Facts
from trapmeter.frames.pictures import decode_scale
from trapmeter.frames.store import FrameStore
from trapmeter.frames.windows import Window, decoded_windows, stored_windows
from trapmeter.media.opening import open_medium
from trapmeter.media.reader import FitWithin, MediumFacts, MissingFrame, Scale
from trapmeter.prediction.medium_result import MediumResult, SecondResult, UntrackedSecond, failed_result
from trapmeter.prediction.network_facts import facts_of_medium
from trapmeter.prediction.stages import (
    DetectorStage,
    NetworkStage,
    Prefetcher,
    WindowEnsemble,
    run_stages,
    untracked_second,
)
from trapmeter.records import Detector, Medium, MediumKind, Status
from trapmeter.storage.address import FileState
from trapmeter.storage.remote import file_state
from trapmeter.tables.boxes import MediumBoxes
from trapmeter.tables.species_names import is_animal

NOT_IN_TABLE = "the table of boxes says nothing about this second"
"""A text of distances.csv."""


@dataclass(frozen=True, slots=True)
class WorkerModels:
    """The models of a worker.

    A task's own boxes take the place of the detector; without either, each second is measured as a single animal, wherever
    it is. With a store no video is opened: pictures and lengths come from there. second_look: decides which of the detector's
    boxes are animals, and finds more; None if all of them are.
    """

    detector: Detector | None = None
    networks: WindowEnsemble | None = None
    store: FrameStore | None = None
    second_look: SecondLook | None = None


@dataclass(frozen=True, slots=True)
class MediumTask:
    """What to process in a medium.

    times_s: the requested seconds, ascending; None for every every_s seconds. boxes: known animals, in place of a detector;
    boxes below min_score are left out. facts: what networks are told that take facts; with exif also the lens in the file.
    """

    medium: Medium
    times_s: tuple[float, ...] | None
    every_s: float
    boxes: MediumBoxes | None = None
    min_score: float = 0.0
    facts: Facts = NO_FACTS
    exif: bool = False

    @property
    def told(self) -> str:
        """The facts as text, to compare with `MediumResult.told`."""
        return f"{self.facts}{' or EXIF' if self.exif else ''}"


def process_medium(task: MediumTask, models: WorkerModels) -> MediumResult:
    """The animals of one medium. A photo has one second only, 0; other requested times are past its end."""
    medium = task.medium
    state = FileState(0, 0)
    prefetcher = Prefetcher()
    detector = (
        None
        if models.detector is None or task.boxes is not None
        else DetectorStage(models.detector, models.second_look)
    )
    networks = None if models.networks is None else NetworkStage(models.networks)
    try:
        if task.boxes is not None and task.boxes.failure:
            raise MediaError(task.boxes.failure)
        state = file_state(medium.path)
        if models.store is None:
            content = _process_file(task, detector, networks, prefetcher)
        else:
            content = _process_stored(task, models.store, networks, prefetcher)
    except (MediaError, ModelError, OSError) as error:
        reason = (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
        return failed_result(medium.media_id, *state, task.times_s or (), reason)
    return MediumResult(
        medium.media_id,
        *state,
        tuple(
            SecondResult(
                *(second.time_s, second.status, second.reason, second.boxes, tuple(ids), second.answers, second.others)
            )
            for second, ids in zip(content.seconds, _track_ids(content.seconds), strict=True)
        ),
        doubts=content.doubts,
        hfov_deg=content.hfov_deg,
        aspect=content.aspect,
        length_s=None if medium.kind is MediumKind.PHOTO else content.length_s,
        recorded=content.recorded,
        camera_make=content.camera_make,
        camera_model=content.camera_model,
        camera_serial=content.camera_serial,
        told=task.told if networks is not None and networks.spec.facts else "",
        is_night=None if detector is None else detector.is_night,
        decode_s=prefetcher.spent_s,
        detect_s=0.0 if detector is None else detector.spent_s,
        network_s=0.0 if networks is None else networks.spent_s,
    )


@dataclass(frozen=True, slots=True)
class _Content:
    """The seconds of a medium, with predictions if networks ran, and the facts of the medium."""

    seconds: Sequence[UntrackedSecond]
    length_s: float
    doubts: tuple[str, ...] = ()
    hfov_deg: float | None = None
    aspect: float | None = None
    recorded: str = ""
    camera_make: str = ""
    camera_model: str = ""
    camera_serial: str = ""


def _process_file(
    task: MediumTask, detector: DetectorStage | None, networks: NetworkStage | None, prefetcher: Prefetcher
) -> _Content:
    scales: list[Scale] = [] if detector is None else [FitWithin(*detector.input_hw)]
    if detector is not None and networks is not None:
        scales.append(decode_scale(networks.spec.size_hw, networks.spec.resize))
    with open_medium(task.medium, *scales) as reader:
        facts = reader.facts
        times_s = reader.regular_times(task.every_s) if task.times_s is None else task.times_s
        if detector is not None and networks is not None:
            told = facts_of_medium(task.facts, facts, exif=task.exif)
            seconds = list(run_stages(reader, times_s, detector, networks, prefetcher, told))
            return _file_content(seconds, reader.facts)
        if detector is not None:
            pictures = zip(times_s, reader.frames(times_s), strict=True)
            seconds = list(detector.detect(prefetcher.prefetch(pictures)))
        else:
            seconds = list(_known_seconds(task, times_s, facts.length_s, facts.frame_rate))
        # Reading frames may have added doubts.
        facts = reader.facts
    if networks is not None:
        with_animals = [second.time_s for second in seconds if second.boxes]
        windows = decoded_windows(task.medium, with_animals, networks.spec) if with_animals else iter(())
        told = facts_of_medium(task.facts, facts, exif=task.exif)
        seconds = _run_networks(networks, seconds, prefetcher.prefetch(windows), told)
    return _file_content(seconds, facts)


def _file_content(seconds: Sequence[UntrackedSecond], facts: MediumFacts) -> _Content:
    return _Content(
        seconds,
        facts.length_s,
        facts.doubts,
        facts.hfov_deg,
        facts.aspect,
        facts.recorded,
        facts.camera_make,
        facts.camera_model,
        facts.camera_serial,
    )


def _process_stored(
    task: MediumTask, store: FrameStore, networks: NetworkStage | None, prefetcher: Prefetcher
) -> _Content:
    media_id = task.medium.media_id
    try:
        length_s = store.length_s(media_id)
    except InputError as error:
        raise MediaError(str(error)) from error
    seconds = list(_known_seconds(task, task.times_s or (), length_s, None))
    if networks is not None:
        with_animals = [second.time_s for second in seconds if second.boxes]
        windows = stored_windows(store, media_id, with_animals, networks.spec)
        told = facts_of_medium(task.facts, None, exif=False)
        seconds = _run_networks(networks, seconds, prefetcher.prefetch(windows), told)
    return _Content(seconds, length_s)


def _run_networks(
    networks: NetworkStage, seconds: Sequence[UntrackedSecond], windows: Iterator[Window | MissingFrame], facts: Facts
) -> list[UntrackedSecond]:
    """windows: one for each second that has animals."""
    return list(networks.predict(((second, next(windows) if second.boxes else None) for second in seconds), facts))


def _known_seconds(
    task: MediumTask, times_s: Sequence[float], length_s: float, frame_rate: float | None
) -> Iterator[UntrackedSecond]:
    """Each second with the boxes of the task's table; without a table each second counts as one animal, wherever it is."""
    table = None if task.boxes is None else task.boxes.with_frame_rate(frame_rate)
    if table is not None and task.medium.kind is MediumKind.VIDEO:
        # Both texts end up in distances.csv.
        if table.untimed:
            raise MediaError("the table of boxes doesn't tell when in the video they were seen")
        if table.by_frame_number:
            raise MediaError("the table of boxes counts frames; a frame store doesn't know their seconds")
    for time_s in times_s:
        boxes = None if table is None else table.at(time_s)
        if time_s > 0 and time_s >= length_s:
            yield UntrackedSecond(time_s, Status.PAST_END, f"the medium ends at {length_s:.2f} s")
        elif table is None:
            yield UntrackedSecond(time_s, Status.MEASURED, boxes=(None,))
        elif boxes is None:
            yield UntrackedSecond(time_s, Status.UNKNOWN, NOT_IN_TABLE)
        else:
            kept = [box for box in boxes if box.score >= task.min_score]
            animals = tuple(box for box in kept if is_animal(box.species))
            others = tuple(box for box in kept if not is_animal(box.species))
            yield replace(untracked_second(time_s, animals, ""), others=others)


def _track_ids(seconds: Sequence[UntrackedSecond]) -> list[list[int]]:
    """The ids of each second's animals; 0 in a second that was measured without detection."""
    ids = track_animals([(s.time_s, [box for box in s.boxes if box is not None]) for s in seconds])
    return [
        [0] * len(second.boxes) if None in second.boxes else second_ids
        for second, second_ids in zip(seconds, ids, strict=True)
    ]
