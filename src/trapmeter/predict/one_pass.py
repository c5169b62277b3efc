"""Detector and networks in a single pass over a medium: each picture is decoded once for both."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TypeVar

from trapmeter.frames.extraction import MOMENT_S
from trapmeter.frames.sizing import sized
from trapmeter.media.reading import Absence, Reader
from trapmeter.models.spec import InputSpec
from trapmeter.predict.ahead import Ahead
from trapmeter.predict.asker import Asker
from trapmeter.predict.looker import Looker
from trapmeter.predict.seen import FoundSecond
from trapmeter.predict.windows import cut_windows, seconds_of, windows_times
from trapmeter.records import Frame, Pixels

Item = TypeVar("Item")


def look_and_ask(
    reader: Reader, times_s: Sequence[float], looker: Looker, asker: Asker, ahead: Ahead
) -> Iterator[FoundSecond]:
    """The animals at each second (ascending) with the networks' answers for them.

    reader: opened for the detector's size first, for the networks' second. All seconds that any window could need are
    decoded, since whether it is needed shows only when they have passed. What is held are the pictures of one window, and
    those between the second that the detector looks at and the last one of its window.
    """
    length_s, spec = reader.facts.length_s, asker.spec
    inside = [time_s for time_s in times_s if 0 <= time_s < max(length_s, MOMENT_S)]
    wanted = windows_times(inside, length_s, spec)
    needed = sorted(seconds_of(wanted).union(times_s))
    for_detector, for_windows = _parted(ahead.over(_in_both_sizes(reader, needed, spec)))
    is_asked, has_window = frozenset(times_s), frozenset(inside)
    found = looker.look((time_s, picture) for time_s, picture in for_detector if time_s in is_asked)
    windows = cut_windows(for_windows, wanted, spec.size_hw)
    return asker.ask((second, next(windows) if second.time_s in has_window else None) for second in found)


def _in_both_sizes(
    reader: Reader, times_s: Sequence[float], spec: InputSpec
) -> Iterator[tuple[float, Frame | Absence, Pixels | Absence]]:
    """Each second's picture for the detector and for the networks. A full-size one is let go of at once."""
    for time_s, shown in zip(times_s, reader.frames(times_s), strict=True):
        if isinstance(shown, Absence):
            yield time_s, shown, shown
        else:
            yield time_s, replace(shown, others=()), sized(shown.others[0], spec.size_hw, spec.resize)


def _parted(
    pictures: Iterator[tuple[float, Frame | Absence, Pixels | Absence]],
) -> tuple[Iterator[tuple[float, Frame | Absence]], Iterator[tuple[float, Pixels | Absence]]]:
    """One iterator for the detector and one for windows; each holds what only the other has taken so far.

    itertools.tee would hold 57 pictures at least.
    """
    for_detector: deque[tuple[float, Frame | Absence]] = deque()
    for_windows: deque[tuple[float, Pixels | Absence]] = deque()

    def take(own: deque[Item]) -> Iterator[Item]:
        while True:
            if not own:
                both = next(pictures, None)
                if both is None:
                    return
                time_s, picture, view = both
                for_detector.append((time_s, picture))
                for_windows.append((time_s, view))
            yield own.popleft()

    return take(for_detector), take(for_windows)
