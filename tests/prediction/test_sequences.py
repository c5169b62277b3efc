"""Rules of sequences and events, and of animals that are followed through them."""

from __future__ import annotations

import random
from collections import Counter
from datetime import datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from trapmeter.detect.photo_tracking import Sighting, follow_animals
from trapmeter.prediction.sequences import MediaSequence, Span, find_sequences
from trapmeter.records import Box

MAY = datetime(2024, 5, 1, 6)  # noqa: DTZ001 - a camera's clock


def span(second: float, name: str = "", site_id: str = "S1", stream: object = None, **known: Any) -> Span:
    stream = (site_id, stream)
    return Span(
        name or f"{site_id}/{second:09.1f}.jpg", site_id, None, stream, MAY + timedelta(seconds=second), **known
    )


def grouped(spans: list[Span], burst_gap_s: float = 60, independence_s: float = 1800) -> list[list[list[int]]]:
    """The seconds of the media of each sequence of each event."""
    events: dict[str, list[list[int]]] = {}
    for sequence in find_sequences(spans, burst_gap_s, independence_s):
        seconds = [round((one.start - MAY).total_seconds()) for one in sequence.spans]
        events.setdefault(sequence.event_id, []).append(seconds)
    return sorted(events.values())


def test_media_that_follow_each_other_are_a_sequence_and_animals_an_event() -> None:
    seconds = (0, 60, 121, 1921, 3722)
    assert grouped([span(second) for second in seconds]) == [[[0, 60], [121], [1921]], [[3722]]]


def test_a_video_ends_a_sequence_with_its_own_end() -> None:
    assert grouped([span(0, length_s=30.0), span(90), span(151)]) == [[[0, 90], [151]]]
    # A shorter medium within a longer one doesn't end it.
    assert grouped([span(0, length_s=100.0), span(10), span(150)]) == [[[0, 10, 150]]]


def test_blank_media_join_no_animals_that_are_far_apart() -> None:
    blanks = [span(second, has_animal=False) for second in range(300, 9000, 300)]
    assert len(grouped([span(0), span(9000), *blanks])) == 2 + len(blanks)
    # A burst begins before the animal is in the picture, and goes on when it has left.
    assert grouped(
        [span(0, has_animal=False), span(1), span(2, has_animal=False), span(3), span(9, has_animal=False)]
    ) == [[[0, 1, 2, 3, 9]]]
    # A camera that never stops joins nothing either.
    steady = [span(second, has_animal=second in (0, 9000)) for second in range(0, 9001, 50)]
    assert [len(event) for event in grouped(steady)] == [1, 1]
    # Around a blank one are animals of one event.
    assert grouped([span(0), span(400, has_animal=False), span(900)]) == [[[0], [400], [900]]]


def test_streams_are_kept_apart_and_names_are_unique() -> None:
    spans = [span(0, "a.jpg"), span(0, "b.jpg", stream=2), span(1, "c.jpg", "S2")]
    names = [sequence.event_id for sequence in find_sequences(spans, 60, 1800)]
    assert sorted(names) == ["S1@20240501T060000", "S1@20240501T060000-2", "S2@20240501T060001"]


def test_events_of_a_package_stay_as_they_are() -> None:
    spans = [span(0, event_id="e1"), span(1, event_id="e2"), span(2, event_id="e1"), span(3, has_animal=False), span(4)]
    found = find_sequences(spans, 60, 1800)
    assert {(one.event_id, len(one.spans)) for one in found} == {
        *(("e1", 1), ("e1", 2), ("e2", 1), ("S1@20240501T060004", 1)),
    }
    taken = [span(0, event_id="S1@20240501T060009"), span(9)]
    assert {one.event_id for one in find_sequences(taken, 60, 1800)} == {"S1@20240501T060009", "S1@20240501T060009-2"}


spans_of_animals = st.lists(
    st.builds(
        span,
        st.integers(0, 5000).map(float),
        st.uuids().map(str),
        st.sampled_from(["S1", "S2"]),
        st.sampled_from([1, 2]),
        length_s=st.sampled_from([0.0, 0.0, 30.0]),
    ),
    max_size=30,
    unique_by=lambda one: one.media_id,
)
spans_of_all = st.lists(
    st.builds(
        span,
        st.integers(0, 5000).map(float),
        st.uuids().map(str),
        st.sampled_from(["S1", "S2"]),
        has_animal=st.booleans(),
        event_id=st.sampled_from(["", "", "e1", "e2"]),
    ),
    max_size=30,
    unique_by=lambda one: one.media_id,
)
gaps = st.sampled_from([0.0, 1.0, 30.0, 60.0, 600.0])


def as_sets(sequences: list[MediaSequence]) -> tuple[set[tuple[str, ...]], dict[str, str]]:
    parts = {tuple(one.media_id for one in sequence.spans) for sequence in sequences}
    return parts, {one.media_id: sequence.event_id for sequence in sequences for one in sequence.spans}


@given(spans_of_all, gaps, gaps, st.randoms(use_true_random=False))
def test_the_order_of_media_changes_nothing(
    spans: list[Span], burst_gap_s: float, independence_s: float, chance: random.Random
) -> None:
    found = find_sequences(spans, burst_gap_s, independence_s)
    shuffled = chance.sample(spans, len(spans))
    assert find_sequences(shuffled, burst_gap_s, independence_s) == found
    assert Counter(one.media_id for sequence in found for one in sequence.spans) == Counter(
        one.media_id for one in spans
    )
    for sequence in found:
        assert {one.stream for one in sequence.spans} == {sequence.spans[0].stream}
        starts = [one.start for one in sequence.spans]
        assert starts == sorted(starts)
        assert all(one.event_id in ("", sequence.event_id) for one in sequence.spans)


@given(spans_of_animals, gaps, gaps, gaps, gaps)
def test_longer_gaps_join_and_never_split(
    spans: list[Span], burst_a: float, burst_b: float, apart_a: float, apart_b: float
) -> None:
    fine = find_sequences(spans, min(burst_a, burst_b), min(apart_a, apart_b))
    coarse = find_sequences(spans, max(burst_a, burst_b), max(apart_a, apart_b))
    sequence_of = {one.media_id: number for number, sequence in enumerate(coarse) for one in sequence.spans}
    event_of = as_sets(coarse)[1]
    for sequence in fine:
        assert len({sequence_of[one.media_id] for one in sequence.spans}) == 1
    events: dict[str, set[str]] = {}
    for sequence in fine:
        events.setdefault(sequence.event_id, set()).update(event_of[one.media_id] for one in sequence.spans)
    assert all(len(found) == 1 for found in events.values())


def box(x: float, y: float, size: float = 0.1) -> Box:
    return Box(x, y, min(x + size, 1.0), min(y + size, 1.0), 0.9)


def sighting(animal_id: int, *place: float, species: str = "") -> Sighting:
    return Sighting(animal_id, box(*place), box(*place), species=species)


def test_an_animal_keeps_its_number_through_a_sequence() -> None:
    media = [
        (0.0, [sighting(1, 0.1, 0.5)]),
        (0.7, [sighting(1, 0.8, 0.5), sighting(2, 0.15, 0.5)]),
        (1.4, []),
        (2.1, [sighting(1, 0.75, 0.5)]),
    ]
    assert follow_animals(media) == [{1: 1}, {1: 2, 2: 1}, {}, {1: 2}]


def test_another_size_place_or_species_is_another_animal() -> None:
    start = (0.0, [sighting(1, 0.1, 0.1)])
    assert follow_animals([start, (1.0, [sighting(1, 0.1, 0.1, 0.5)])])[1] == {1: 2}
    assert follow_animals([start, (1.0, [sighting(1, 0.8, 0.1)])])[1] == {1: 2}
    assert follow_animals([start, (500.0, [sighting(1, 0.1, 0.1)])])[1] == {1: 2}
    fox, hare = ([sighting(1, 0.1, 0.1, species=name)] for name in ("fox", "hare"))
    assert follow_animals([(0.0, fox), (1.0, hare)])[1] == {1: 2}
    assert follow_animals([start, (1.0, hare)])[1] == {1: 1}


places = st.tuples(st.floats(0, 0.8), st.floats(0, 0.8), st.floats(0.05, 0.3))
photos = st.lists(st.lists(places, max_size=4), min_size=1, max_size=8)


@given(photos, st.randoms(use_true_random=False))
def test_two_animals_of_a_photo_never_become_one(boxes: list[list[tuple[float, ...]]], chance: random.Random) -> None:
    media = [
        (number * 0.7, [sighting(index + 1, *place) for index, place in enumerate(photo)])
        for number, photo in enumerate(boxes)
    ]
    numbers = follow_animals(media)
    for photo, found in zip(boxes, numbers, strict=True):
        assert len(set(found.values())) == len(photo)
    used = {number for found in numbers for number in found.values()}
    assert used == set(range(1, len(used) + 1))
    shuffled = [(second, chance.sample(found, len(found))) for second, found in media]
    assert follow_animals(shuffled) == numbers
