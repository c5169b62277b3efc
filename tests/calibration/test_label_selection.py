"""Which seconds are worth a label."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from trapmeter.calibration.gaussian_process import Covariance, make_site_rows
from trapmeter.calibration.label_selection import MAX_ROWS, select_labels
from trapmeter.records import Box, Observation


def site(videos: list[int], seed: int = 0) -> tuple[list[Observation], np.ndarray]:
    rng = np.random.default_rng(seed)
    seen = []
    for i, video in enumerate(videos):
        y2, x = rng.uniform(0.5, 0.95), rng.uniform(0.1, 0.7)
        seen.append(
            Observation(f"{video}.mp4", float(i), Box(x, y2 - rng.uniform(0.05, 0.4), x + 0.2, y2, 0.9), 1, "S1")
        )
    return seen, np.log1p(rng.uniform(1, 15, len(videos)))


@given(st.lists(st.integers(0, 6), max_size=25), st.integers(1, 30), st.integers(0, 99))
def test_videos_take_turns_and_no_second_comes_twice(videos: list[int], count: int, seed: int) -> None:
    seen, answers = site(videos, seed)
    picked = select_labels(make_site_rows(seen, answers), count, Covariance())
    assert len(picked) == len(set(picked)) == min(count, len(videos))
    n_videos = len(set(videos))
    assert len({videos[i] for i in picked[:n_videos]}) == min(n_videos, len(picked))


def test_what_stands_for_many_comes_first() -> None:
    usual, odd = Box(0.4, 0.5, 0.6, 0.8, 0.9), Box(0.0, 0.1, 0.05, 0.15, 0.9)
    seen = [Observation(f"{i}.mp4", 0.0, usual, 1, "S1") for i in range(9)]
    seen.append(Observation("9.mp4", 0.0, odd, 1, "S1"))
    assert select_labels(make_site_rows(seen, np.log1p(np.full(10, 5.0))), 1, Covariance()) != [9]


def test_a_large_site_is_thinned() -> None:
    seen, answers = site([i // 3 for i in range(MAX_ROWS + 200)])
    assert len(select_labels(make_site_rows(seen, answers), 5, Covariance())) == 5
