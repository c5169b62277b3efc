"""Selection of the seconds to label."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from trapmeter.calibration.gaussian_process import Covariance, make_site_rows
from trapmeter.calibration.label_selection import MAX_ROWS, select_labels
from trapmeter.records import Box, Observation


def make_site(videos: list[int], seed: int = 0) -> tuple[list[Observation], np.ndarray]:
    rng = np.random.default_rng(seed)
    observations = []
    for i, video in enumerate(videos):
        y2, x = rng.uniform(0.5, 0.95), rng.uniform(0.1, 0.7)
        observations.append(
            Observation(f"{video}.mp4", float(i), Box(x, y2 - rng.uniform(0.05, 0.4), x + 0.2, y2, 0.9), 1, "S1")
        )
    return observations, np.log1p(rng.uniform(1, 15, len(videos)))


@given(st.lists(st.integers(0, 6), max_size=25), st.integers(1, 30), st.integers(0, 99))
def test_videos_take_turns_and_no_second_is_selected_twice(videos: list[int], count: int, seed: int) -> None:
    observations, predictions = make_site(videos, seed)
    selected = select_labels(make_site_rows(observations, predictions), count, Covariance())
    assert len(selected) == len(set(selected)) == min(count, len(videos))
    n_videos = len(set(videos))
    assert len({videos[i] for i in selected[:n_videos]}) == min(n_videos, len(selected))


def test_a_typical_second_is_selected_before_an_odd_one() -> None:
    typical, odd = Box(0.4, 0.5, 0.6, 0.8, 0.9), Box(0.0, 0.1, 0.05, 0.15, 0.9)
    observations = [Observation(f"{i}.mp4", 0.0, typical, 1, "S1") for i in range(9)]
    observations.append(Observation("9.mp4", 0.0, odd, 1, "S1"))
    assert select_labels(make_site_rows(observations, np.log1p(np.full(10, 5.0))), 1, Covariance()) != [9]


def test_selection_works_at_a_site_with_more_rows_than_are_considered() -> None:
    observations, predictions = make_site([i // 3 for i in range(MAX_ROWS + 200)])
    assert len(select_labels(make_site_rows(observations, predictions), 5, Covariance())) == 5
