"""Which seconds are asked for in which medium, and with which boxes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from trapmeter.errors import InputError
from trapmeter.predict.observe import Task
from trapmeter.predict.seen import MediumSeen, failed_medium
from trapmeter.predict.settings import PredictSettings
from trapmeter.records import Medium
from trapmeter.tables.boxes import BoxTable, MediumBoxes
from trapmeter.tables.drivendata import read_moments
from trapmeter.tables.names import NameIndex, contradicts


@dataclass(frozen=True, slots=True)
class Asked:
    """The work of a run.

    tasks: the media to look at; missing: videos that the table of times names and no given path holds, as failures;
    n_unasked: media that the table of times doesn't name.
    """

    tasks: tuple[Task, ...]
    missing: tuple[MediumSeen, ...]
    n_unasked: int


def what_is_asked(
    settings: PredictSettings,
    media: Sequence[Medium],
    boxes: BoxTable | None,
    min_score: float,
    known: Mapping[str, MediumBoxes] | None = None,
) -> Asked:
    """Joins media, times and boxes by name.

    boxes: a table that tells of all media, of boxes that score min_score or more. known: what came with the media themselves
    by media_id, which counts where there is no such table, and says why a medium isn't at hand.

    Raises:
        InputError: a table can't be read, or a name in it could be any of several media.
    """
    media_ids = [medium.media_id for medium in media]
    if boxes is not None:
        boxes.check(media_ids)
        if not any(boxes.find(media_id) for media_id in media_ids):
            raise InputError(
                f"{boxes.path}: none of its {len(boxes)} names is one of the media; it names {boxes.example}, and the first "
                f"medium is {media_ids[0]}"
            )
    times, missing = ({}, ()) if settings.times is None else _times(settings.times, media)
    asked = [medium for medium in media if settings.times is None or medium.media_id in times]
    known = known or {}
    tasks = tuple(
        Task(
            medium,
            times.get(medium.media_id),
            settings.every_s,
            _boxes_of(medium, boxes, known.get(medium.media_id)),
            min_score if boxes is not None else settings.min_score or 0.0,
        )
        for medium in asked
    )
    return Asked(tasks, missing, len(media) - len(asked))


def _boxes_of(medium: Medium, boxes: BoxTable | None, known: MediumBoxes | None) -> MediumBoxes | None:
    if boxes is None or (known is not None and known.failure):
        return known
    found = boxes.find(medium.media_id)
    if found is None:
        return MediumBoxes(medium.media_id, failure=f"not in {boxes.path.name}")
    if contradicts(found.name, medium.media_id, medium.path):
        return MediumBoxes(medium.media_id, failure=f"not in {boxes.path.name}, which has {found.name}")
    return found


def _times(path: Path, media: Sequence[Medium]) -> tuple[dict[str, tuple[float, ...]], tuple[MediumSeen, ...]]:
    """The seconds of each medium, ascending, and the videos in the table that aren't there."""
    wanted: dict[str, list[float]] = defaultdict(list)
    for moment in read_moments(path):
        wanted[moment.video_id].append(moment.time_s)
    if not wanted:
        raise InputError(f"{path}: no row below the header; expected one video_id and time per row")
    path_of = {medium.media_id: medium.path for medium in media}
    index = NameIndex(path_of)
    times: dict[str, tuple[float, ...]] = {}
    missing: list[MediumSeen] = []
    for video_id, times_s in wanted.items():
        found = [name for name in index.find(video_id) if not contradicts(video_id, name, path_of[name])]
        ordered = tuple(sorted(times_s))
        if len(found) > 1:
            raise InputError(
                f"{path}: {video_id} could be any of {', '.join(found[:5])}; put the folder before the name in the table"
            )
        if not found:
            missing.append(failed_medium(video_id, 0, 0, ordered, f"in {path.name}, but no such file was given"))
        elif found[0] in times:
            raise InputError(f"{path}: two names, one of them {video_id}, mean {found[0]}; keep one of them")
        else:
            times[found[0]] = ordered
    if not times:
        raise InputError(
            f"{path}: none of its {len(wanted)} videos is one of the media; it names {next(iter(wanted))}, and the first "
            f"medium is {media[0].media_id}"
        )
    return times, tuple(missing)
