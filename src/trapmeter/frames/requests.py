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
    """The seconds of one medium that a store should hold, under its media_id.

    times_s: ascending, >= 0; those past the end are silently left out. labelled_s: those among them that must be inside the
    medium, and are reported as failed if they are past its end.
    """

    medium: Medium
    times_s: tuple[float, ...]
    labelled_s: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class FrameFailure:
    """Why a second of a video, or (time_s None) the entire video, is not in the store."""

    video_id: str
    time_s: float | None
    reason: str


def needed_times(seconds: Iterable[VideoSecond], offsets_s: Sequence[float]) -> dict[str, tuple[float, ...]]:
    """The seconds of the windows around the given ones, by video; ascending, each once.

    A second before the start becomes second 0, which replaces it in windows that repeat the edge. What replaces a second past
    the end is known only once the video is open.

    Example:
        >>> needed_times([VideoSecond("a.mp4", 1.0)], (-2, -1, 0, 1, 2))
        {'a.mp4': (0.0, 1.0, 2.0, 3.0)}
    """
    times: dict[str, set[float]] = defaultdict(set)
    for second in seconds:
        # Rounded as in `windows.window_times`.
        times[second.video_id].update(max(0.0, time_key(second.time_s + offset)) for offset in offsets_s)
    return {video_id: tuple(sorted(times_s)) for video_id, times_s in times.items()}


def requests_from_rows(
    rows: Sequence[VideoSecond], media: Sequence[Medium], offsets_s: Sequence[float]
) -> tuple[list[FrameRequest], list[FrameFailure]]:
    """Matches the names in the tables to files; returns what to store, and the videos without a file.

    The store uses the tables' names of the videos, so that readers of the tables can read the store.

    Raises:
        InputError: there are no rows, a name matches several files, or two names match one file.
    """
    if not rows:
        raise InputError("the tables have no row below the header; expected one video_id and time per row")
    labelled: dict[str, set[float]] = defaultdict(set)
    for row in rows:
        labelled[row.video_id].add(time_key(row.time_s))
    by_id = {medium.media_id: medium for medium in media}
    index = NameIndex(by_id)
    if shared := index.clashes(labelled):
        media_id, names = next(iter(shared.items()))
        raise InputError(f"{' and '.join(names[:5])} in the tables both mean {media_id}; keep one of the names")
    requests: list[FrameRequest] = []
    missing: list[FrameFailure] = []
    for video_id, times_s in needed_times(rows, offsets_s).items():
        found = index.find(video_id)
        if len(found) > 1:
            raise InputError(
                f"{video_id} could be any of {', '.join(found[:5])}; put the folder before the name in the table"
            )
        if found:
            medium = replace(by_id[found[0]], media_id=video_id)
            requests.append(FrameRequest(medium, times_s, tuple(sorted(labelled[video_id]))))
        else:
            missing.append(FrameFailure(video_id, None, "in the tables, but there is no such file"))
    return requests, missing


def read_requests(
    tables: Sequence[str | Path], videos: AnyPath, offsets_s: Sequence[float]
) -> tuple[list[FrameRequest], list[FrameFailure]]:
    """`requests_from_rows` for tables with video_id and time (labels, submission formats) and a folder with videos.

    Raises:
        InputError: a table can't be read, the folder has no video, or a name is ambiguous.
    """
    rows = [row for table in tables for row in read_video_seconds(Path(table))]
    return requests_from_rows(rows, find_media([videos]).media, offsets_s)
