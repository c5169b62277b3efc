"""One video into one shard: what a worker process does while a store is filled."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from trapmeter.errors import InputError, MediaError
from trapmeter.frames.frame_file import new_frame_file
from trapmeter.frames.index import FrameIndex, time_key
from trapmeter.frames.pictures import decode_scale, encode_picture, resize_picture
from trapmeter.frames.requests import FrameFailure, FrameRequest
from trapmeter.frames.store import FrameStore
from trapmeter.media.opening import open_medium
from trapmeter.media.reader import MissingFrame
from trapmeter.records import Frame
from trapmeter.storage.remote import file_state

PHOTO_LENGTH_S = 1e-6
"""A photo's length: second 0 lies inside it, and nothing else."""


@dataclass(frozen=True, slots=True)
class ExtractionResult:
    """What became of one medium: how many pictures are in its shard, what failed, and whether its file is doubtful."""

    n_frames: int
    failures: tuple[FrameFailure, ...]
    is_doubtful: bool = False


@dataclass(frozen=True, slots=True)
class ExtractionTask:
    """What a worker is sent."""

    store: FrameStore
    wanted: FrameRequest


def set_up_worker() -> None:
    """Called once in each worker."""
    import cv2

    # A worker has a core to itself; with more threads the workers would only be in each other's way.
    cv2.setNumThreads(1)


def extract_frames(task: ExtractionTask) -> ExtractionResult:
    """Writes the shard of one medium: what is wanted, and what an earlier shard held besides.

    All pictures are decoded anew from the file as it is now: whatever came before, the same wishes give the same bytes.

    Raises:
        RunError: the shard can't be written.
    """
    store, wanted = task.store, task.wanted
    medium = wanted.medium
    before = usable_index(store, medium.media_id)
    asked = {*wanted.times_s, *(() if before is None else (*before.entries, *before.failed))}
    try:
        source = file_state(wanted.medium.path)
        size = store.spec.size_hw, store.spec.resize
        with (
            open_medium(medium, decode_scale(*size)) as reader,
            new_frame_file(store.frame_file_path(medium.media_id)) as shard,
        ):
            length_s = max(reader.facts.length_s, PHOTO_LENGTH_S)
            times_s = times_inside(asked, length_s)
            last: Frame | None = None
            for time_s, shown in zip(times_s, reader.frames(times_s), strict=True):
                if isinstance(shown, MissingFrame):
                    shard.add_failed(time_s, shown.reason)
                elif shown is last:
                    shard.add_repeat(time_s)
                else:
                    shard.add(time_s, shown.time_s, encode_picture(resize_picture(shown.pixels, *size), store.spec))
                    last = shown
            index = shard.finish(medium.media_id, source, length_s, reader.facts.doubts)
    except (MediaError, OSError) as error:
        reason = (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
        return ExtractionResult(0, (FrameFailure(medium.media_id, None, reason),))
    return result_from_index(index, wanted)


def times_inside(times_s: Iterable[float], length_s: float) -> list[float]:
    """The wanted seconds that lie inside a medium, ascending.

    Where one lies past the end, the last whole second before it is wanted too: windows that repeat the edge show it.
    """
    asked = {time_key(time_s) for time_s in times_s}
    inside = {time_s for time_s in asked if 0 <= time_s < length_s}
    if len(inside) < len(asked):
        inside.add(float(-(-length_s // 1) - 1))
    return sorted(inside)


def holds_request(index: FrameIndex, wanted: FrameRequest) -> bool:
    """A shard was made of the file as it is now, and has an answer for every second that is wanted."""
    try:
        is_same = index.source == file_state(wanted.medium.path)
    except OSError:
        return False
    return is_same and all(
        time_s in index.entries or time_s in index.failed for time_s in times_inside(wanted.times_s, index.length_s)
    )


def result_from_index(index: FrameIndex, wanted: FrameRequest) -> ExtractionResult:
    """What a finished shard says of what was wanted."""
    video_id = wanted.medium.media_id
    times_s = {time_key(time_s) for time_s in wanted.times_s}
    reasons = {time_s: reason for time_s, reason in index.failed.items() if time_s in times_s}
    for time_s in map(time_key, wanted.labelled_s):
        if time_s >= index.length_s:
            reasons[time_s] = f"the video ends at {index.length_s:.2f} s"
    failures = tuple(FrameFailure(video_id, time_s, reason) for time_s, reason in sorted(reasons.items()))
    return ExtractionResult(len(index.entries), failures, bool(index.doubts))


def usable_index(store: FrameStore, video_id: str) -> FrameIndex | None:
    """What the store has of a video; None where it has nothing, or nothing that can be used."""
    try:
        return store.index(video_id)
    except InputError:
        return None
