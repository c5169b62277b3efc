"""Detector and networks in a single pass over a medium: each picture is decoded once for both."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import tee

from trapmeter.frames.extraction import MOMENT_S
from trapmeter.frames.sizing import sized
from trapmeter.media.reading import Absence, Reader
from trapmeter.models.spec import InputSpec
from trapmeter.predict.asker import Asker
from trapmeter.predict.looker import Looker
from trapmeter.predict.seen import FoundSecond
from trapmeter.predict.windows import cut_windows, seconds_of, windows_times
from trapmeter.records import Frame, Pixels


def is_one_pass(times_s: Sequence[float], length_s: float, spec: InputSpec) -> bool:
    """The detector looks at all seconds that any window could need.

    Else a second pass decodes what the windows need around animals alone. Most seconds of a survey have none: decoding the
    surroundings of each would cost more than it saves.
    """
    return seconds_of(windows_times(_inside(times_s, length_s), length_s, spec)) <= set(times_s)


def look_and_ask(reader: Reader, times_s: Sequence[float], looker: Looker, asker: Asker) -> Iterator[FoundSecond]:
    """The animals at each second (ascending; see `is_one_pass`) with the networks' answers for them.

    reader: opened for the detector's size first, for the networks' second. What is held are the pictures of one window, and
    those between the second that the detector looks at and the last one of its window.
    """
    length_s, spec = reader.facts.length_s, asker.spec
    inside = _inside(times_s, length_s)
    for_detector, for_windows = tee(_in_both_sizes(reader, times_s, spec))
    found = looker.look((time_s, picture) for time_s, picture, _ in for_detector)
    windows = cut_windows(
        ((time_s, view) for time_s, _, view in for_windows), windows_times(inside, length_s, spec), spec.size_hw
    )
    has_window = frozenset(inside)
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


def _inside(times_s: Sequence[float], length_s: float) -> list[float]:
    return [time_s for time_s in times_s if 0 <= time_s < max(length_s, MOMENT_S)]
