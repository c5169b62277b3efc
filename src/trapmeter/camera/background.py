"""Backgrounds: what a camera sees without the animals that pass, as the median of pictures of one day or night.

Day and night are kept apart, since the median of both shows neither. A day here runs from noon to noon, so that a night stays
in one piece. Pictures of other sizes are kept apart too: many cameras cut videos out of a larger picture.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import groupby

import numpy as np

from trapmeter.errors import MediaError
from trapmeter.media.infrared import is_infrared
from trapmeter.media.opening import open_medium
from trapmeter.media.reader import FitWithin
from trapmeter.records import Frame, Medium, MediumKind, Pixels
from trapmeter.tables.times import is_clock_set, time_of_file

SIZE = FitWithin(height=960, width=960)
N_PICTURES = 15
"""Pictures of one background. An animal vanishes if it covers a place in fewer than half of them."""
MIN_VIDEO_PICTURES = 3
NOON = timedelta(hours=12)


@dataclass(frozen=True, slots=True)
class Background:
    """The median of pictures of one site, all by day or all by night.

    pixels: at most 960 x 960. first, last: when the first and last of its media were recorded, by the camera's clock unless
    the caller gave other times; None if unknown. media_ids: the media that it was made from, in order of time. n_pictures:
    how many pictures it is the median of.
    """

    pixels: Pixels
    is_night: bool
    first: datetime | None
    last: datetime | None
    media_ids: tuple[str, ...]
    n_pictures: int


@dataclass(frozen=True, slots=True)
class SkippedMedium:
    """A medium that no background was made from, and why."""

    media_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Backgrounds:
    """The backgrounds of a site, in order of time with those of unknown time last, and the media that could not be read."""

    backgrounds: tuple[Background, ...]
    skipped: tuple[SkippedMedium, ...]


@dataclass(frozen=True, slots=True)
class _TimedMedium:
    medium: Medium
    time: datetime | None

    @property
    def day(self) -> date | None:
        """The day, from noon to noon, that it belongs to."""
        return None if self.time is None else (self.time - NOON).date()


@dataclass(slots=True)
class _Group:
    """Pictures of equal light and size: every step-th of those given, never more than 2 N_PICTURES at once."""

    pictures: list[Pixels] = field(default_factory=list)
    media: dict[str, datetime | None] = field(default_factory=dict)
    step: int = 1
    n_given: int = 0

    def add(self, medium: _TimedMedium, pixels: Pixels) -> None:
        """Takes or leaves a picture, and halves the number of pictures when there are too many."""
        if self.n_given % self.step == 0:
            self.pictures.append(pixels)
        self.n_given += 1
        self.media[medium.medium.media_id] = medium.time
        if len(self.pictures) >= 2 * N_PICTURES:
            self.pictures = self.pictures[::2]
            self.step *= 2

    def background(self, *, is_night: bool) -> Background:
        """The median of the pictures."""
        times = [time for time in self.media.values() if time is not None]
        first, last = (min(times), max(times)) if times else (None, None)
        pixels = median_picture(self.pictures)
        return Background(pixels, is_night, first, last, tuple(self.media), len(self.pictures))


def find_backgrounds(media: Iterable[Medium], times: Mapping[str, datetime] | None = None) -> Backgrounds:
    """The backgrounds of one site: one for each day from noon to noon, by day and by night, in each size of picture.

    times: when media were recorded, by media_id, all with a zone or all without; noon is by their clock. A medium that is not
    among them counts as recorded when its file says. Media of unknown time make up backgrounds of their own, N_PICTURES media
    each in the order of their names: cameras number their files. Memory holds the pictures of one day at a time and the
    backgrounds. A file that can't be read is skipped with its reason.
    """
    skipped: list[SkippedMedium] = []
    timed = sorted(_with_times(media, times or {}, skipped), key=_order)
    found: list[Background] = []
    for day, of_day in groupby(timed, key=lambda medium: medium.day):
        media_of_day = list(of_day)
        step = N_PICTURES if day is None else len(media_of_day)
        for first in range(0, len(media_of_day), step):
            found += _backgrounds_of_day(media_of_day[first : first + step], skipped)
    return Backgrounds(tuple(found), tuple(skipped))


def median_picture(pictures: Sequence[Pixels]) -> Pixels:
    """The median of each pixel and colour over pictures of one size; of an even number, the lower of the two in the middle.

    Raises:
        ValueError: there is no picture, or sizes differ.
    """
    middle = (len(pictures) - 1) // 2
    stack = np.stack(pictures)
    stack.partition(middle, axis=0)
    median: Pixels = stack[middle].copy()
    return median


def _order(timed: _TimedMedium) -> tuple[bool, datetime, str]:
    return timed.time is None, timed.time or datetime.min, timed.medium.media_id


def _with_times(
    media: Iterable[Medium], times: Mapping[str, datetime], skipped: list[SkippedMedium]
) -> Iterator[_TimedMedium]:
    for medium in media:
        if medium.media_id in times:
            yield _TimedMedium(medium, times[medium.media_id])
            continue
        try:
            with open_medium(medium) as reader:
                recorded = reader.facts.recorded
        except (MediaError, OSError) as error:
            skipped.append(SkippedMedium(medium.media_id, _reason(error)))
        else:
            # Most files' times have no zone, and can't be compared with times that have one.
            time = time_of_file(recorded) if all(time.tzinfo is None for time in times.values()) else None
            yield _TimedMedium(medium, time.replace(tzinfo=None) if time and is_clock_set(time) else None)


def _backgrounds_of_day(media: Sequence[_TimedMedium], skipped: list[SkippedMedium]) -> list[Background]:
    n_wanted = max(MIN_VIDEO_PICTURES, -(-N_PICTURES // len(media)))
    groups: dict[tuple[bool, tuple[int, ...]], _Group] = {}
    for timed in media:
        try:
            pictures = _read_pictures(timed.medium, n_wanted)
        except (MediaError, OSError) as error:
            skipped.append(SkippedMedium(timed.medium.media_id, _reason(error)))
            continue
        if not pictures:
            skipped.append(SkippedMedium(timed.medium.media_id, "damaged: no picture can be decoded completely"))
            continue
        is_night = sum(map(is_infrared, pictures)) * 2 > len(pictures)
        for pixels in pictures:
            groups.setdefault((is_night, pixels.shape), _Group()).add(timed, pixels)
    return [group.background(is_night=is_night) for (is_night, _), group in groups.items()]


def _read_pictures(medium: Medium, n_wanted: int) -> list[Pixels]:
    """A photo, or pictures spread evenly over a video, without damaged ones."""
    with open_medium(medium, SIZE) as reader:
        length_s = reader.facts.length_s
        times_s = [0.0]
        if medium.kind is MediumKind.VIDEO:
            times_s = [length_s * (i + 0.5) / n_wanted for i in range(n_wanted)]
        frames = [frame for frame in reader.frames(times_s) if isinstance(frame, Frame)]
    return [frame.pixels for frame in frames if not frame.is_corrupt]


def _reason(error: MediaError | OSError) -> str:
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
