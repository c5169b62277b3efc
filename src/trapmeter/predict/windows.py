"""The windows around given seconds of a medium, straight from its file or out of a frame store."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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


def decoded_windows(medium: Medium, times_s: Sequence[float], spec: InputSpec) -> Iterator[Window | Absence]:
    """The window of each second (ascending, all inside the medium), or why one of its pictures is missing.

    Each picture is decoded once, and no more are held than one window needs.

    Raises:
        MediaError: the medium can't be opened.
    """
    size = spec.size_hw, spec.resize
    with open_medium(medium, decoded_size(*size)) as reader:
        length_s = max(reader.facts.length_s, MOMENT_S)
        wanted = [window_times(time_s, spec.offsets_s, length_s, spec.edge) for time_s in times_s]
        needed = sorted({time_s for times in wanted for time_s in times if time_s is not None})
        shown = zip(needed, reader.frames(needed), strict=True)
        held: dict[float, Pixels | Absence] = {}
        inside = [[time_s for time_s in times if time_s is not None] for times in wanted]
        # A window at the start may reach less far back than the next one, whose earliest second then lies inside.
        earliest = list(accumulate(map(min, reversed(inside)), min))[::-1]
        for times, own, first_needed in zip(wanted, inside, earliest, strict=True):
            while max(own) not in held:
                time_s, picture = next(shown)
                held[time_s] = picture if isinstance(picture, Absence) else sized(picture.pixels, *size)
            held = {time_s: picture for time_s, picture in held.items() if time_s >= first_needed}
            yield _window(times, held, spec.size_hw)


def stored_windows(
    store: FrameStore, video_id: str, times_s: Sequence[float], spec: InputSpec
) -> Iterator[Window | Absence]:
    """The same out of a frame store."""
    for time_s in times_s:
        try:
            yield store.window(video_id, time_s, spec.offsets_s, spec.edge)
        except InputError as error:
            yield Absence(Status.FAILED, str(error))


def _window(
    times: Sequence[float | None], held: dict[float, Pixels | Absence], size_hw: tuple[int, int]
) -> Window | Absence:
    window = np.zeros((len(times), *size_hw, 3), np.uint8)
    for number, time_s in enumerate(times):
        if time_s is None:
            continue
        picture = held[time_s]
        if isinstance(picture, Absence):
            return Absence(Status.FAILED, f"the picture at {time_s:g} s, which the network needs too: {picture.reason}")
        window[number] = picture
    return window
