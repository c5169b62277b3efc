"""Sequences and events: which photos and videos of one camera belong together, by their times.

Media that follow each other within the burst gap are a burst. Animals that follow each other within the time of independence
are one event, as ecologists count them. A medium without an animal belongs to the event of the nearest animal in its burst,
or else to the event around it, so that a camera that takes a picture every few minutes doesn't join all animals of a day. The
part of a burst that lies in one event is a sequence, through which animals are followed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain, count
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class Span:
    """A medium of known site and time.

    place: the deployment, None if it isn't known. stream: the camera at that place; media of two streams never share a
    sequence, and their times needn't be comparable. length_s: of a video, 0 for a photo. event_id: of the medium's Camtrap
    DP, "" without.
    """

    media_id: str
    site_id: str
    place: Hashable
    stream: Hashable
    start: datetime
    length_s: float = 0.0
    has_animal: bool = True
    event_id: str = ""

    @property
    def end(self) -> datetime:
        """When it ends."""
        return self.start + timedelta(seconds=self.length_s)


@dataclass(frozen=True, slots=True)
class MediaSequence:
    """The media of a sequence in order of time, and the event to which it belongs."""

    event_id: str
    spans: tuple[Span, ...]


class _Event(NamedTuple):
    """What identifies an event: its name in a Camtrap DP, or its stream and its number there."""

    name: str = ""
    stream: Hashable = None
    number: int = 0
    is_blank: bool = False


def find_sequences(spans: Iterable[Span], burst_gap_s: float, independence_s: float) -> list[MediaSequence]:
    """All sequences, each medium in one, those of an event in order of time. The order of spans doesn't matter.

    burst_gap_s: the longest time between two media of a sequence. independence_s: the longest between two animals of an
    event. Events of a Camtrap DP stay as they are.
    """
    streams: dict[Hashable, list[Span]] = defaultdict(list)
    for span in spans:
        streams[span.stream].append(span)
    by_event: dict[_Event, list[list[Span]]] = defaultdict(list)
    for unordered in streams.values():
        ordered = sorted(unordered, key=lambda span: (span.start, span.media_id))
        bursts = _chain(ordered, burst_gap_s)
        events = _events(ordered, bursts, independence_s)
        for number, span in enumerate(ordered):
            sequences = by_event[events[number]]
            is_next = number > 0 and (bursts[number], events[number]) == (bursts[number - 1], events[number - 1])
            if is_next:
                sequences[-1].append(span)
            else:
                sequences.append([span])
    return [
        MediaSequence(event_id, tuple(sequence))
        for event_id, sequences in sorted(_named(by_event).items())
        for sequence in sorted(sequences, key=_name_order)
    ]


def _events(ordered: Sequence[Span], bursts: Sequence[int], independence_s: float) -> list[_Event]:
    """The event of each medium of a stream."""
    known = [_Event(span.event_id) if span.event_id else None for span in ordered]
    animals = [number for number, span in enumerate(ordered) if span.has_animal and not span.event_id]
    for number, visit in zip(animals, _chain([ordered[number] for number in animals], independence_s), strict=True):
        known[number] = _Event("", ordered[number].stream, visit)
    earlier = _latest_known(known)
    later = [None if last is None else len(known) - 1 - last for last in _latest_known(known[::-1])][::-1]
    events = []
    for number, span in enumerate(ordered):
        around = [other for other in (earlier[number], later[number]) if other is not None]
        near = [other for other in around if bursts[other] == bursts[number]]
        is_within = len(around) == 2 and known[around[0]] == known[around[1]]
        closest = min(
            near or around[:is_within], key=lambda other: abs(ordered[other].start - span.start), default=None
        )
        found = None if closest is None else known[closest]
        events.append(_Event("", span.stream, bursts[number], is_blank=True) if found is None else found)
    return events


def _latest_known(items: Sequence[_Event | None]) -> list[int | None]:
    """For each position the last one up to it that isn't None."""
    found, last = [], None
    for number, item in enumerate(items):
        last = last if item is None else number
        found.append(last)
    return found


def _chain(ordered: Sequence[Span], gap_s: float) -> list[int]:
    """The number of the group of each span; a group ends where the next span begins later than gap_s after all before."""
    numbers: list[int] = []
    end: datetime | None = None
    for span in ordered:
        is_next = end is not None and (span.start - end).total_seconds() <= gap_s
        numbers.append(numbers[-1] if numbers and is_next else len(numbers))
        end = span.end if end is None else max(end, span.end)
    return numbers


def _named(events: Mapping[_Event, list[list[Span]]]) -> dict[str, list[list[Span]]]:
    """The sequences of each event by its name: the package's, or site and start."""
    named = {event.name: sequences for event, sequences in events.items() if event.name}
    own = [sequences for event, sequences in events.items() if not event.name]
    for sequences in sorted(own, key=lambda sequences: min(map(_name_order, sequences))):
        first = min(sequences, key=_name_order)[0]
        name = f"{first.site_id}@{first.start:%Y%m%dT%H%M%S}"
        further = (f"{name}-{number}" for number in count(2))
        named[next(candidate for candidate in chain([name], further) if candidate not in named)] = sequences
    return named


def _name_order(sequence: Sequence[Span]) -> tuple[str, str]:
    # As text, since times with and without a zone can't be compared.
    return sequence[0].start.isoformat(), sequence[0].media_id
