"""Tracks of animals from their boxes."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trapmeter.detect.tracking import TrackSettings, track_animals
from trapmeter.errors import InputError
from trapmeter.records import Box

Seconds = list[tuple[float, list[Box]]]


def at(x: float, y: float = 0.5, size: float = 0.1) -> Box:
    return Box(x - size / 2, y - size / 2, x + size / 2, y + size / 2, 0.9)


@st.composite
def boxes(draw: st.DrawFn) -> Box:
    x1, y1 = draw(st.floats(0, 0.8)), draw(st.floats(0, 0.8))
    width, height = draw(st.floats(0.02, 0.2)), draw(st.floats(0.02, 0.2))
    return Box(x1, y1, x1 + width, y1 + height, draw(st.floats(0, 1)))


@st.composite
def media(draw: st.DrawFn) -> Seconds:
    """Up to eight seconds at irregular steps, each with up to four boxes; few positions, so that ties are common."""
    steps = draw(st.lists(st.sampled_from([0.5, 1.0, 1.0, 2.0, 10.0, 30.0]), max_size=8))
    places = draw(st.lists(boxes(), min_size=1, max_size=6))
    time_s, seconds = 0.0, []
    for step in steps:
        time_s += step
        seconds.append((time_s, draw(st.lists(st.one_of(st.sampled_from(places), boxes()), max_size=4))))
    return seconds


def test_no_seconds_give_no_ids() -> None:
    assert track_animals([]) == []


def test_seconds_without_boxes_have_no_ids() -> None:
    assert track_animals([(0.0, []), (1.0, [])]) == [[], []]


def test_ids_count_from_one_in_the_order_of_the_boxes() -> None:
    assert track_animals([(0.0, [at(0.8), at(0.2)])]) == [[1, 2]]


@pytest.mark.parametrize("step_s", [1.0, 10.0])
def test_animals_keep_their_ids_in_any_order_of_boxes(step_s: float) -> None:
    left, right = [at(0.2 + 0.02 * i) for i in range(4)], [at(0.8 - 0.02 * i) for i in range(4)]
    seconds = [(i * step_s, [left[i], right[i]][:: 1 if i % 2 else -1]) for i in range(4)]
    assert track_animals(seconds) == [[1, 2], [2, 1], [1, 2], [2, 1]]


def test_the_assignment_minimises_the_total_cost() -> None:
    # The box at 0.30 is nearest to both animals; a greedy match would give it to the first and lose the second.
    assert track_animals([(0.0, [at(0.25), at(0.34)]), (1.0, [at(0.30), at(0.16)])]) == [[1, 2], [2, 1]]


def test_crossing_animals_of_different_size_keep_their_ids() -> None:
    seconds = [(float(i), [at(0.2 + 0.1 * i, size=0.3), at(0.5 - 0.05 * i, size=0.08)]) for i in range(5)]
    assert track_animals(seconds) == [[1, 2]] * 5


def test_gaps_up_to_the_limit_are_bridged() -> None:
    limit = TrackSettings(max_gap_s=5)
    empty: Seconds = [(float(t), []) for t in range(1, 5)]
    assert track_animals([(0.0, [at(0.5)]), *empty, (5.0, [at(0.52)])], limit)[-1] == [1]
    assert track_animals([(0.0, [at(0.5)]), *empty, (5.5, [at(0.52)])], limit)[-1] == [2]
    assert track_animals([(0.0, [at(0.5)]), (5.5, [at(0.52)])], limit) == [[1], [2]]


def test_reach_grows_with_time() -> None:
    start, far = at(0.2), at(0.5)  # three sizes away
    assert track_animals([(0.0, [start]), (1.0, [far])]) == [[1], [2]]
    assert track_animals([(0.0, [start]), (4.0, [far])]) == [[1], [1]]


def test_a_box_of_very_different_size_is_another_animal() -> None:
    assert track_animals([(0.0, [at(0.5, size=0.05)]), (1.0, [at(0.5, size=0.5)])]) == [[1], [2]]


def test_animals_detected_recently_are_matched_first() -> None:
    # The last box is a little nearer to the animal last detected 4 s ago than to the one detected 1 s ago.
    seconds = [(0.0, [at(0.4), at(0.6)]), *((float(t), [at(0.6)]) for t in (1, 2, 3)), (4.0, [at(0.49)])]
    assert track_animals(seconds)[-1] == [2]
    assert track_animals(seconds, TrackSettings(age_weight=0.0))[-1] == [1]


@given(media())
def test_ids_are_unique_within_a_second_and_count_up(seconds: Seconds) -> None:
    ids = track_animals(seconds)
    assert [len(row) for row in ids] == [len(found) for _, found in seconds]
    assert all(len(set(row)) == len(row) for row in ids)
    first_ids = list(dict.fromkeys(animal for row in ids for animal in row))
    assert first_ids == list(range(1, len(first_ids) + 1))


@given(media())
def test_no_id_is_used_again_after_the_longest_gap(seconds: Seconds) -> None:
    last: dict[int, float] = {}
    for (time_s, _), row in zip(seconds, track_animals(seconds), strict=True):
        for animal in row:
            assert time_s - last.get(animal, time_s) <= TrackSettings().max_gap_s
            last[animal] = time_s


def paths(seconds: Seconds) -> list[list[tuple[float, tuple[float, ...]]]]:
    """The times and boxes of each animal, without the ids."""
    found: dict[int, list[tuple[float, tuple[float, ...]]]] = {}
    for (time_s, boxes_now), row in zip(seconds, track_animals(seconds), strict=True):
        for box, animal in zip(boxes_now, row, strict=True):
            found.setdefault(animal, []).append((time_s, box.xyxy))
    return sorted(found.values())


@pytest.mark.slow
@settings(max_examples=200)
@given(media(), st.randoms(use_true_random=False))
def test_order_within_a_second_changes_the_numbers_only(seconds: Seconds, random: Random) -> None:
    shuffled = [(time_s, random.sample(here, len(here))) for time_s, here in seconds]
    assert paths(shuffled) == paths(seconds)


def test_times_must_ascend() -> None:
    with pytest.raises(InputError, match=r"got 1 s after 1 s"):
        track_animals([(1.0, []), (1.0, [])])


@pytest.mark.parametrize(
    "invalid",
    [
        {"max_gap_s": 0},
        {"reach": 0},
        {"max_size_ratio": 1},
        {"reach_growth": 2},
        {"overlap_weight": -1},
        {"age_weight": -1},
    ],
)
def test_settings_are_checked(invalid: dict[str, float]) -> None:
    with pytest.raises(InputError, match="tracking needs"):
        TrackSettings(**invalid)
