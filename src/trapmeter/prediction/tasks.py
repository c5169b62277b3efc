"""Plans which seconds of which media to process, and with which known boxes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from trapmeter.errors import InputError
from trapmeter.prediction.medium_pipeline import MediumTask
from trapmeter.prediction.medium_result import MediumResult, failed_result
from trapmeter.prediction.settings import PredictSettings
from trapmeter.records import Medium
from trapmeter.tables.boxes import BoxTable, MediumBoxes
from trapmeter.tables.drivendata import read_video_seconds
from trapmeter.tables.file_names import NameIndex, match_below_other_root, names_other_folder


@dataclass(frozen=True, slots=True)
class TaskPlan:
    """The work of a run.

    tasks: the media to process; missing: videos that the table of times names but no input path holds, as failures;
    n_unasked: media that the table of times does not name. notes: what the user should know about the tables.
    """

    tasks: tuple[MediumTask, ...]
    missing: tuple[MediumResult, ...]
    n_unasked: int
    notes: tuple[str, ...] = ()


def plan_tasks(
    settings: PredictSettings,
    media: Sequence[Medium],
    boxes: BoxTable | None,
    min_score: float,
    package_boxes: Mapping[str, MediumBoxes] | None = None,
) -> TaskPlan:
    """Joins media, times and boxes by name.

    boxes: a table for all media; its boxes must score min_score or more. package_boxes: boxes by media_id from the media's
    Camtrap DP, used if there is no such table; they also say why a medium is not available.

    Raises:
        InputError: a table can't be read, or a name in it could mean several media.
    """
    media_ids = [medium.media_id for medium in media]
    notes: tuple[str, ...] = ()
    if boxes is not None:
        boxes, notes = _with_own_names(boxes, media)
        boxes.check(media_ids)
        if not any(boxes.find(media_id) for media_id in media_ids):
            raise InputError(
                f"{boxes.path}: none of its {len(boxes)} names is one of the media; it names {boxes.example}, and the first "
                f"medium is {media_ids[0]}"
            )
    times, missing, time_notes = ({}, (), ()) if settings.times is None else _read_times(settings.times, media)
    requested = [medium for medium in media if settings.times is None or medium.media_id in times]
    package_boxes = package_boxes or {}
    tasks = tuple(
        MediumTask(
            medium,
            times.get(medium.media_id),
            settings.every_s,
            _boxes_for(medium, boxes, package_boxes.get(medium.media_id)),
            min_score if boxes is not None else settings.min_score or 0.0,
        )
        for medium in requested
    )
    return TaskPlan(tasks, missing, len(media) - len(requested), (*notes, *time_notes))


def _with_own_names(boxes: BoxTable, media: Sequence[Medium]) -> tuple[BoxTable, tuple[str, ...]]:
    """The table as it is if it fits the media; else with the names that they had under another folder, and a note."""
    names_of = {medium: boxes.names_for(medium.media_id) for medium in media}
    if any(names_of.values()) and all(
        medium.media_id in names
        or not names
        or (len(names) == 1 and not names_other_folder(names[0], medium.media_id, medium.path))
        for medium, names in names_of.items()
    ):
        return boxes, ()
    moved = boxes.below_other_root(medium.media_id for medium in media)
    return (boxes, ()) if moved is None else (moved[0], (_moved_note(boxes.path, moved[1], len(moved[0])),))


def _moved_note(path: Path, root: str, n_names: int) -> str:
    return f"{path.name} names the media in another folder, {root or 'their own'}: {n_names:,} names match below it"


def _boxes_for(medium: Medium, boxes: BoxTable | None, package_boxes: MediumBoxes | None) -> MediumBoxes | None:
    # The failures' texts end up in distances.csv.
    if boxes is None or (package_boxes is not None and package_boxes.failure):
        return package_boxes
    found = boxes.find(medium.media_id)
    if found is None:
        return MediumBoxes(medium.media_id, failure=f"not in {boxes.path.name}")
    if names_other_folder(found.name, medium.media_id, medium.path):
        return MediumBoxes(medium.media_id, failure=f"not in {boxes.path.name}, which has {found.name}")
    return found


def _read_times(
    path: Path, media: Sequence[Medium]
) -> tuple[dict[str, tuple[float, ...]], tuple[MediumResult, ...], tuple[str, ...]]:
    """The requested seconds of each medium, ascending; the videos of the table that are missing; and notes."""
    times_by_video: dict[str, list[float]] = defaultdict(list)
    for second in read_video_seconds(path):
        times_by_video[second.video_id].append(second.time_s)
    if not times_by_video:
        raise InputError(f"{path}: no row below the header; expected one video_id and time per row")
    path_of = {medium.media_id: medium.path for medium in media}
    index = NameIndex(path_of)

    def find(video_id: str) -> list[str]:
        return [name for name in index.find(video_id) if not names_other_folder(video_id, name, path_of[name])]

    notes: tuple[str, ...] = ()
    if not all(map(find, times_by_video)) and (moved := match_below_other_root(times_by_video, path_of)):
        own_names = {name: media_id for media_id, name in moved[0].items()}
        times_by_video = {own_names.get(name, name): times_s for name, times_s in times_by_video.items()}
        notes = (_moved_note(path, moved[1], len(own_names)),)
    times: dict[str, tuple[float, ...]] = {}
    missing: list[MediumResult] = []
    for video_id, times_s in times_by_video.items():
        found = find(video_id)
        ordered = tuple(sorted(times_s))
        if len(found) > 1:
            raise InputError(
                f"{path}: {video_id} could be any of {', '.join(found[:5])}; put the folder before the name in the table"
            )
        if not found:
            missing.append(failed_result(video_id, 0, 0, ordered, f"in {path.name}, but no such file was given"))
        elif found[0] in times:
            raise InputError(f"{path}: two names, one of them {video_id}, mean {found[0]}; keep one of them")
        else:
            times[found[0]] = ordered
    if not times:
        raise InputError(
            f"{path}: none of its {len(times_by_video)} videos is one of the media; it names "
            f"{next(iter(times_by_video))}, and the first medium is {media[0].media_id}"
        )
    return times, tuple(missing), notes
