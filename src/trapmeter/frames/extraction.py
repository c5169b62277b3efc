"""Extracts one video's frames into a frame file; what a worker runs."""

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
"""The length of a photo, so that second 0 is inside it and no other."""


@dataclass(frozen=True, slots=True)
class ExtractionResult:
    """The result for one medium: seconds with a picture in its frame file, failures, and whether its file has defects."""

    n_frames: int
    failures: tuple[FrameFailure, ...]
    is_doubtful: bool = False


@dataclass(frozen=True, slots=True)
class ExtractionTask:
    """A request to extract frames into a store."""

    store: FrameStore
    request: FrameRequest


def set_up_worker() -> None:
    """Prepares a worker process."""
    import cv2

    # There is a worker for each core, so more threads would only slow each other down.
    cv2.setNumThreads(1)


def extract_frames(task: ExtractionTask) -> ExtractionResult:
    """Writes the frame file of one medium: the requested seconds, and those that an earlier file already had.

    It decodes all pictures again from the current file, so that equal requests give equal bytes whatever came before.

    Raises:
        RunError: the frame file can't be written.
    """
    store, request = task.store, task.request
    medium = request.medium
    before = usable_index(store, medium.media_id)
    requested = {*request.times_s, *(() if before is None else (*before.entries, *before.failed))}
    try:
        source = file_state(request.medium.path)
        size = store.spec.size_hw, store.spec.resize
        with (
            open_medium(medium, decode_scale(*size)) as reader,
            new_frame_file(store.frame_file_path(medium.media_id)) as writer,
        ):
            length_s = max(reader.facts.length_s, PHOTO_LENGTH_S)
            times_s = times_inside(requested, length_s)
            last: Frame | None = None
            for time_s, shown in zip(times_s, reader.frames(times_s), strict=True):
                if isinstance(shown, MissingFrame):
                    writer.add_failed(time_s, shown.reason)
                elif shown is last:
                    writer.add_repeat(time_s)
                else:
                    writer.add(time_s, shown.time_s, encode_picture(resize_picture(shown.pixels, *size), store.spec))
                    last = shown
            index = writer.finish(medium.media_id, source, length_s, reader.facts.doubts)
    except (MediaError, OSError) as error:
        reason = (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
        return ExtractionResult(0, (FrameFailure(medium.media_id, None, reason),))
    return result_from_index(index, request)


def times_inside(times_s: Iterable[float], length_s: float) -> list[float]:
    """The requested seconds inside a medium, ascending.

    If one is past the end, the last whole second before the end is added, since windows that repeat the edge need it.
    """
    requested = {time_key(time_s) for time_s in times_s}
    inside = {time_s for time_s in requested if 0 <= time_s < length_s}
    if len(inside) < len(requested):
        inside.add(float(-(-length_s // 1) - 1))
    return sorted(inside)


def holds_request(index: FrameIndex, request: FrameRequest) -> bool:
    """Whether a frame file was made from the current video file and has a picture or a failure for each requested second."""
    try:
        is_same = index.source == file_state(request.medium.path)
    except OSError:
        return False
    return is_same and all(
        time_s in index.entries or time_s in index.failed for time_s in times_inside(request.times_s, index.length_s)
    )


def result_from_index(index: FrameIndex, request: FrameRequest) -> ExtractionResult:
    """The result of a request, according to the index of a finished frame file."""
    video_id = request.medium.media_id
    times_s = {time_key(time_s) for time_s in request.times_s}
    reasons = {time_s: reason for time_s, reason in index.failed.items() if time_s in times_s}
    for time_s in map(time_key, request.labelled_s):
        if time_s >= index.length_s:
            reasons[time_s] = f"the video ends at {index.length_s:.2f} s"
    failures = tuple(FrameFailure(video_id, time_s, reason) for time_s, reason in sorted(reasons.items()))
    return ExtractionResult(len(index.entries), failures, bool(index.doubts))


def usable_index(store: FrameStore, video_id: str) -> FrameIndex | None:
    """The index of a video's frame file; None if there is none or it is damaged."""
    try:
        return store.index(video_id)
    except InputError:
        return None
