from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trapmeter.media.timeline import (
    MAX_GAP_S,
    PACKET,
    Timeline,
    make_timeline,
    plan_decoding,
    pts_shown_at,
    regular_times,
)

MS = Fraction(1, 1000)


def packets(pts: list[int | None], keys: set[int], duration: int, is_shown: bool = True) -> np.ndarray:
    rows = [(p or 0, p is not None, i in keys, is_shown, duration) for i, p in enumerate(pts)]
    return np.array(rows, dtype=PACKET)


def timeline(pts: list[int], keys: set[int], duration: int = 40) -> Timeline:
    made = make_timeline(packets(pts, keys, duration), MS, Fraction(25))
    assert made is not None
    return made


def test_without_shown_packets_there_is_no_timeline() -> None:
    assert make_timeline(packets([], set(), 1), MS, Fraction(25)) is None
    assert make_timeline(packets([0], {0}, 1, is_shown=False), MS, Fraction(25)) is None


@pytest.mark.parametrize(
    ("time_s", "expected"),
    [(0, 100), (0.0999, 100), (0.1, 200), (0.2499, 200), (0.25, 350), (0.2899, 350), (0.29, None), (5, None)],
)
def test_the_picture_shown_is_the_last_one_at_or_before_the_time(time_s: float, expected: int | None) -> None:
    # The last picture starts at 0.25 s and lasts 40 ms.
    assert pts_shown_at(timeline([100, 200, 350], {0}), [time_s]) == [expected]


def test_decimal_times_are_exact() -> None:
    # 0.3 is slightly below 3/10 in binary, but must show the picture at exactly 300 ms.
    pts = list(range(0, 2000, 100))
    assert pts_shown_at(timeline(pts, {0}), [0.1, 0.3, 0.7, 1.1]) == [100, 300, 700, 1100]


def test_pictures_stored_out_of_order_are_found_by_their_time() -> None:
    assert pts_shown_at(timeline([0, 120, 40, 80], {0}), [0.05, 0.1, 0.13]) == [40, 80, 120]


@pytest.mark.parametrize(
    ("length", "every_s", "expected"),
    [
        ("0", 1, [0]),
        ("0.4", 1, [0]),
        ("1", 1, [0]),
        ("1.001", 1, [0, 1]),
        ("3", 1, [0, 1, 2]),
        ("1", 0.4, [0, 0.4, 0.8]),
    ],
)
def test_regular_times_end_before_the_end(length: str, every_s: float, expected: list[float]) -> None:
    assert regular_times(Fraction(length), every_s) == expected


def test_a_picture_needs_all_packets_from_its_keyframe() -> None:
    t = timeline(list(range(0, 400, 40)), {0, 4, 8})
    (run,) = plan_decoding(t, [240])
    assert (run.first, run.last, run.targets) == (4, 6, (240,))


def test_groups_without_a_requested_picture_are_skipped() -> None:
    runs = plan_decoding(timeline(list(range(0, 1200, 40)), {0, 10, 20}), [0, 880])
    assert [(run.first, run.last) for run in runs] == [(0, 0), (20, 22)]


def test_leading_pictures_of_an_open_group_need_the_previous_group() -> None:
    # Decoding order: key 0, P 40, key 160 (stored early), B 80, B 120, P 200.
    t = timeline([0, 40, 160, 80, 120, 200], {0, 2})
    (run,) = plan_decoding(t, [80])
    assert (run.first, run.last) == (0, 3)
    (run,) = plan_decoding(t, [200])
    assert (run.first, run.last) == (2, 5)


@given(
    st.lists(st.integers(1, 60), min_size=1, max_size=8),
    st.data(),
)
def test_every_requested_picture_is_in_exactly_one_run_that_starts_at_a_keyframe(
    groups: list[int], data: st.DataObject
) -> None:
    keys, n = set(), 0
    for size in groups:
        keys.add(n)
        n += size
    t = timeline([i * 40 for i in range(n)], keys)
    targets = data.draw(st.lists(st.sampled_from(t.pts.tolist()), max_size=20))
    runs = plan_decoding(t, targets)
    assert sorted(target for run in runs for target in run.targets) == sorted(set(targets))
    for run, following in pairwise(runs):
        assert run.last < following.first - 1, "runs are separate and in order"
    for run in runs:
        assert run.first in keys
        assert all(run.first <= target // 40 <= run.last for target in run.targets)
        assert run.targets[-1] // 40 == run.last, "nothing after the last requested picture is decoded"


def test_times_far_from_all_others_are_left_out() -> None:
    gap = int(MAX_GAP_S * 1000)
    t = timeline([0, 40, 5 * gap, 80, -9 * gap, 2**62], {0})
    assert (t.start_pts, t.end_pts, t.n_implausible) == (0, 120, 3)
    assert t.length == Fraction(120, 1000)


@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=30), st.integers(-(2**62), 2**62))
def test_no_times_give_a_length_of_more_than_a_day(pts: list[int], duration: int) -> None:
    made = make_timeline(packets(pts, {0}, duration), MS, Fraction(25))
    assert made is not None
    assert 0 < made.length <= 25 * 3600
    assert pts_shown_at(made, [0.0]) == [made.start_pts]


def test_packets_without_a_time_follow_the_previous_packet() -> None:
    made = make_timeline(packets([None, None, 500, None, None], {0}, 0), MS, Fraction(25))
    assert made is not None
    assert made.pts.tolist() == [0, 40, 500, 540, 580]
    assert not made.is_exact
