"""The windows around given seconds of a medium, straight from its file or out of a frame store."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from trapmeter.errors import InputError
from trapmeter.frames.extraction import MOMENT_S
from trapmeter.frames.sizing import decoded_size, sized
from trapmeter.frames.store import FrameStore
from trapmeter.media.reading import Absence, open_medium
from trapmeter.models.spec import InputSpec
from trapmeter.records import Medium, Pixels, Status
from trapmeter.windows import window_times

Window = NDArray[np.uint8]
"""uint8 (frames, height, width, 3), RGB, in the order of a network's offsets."""

WindowTimes = tuple[float | None, ...]
"""The second of each of its frames; None is a black one."""


def decoded_windows(medium: Medium, times_s: Sequence[float], spec: InputSpec) -> Iterator[Window | Absence]:
    """The window of each second (ascending, all inside the medium), or why one of its pictures is missing.

    Each picture is decoded once, and no more are held than one window needs.

    Raises:
        MediaError: the medium can't be opened.
    """
    size = spec.size_hw, spec.resize
    with open_medium(medium, decoded_size(*size)) as reader:
        wanted = windows_times(times_s, reader.facts.length_s, spec)
        needed = sorted(seconds_of(wanted))
        pictures = (
            (time_s, shown if isinstance(shown, Absence) else sized(shown.pixels, *size))
            for time_s, shown in zip(needed, reader.frames(needed), strict=True)
        )
        yield from cut_windows(pictures, wanted, spec.size_hw)


def windows_times(times_s: Sequence[float], length_s: float, spec: InputSpec) -> list[WindowTimes]:
    """The seconds of each window around times_s (all inside the medium of length_s; a photo's length is 0)."""
    return [window_times(time_s, spec.offsets_s, max(length_s, MOMENT_S), spec.edge) for time_s in times_s]


def seconds_of(wanted: Iterable[WindowTimes]) -> set[float]:
    """All seconds that windows are made of."""
    return {time_s for times in wanted for time_s in times if time_s is not None}


def cut_windows(
    pictures: Iterator[tuple[float, Pixels | Absence]], wanted: Sequence[WindowTimes], size_hw: tuple[int, int]
) -> Iterator[Window | Absence]:
    """The wanted windows, or why one of their pictures is missing.

    pictures: by their second, ascending, of size_hw; others may lie between those that are wanted. They are taken as far as
    the window in question reaches, and forgotten when none needs them any more.
    """
    held: dict[float, Pixels | Absence] = {}
    inside = [[time_s for time_s in times if time_s is not None] for times in wanted]
    # A window at the start may reach less far back than the next one, whose earliest second then lies inside.
    earliest = list(accumulate(map(min, reversed(inside)), min))[::-1]
    for times, own, first_needed in zip(wanted, inside, earliest, strict=True):
        while max(own) not in held:
            time_s, picture = next(pictures)
            held[time_s] = picture
        held = {time_s: picture for time_s, picture in held.items() if time_s >= first_needed}
        yield _window(times, held, size_hw)


def stored_windows(
    store: FrameStore, video_id: str, times_s: Sequence[float], spec: InputSpec
) -> Iterator[Window | Absence]:
    """The same out of a frame store."""
    for time_s in times_s:
        try:
            yield store.window(video_id, time_s, spec.offsets_s, spec.edge)
        except InputError as error:
            yield Absence(Status.FAILED, str(error))


def _window(times: WindowTimes, held: dict[float, Pixels | Absence], size_hw: tuple[int, int]) -> Window | Absence:
    window = np.zeros((len(times), *size_hw, 3), np.uint8)
    for number, time_s in enumerate(times):
        if time_s is None:
            continue
        picture = held[time_s]
        if isinstance(picture, Absence):
            return Absence(Status.FAILED, f"the picture at {time_s:g} s, which the network needs too: {picture.reason}")
        window[number] = picture
    return window
