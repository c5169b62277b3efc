"""The windows that networks need, cut from a medium's pictures or read from a frame store."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from trapmeter.errors import InputError
from trapmeter.frames.extraction import PHOTO_LENGTH_S
from trapmeter.frames.pictures import decode_scale, resize_picture
from trapmeter.frames.store import FrameStore
from trapmeter.media.opening import open_medium
from trapmeter.media.reader import MissingFrame
from trapmeter.models.input_spec import InputSpec
from trapmeter.records import Medium, Pixels, Status
from trapmeter.windows import window_times

Window = NDArray[np.uint8]
"""uint8 (frames, height, width, 3), RGB, in the order of a network's offsets."""

WindowTimes = tuple[float | None, ...]
"""The second of each frame of a window; None stands for a black frame."""


def decoded_windows(medium: Medium, times_s: Sequence[float], spec: InputSpec) -> Iterator[Window | MissingFrame]:
    """The window of each second (ascending, all inside the medium), or why one of its pictures is missing.

    Each picture is decoded once, and only those that a window needs are kept in memory.

    Raises:
        MediaError: the medium can't be opened.
    """
    size = spec.size_hw, spec.resize
    with open_medium(medium, decode_scale(*size)) as reader:
        windows = all_window_times(times_s, reader.facts.length_s, spec)
        needed = sorted(needed_seconds(windows))
        pictures = (
            (time_s, shown if isinstance(shown, MissingFrame) else resize_picture(shown.pixels, *size))
            for time_s, shown in zip(needed, reader.frames(needed), strict=True)
        )
        yield from cut_windows(pictures, windows, spec.size_hw)


def all_window_times(times_s: Sequence[float], length_s: float, spec: InputSpec) -> list[WindowTimes]:
    """The seconds of each window around times_s (all inside the medium of length_s; a photo's length is 0)."""
    return [window_times(time_s, spec.offsets_s, max(length_s, PHOTO_LENGTH_S), spec.edge) for time_s in times_s]


def needed_seconds(windows: Iterable[WindowTimes]) -> set[float]:
    """All seconds in the windows."""
    return {time_s for times in windows for time_s in times if time_s is not None}


def cut_windows(
    pictures: Iterator[tuple[float, Pixels | MissingFrame]], windows: Sequence[WindowTimes], size_hw: tuple[int, int]
) -> Iterator[Window | MissingFrame]:
    """The windows, or why one of their pictures is missing.

    pictures: by their second, ascending, of size_hw; there may be more than the windows need. They are read as far as each
    window reaches, and dropped once no later window needs them.
    """
    held: dict[float, Pixels | MissingFrame] = {}
    inside = [[time_s for time_s in times if time_s is not None] for times in windows]
    # A window at the start can reach less far back than the next one, since seconds before the start are black.
    earliest = list(accumulate(map(min, reversed(inside)), min))[::-1]
    for times, own, first_needed in zip(windows, inside, earliest, strict=True):
        while max(own) not in held:
            time_s, picture = next(pictures)
            held[time_s] = picture
        held = {time_s: picture for time_s, picture in held.items() if time_s >= first_needed}
        yield _window(times, held, size_hw)


def stored_windows(
    store: FrameStore, video_id: str, times_s: Sequence[float], spec: InputSpec
) -> Iterator[Window | MissingFrame]:
    """As `decoded_windows`, from a frame store."""
    for time_s in times_s:
        try:
            yield store.window(video_id, time_s, spec.offsets_s, spec.edge)
        except InputError as error:
            yield MissingFrame(Status.FAILED, str(error))


def _window(
    times: WindowTimes, held: dict[float, Pixels | MissingFrame], size_hw: tuple[int, int]
) -> Window | MissingFrame:
    window = np.zeros((len(times), *size_hw, 3), np.uint8)
    for number, time_s in enumerate(times):
        if time_s is None:
            continue
        picture = held[time_s]
        if isinstance(picture, MissingFrame):
            return MissingFrame(
                Status.FAILED, f"the picture at {time_s:g} s, which the network needs too: {picture.reason}"
            )
        window[number] = picture
    return window
