"""Things that stay in place are marked; animals that move or that the detector is sure of are not."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from trapmeter.detect.static_boxes import static_reasons
from trapmeter.records import STATIC_PREFIX, Box, Distance, Estimate, Observation, Status

PLACE = (0.4, 0.5, 0.6, 0.8)


def track(
    media_id: str, score: float, *, step: float = 0.0, n: int = 10, site: str = "S1", animal: int = 1, place=PLACE
) -> list[Observation]:
    """A box at n seconds that moves by step (fractions of the picture) in each, with the jitter of a detector."""
    rng = np.random.default_rng([*media_id.encode(), animal])
    rows = []
    for second in range(n):
        dx = step * second + rng.normal(0, 0.002)
        box = Box(max(0.0, place[0] + dx), place[1], min(1.0, place[2] + dx), place[3], score)
        rows.append(Observation(media_id, float(second), box, animal, site))
    return rows


def marked(rows: Sequence[Observation]) -> list[bool]:
    reasons = static_reasons(rows)
    assert all(reason.startswith(STATIC_PREFIX) for reason in reasons if reason)
    return [bool(reason) for reason in reasons]


def test_a_leaf_that_stays_through_a_video_is_marked_in_every_second() -> None:
    assert marked(track("a.mp4", 0.3)) == [True] * 10
    assert static_reasons(track("a.mp4", 0.3))[0] == (
        "static: the box stays in place for 9 s, and the detector is not sure of it"
    )


def test_an_animal_that_sleeps_is_not_marked() -> None:
    assert not any(marked(track("a.mp4", 0.7)))
    # Nor does it matter that it is in two videos.
    assert not any(marked([*track("a.mp4", 0.7), *track("b.mp4", 0.7)]))


@pytest.mark.parametrize("score", [0.2, 0.9])
@pytest.mark.parametrize("step", [0.01, 0.05])
def test_an_animal_that_moves_is_not_marked(score: float, step: float) -> None:
    assert not any(marked(track("a.mp4", score, step=step, place=(0.05, 0.5, 0.25, 0.8))))


def test_a_short_stay_is_not_marked() -> None:
    assert not any(marked(track("a.mp4", 0.3, n=4)))


def test_a_stump_recurs_in_the_sites_other_videos() -> None:
    videos = [row for number in range(4) for row in track(f"{number}.mp4", 0.7, n=3)]
    assert all(marked(videos))
    assert "the same box is in 3 of the site's 3 other videos" in static_reasons(videos)[0]
    others = [row for number in range(4) for row in track(f"{number}.mp4", 0.7, n=3, site=f"S{number}")]
    assert not any(marked(others)), "boxes of other sites say nothing"
    animals = [row for number in range(4) for row in track(f"{number}.mp4", 0.7, n=10, step=0.02)]
    assert not any(marked(animals))


def test_an_animal_in_a_burst_of_photos_is_not_marked() -> None:
    burst = [row for number in range(10) for row in track(f"{number}.jpg", 0.7, n=1)]
    assert not any(marked(burst))
    assert all(marked([row for number in range(11) for row in track(f"{number}.jpg", 0.7, n=1)]))


def test_a_path_that_animals_use_is_not_marked() -> None:
    """Few of many videos have a box there."""
    passing = [row for number in range(4) for row in track(f"{number}.mp4", 0.7, n=2)]
    elsewhere = [
        row
        for number in range(4, 24)
        for row in track(f"{number}.mp4", 0.7, n=2, place=(0.03 * number, 0.1, 0.03 * number + 0.1, 0.3))
    ]
    assert not any(marked([*passing, *elsewhere]))


@pytest.mark.parametrize(
    ("place", "expected"), [((0.3, 0.94, 0.6, 1.0), True), ((0.1, 0.0, 0.3, 0.06), True), (PLACE, False)]
)
def test_the_strip_with_the_date_is_marked(place: tuple[float, float, float, float], expected: bool) -> None:
    assert marked(track("a.jpg", 0.3, n=1, place=place)) == [expected]
    assert marked(track("a.jpg", 0.6, n=1, place=place)) == [False]


def test_rows_without_boxes_or_tracks_are_left_alone() -> None:
    rows = [Observation("a.mp4", 0.0), Observation("a.mp4", 1.0, Box(*PLACE, 0.3), 0)]
    assert static_reasons(rows) == ["", ""]
    assert static_reasons([]) == []


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("static: stays", True),
        ("small box; static: stays", True),
        ("static: stays; review: accepted", False),
        ("static: stays; review: distance was 4.00 m", False),
        ("", False),
        ("not static: x", False),
    ],
)
def test_a_person_decides_whether_a_box_is_static(reason: str, expected: bool) -> None:
    row = Estimate(track("a.mp4", 0.3)[0], Status.MEASURED, Distance(4.0, 3.0, 5.0), reason=reason)
    assert row.is_static is expected
