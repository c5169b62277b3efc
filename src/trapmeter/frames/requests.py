"""Which frames of which videos a store needs, from tables and offsets."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from trapmeter.errors import InputError
from trapmeter.frames.index import time_key
from trapmeter.media.discovery import find_media
from trapmeter.records import Medium, VideoSecond
from trapmeter.storage.address import AnyPath
from trapmeter.tables.drivendata import read_video_seconds
from trapmeter.tables.file_names import NameIndex


@dataclass(frozen=True, slots=True)
class FrameRequest:
    """What a store should hold of one medium. The store calls it by its media_id.

    times_s: ascending, >= 0; those past the end are left out without a word. labelled_s: those among them that must lie
    inside the medium: past its end they are reported as failed.
    """

    medium: Medium
    times_s: tuple[float, ...]
    labelled_s: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class FrameFailure:
    """Why a second of a video, or with time_s None all of it, is not in the store."""

    video_id: str
    time_s: float | None
    reason: str


def needed_times(moments: Iterable[VideoSecond], offsets_s: Sequence[float]) -> dict[str, tuple[float, ...]]:
    """By video, the seconds (ascending, each once) that the windows around the given moments are made of.

    A second before the start becomes second 0, which stands in for it in windows that repeat the edge; what stands in past
    the end is known only when the video is open.

    Example:
        >>> needed_times([VideoSecond("a.mp4", 1.0)], (-2, -1, 0, 1, 2))
        {'a.mp4': (0.0, 1.0, 2.0, 3.0)}
    """
    times: dict[str, set[float]] = defaultdict(set)
    for asked in moments:
        # Made of the same roundings as `windows.window_times`.
        times[asked.video_id].update(max(0.0, time_key(asked.time_s + offset)) for offset in offsets_s)
    return {video_id: tuple(sorted(found)) for video_id, found in times.items()}


def requests_from_rows(
    moments: Sequence[VideoSecond], media: Sequence[Medium], offsets_s: Sequence[float]
) -> tuple[list[FrameRequest], list[FrameFailure]]:
    """Joins the names in the tables to the files: what to store, and the videos that no file is there for.

    The store calls each video as the tables do, so that who reads the tables can read the store.

    Raises:
        InputError: no moments at all, a name could be any of several files, or two names mean one file.
    """
    if not moments:
        raise InputError("the tables have no row below the header; expected one video_id and time per row")
    labelled: dict[str, set[float]] = defaultdict(set)
    for asked in moments:
        labelled[asked.video_id].add(time_key(asked.time_s))
    by_id = {medium.media_id: medium for medium in media}
    index = NameIndex(by_id)
    if shared := index.clashes(labelled):
        media_id, names = next(iter(shared.items()))
        raise InputError(f"{' and '.join(names[:5])} in the tables both mean {media_id}; keep one of the names")
    wanted: list[FrameRequest] = []
    missing: list[FrameFailure] = []
    for video_id, times_s in needed_times(moments, offsets_s).items():
        found = index.find(video_id)
        if len(found) > 1:
            raise InputError(
                f"{video_id} could be any of {', '.join(found[:5])}; put the folder before the name in the table"
            )
        if found:
            medium = replace(by_id[found[0]], media_id=video_id)
            wanted.append(FrameRequest(medium, times_s, tuple(sorted(labelled[video_id]))))
        else:
            missing.append(FrameFailure(video_id, None, "in the tables, but there is no such file"))
    return wanted, missing


def read_requests(
    tables: Sequence[Path], videos: AnyPath, offsets_s: Sequence[float]
) -> tuple[list[FrameRequest], list[FrameFailure]]:
    """`requests_from_rows` for tables with video_id and time (labels, submission formats) and a place that holds videos.

    Raises:
        InputError: a table can't be read, the folder holds no video, or names can't be told apart.
    """
    moments = [asked for table in tables for asked in read_video_seconds(table)]
    return requests_from_rows(moments, find_media([videos]).media, offsets_s)
