from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from camera.scenes import HEIGHT, WIDTH, apart, by_night, movement, picture, scene, with_strip
from trapmeter.camera.background import find_backgrounds
from trapmeter.camera.homography import carry_points, picture_grid
from trapmeter.camera.registration import Registration, Verdict, binomial_evidence, register
from trapmeter.records import Medium, MediumKind

DRAWN = scene(1)
REFERENCE = picture(DRAWN)


def off(found: Registration, moved: np.ndarray) -> float:
    """The largest error where both pictures show the scene, in picture heights."""
    assert found.homography is not None, found.reason
    true = carry_points(picture_grid(), moved)
    shown = ((true >= 0) & (true <= 1)).all(axis=1)
    return apart(carry_points(picture_grid(), found.homography)[shown], true[shown])


def test_a_picture_shows_its_own_view() -> None:
    found = register(REFERENCE, REFERENCE)
    assert found.verdict is Verdict.SAME_VIEW
    assert off(found, np.eye(3)) < 0.001
    assert (found.overlap, found.reason) == (1, "")


@pytest.mark.parametrize(
    "moved",
    [
        movement(right=0.03),
        movement(right=-0.2),
        movement(down=0.2),
        movement(right=0.15, down=-0.15, zoom=1.1, rotation_deg=3),
        movement(zoom=0.85, rotation_deg=-5),
    ],
)
def test_a_moved_camera_is_registered(moved: np.ndarray) -> None:
    found = register(REFERENCE, picture(DRAWN, moved))
    assert found.verdict is Verdict.SHIFTED
    assert off(found, moved) < 0.01
    assert "shifted" in found.reason


def test_night_is_registered_to_day() -> None:
    moved = movement(right=0.08, down=0.05, rotation_deg=2)
    found = register(REFERENCE, by_night(picture(DRAWN, moved)))
    assert found.verdict is Verdict.SHIFTED
    assert off(found, moved) < 0.01


def test_pictures_may_differ_in_size() -> None:
    moved = movement(right=0.06)
    found = register(picture(DRAWN, size=(2 * WIDTH, 2 * HEIGHT)), picture(DRAWN, moved))
    assert off(found, moved) < 0.01


def test_a_video_may_be_cut_out_of_a_photo() -> None:
    photo = picture(DRAWN, movement(zoom=0.8), size=(WIDTH, round(0.75 * WIDTH)))
    top = (photo.shape[0] - HEIGHT) // 2
    found = register(photo, photo[top : top + HEIGHT])
    true = np.array([[1, 0, 0], [0, photo.shape[0] / HEIGHT, -top / HEIGHT], [0, 0, 1]])
    assert off(found, true) < 0.01


@pytest.mark.parametrize("seed", [2, 3, 4])
def test_another_site_is_refused(seed: int) -> None:
    found = register(with_strip(REFERENCE, "TRAILCAM 01"), with_strip(picture(scene(seed)), "TRAILCAM 02"))
    assert found.verdict is Verdict.UNRELATED
    assert found.homography is None
    assert "don't show the same view" in found.reason


def test_high_strips_of_text_are_no_view() -> None:
    pair = [picture(scene(seed)) for seed in (5, 6)]
    for shown in pair:
        for rows in (slice(0, 30), slice(150, 180)):
            shown[rows] = REFERENCE[rows]
    assert register(*pair).verdict is Verdict.UNRELATED


def test_a_camera_turned_too_far_is_refused() -> None:
    assert register(REFERENCE, picture(DRAWN, movement(right=0.7))).verdict is Verdict.UNRELATED


def test_a_mirror_image_is_refused() -> None:
    assert register(REFERENCE, np.ascontiguousarray(REFERENCE[:, ::-1])).verdict is Verdict.UNRELATED


@pytest.mark.parametrize("shape", [(180, 320, 3), (4, 4, 3), (1, 1, 3), (20, 900, 3)])
def test_a_picture_without_anything_is_refused(shape: tuple[int, int, int]) -> None:
    empty = np.zeros(shape, np.uint8)
    for pair in ((empty, empty), (REFERENCE, empty), (empty, REFERENCE)):
        found = register(*pair)
        assert found.verdict is Verdict.UNRELATED
        assert found.error == np.inf
        assert found.reason


def test_one_animal_in_both_pictures_is_no_view() -> None:
    animal = REFERENCE[60:120, 40:100]
    pair = [picture(scene(seed)) for seed in (5, 6)]
    for shown in pair:
        shown[60:120, 40:100] = animal
    assert register(*pair).verdict is Verdict.UNRELATED


def test_the_same_pictures_give_the_same_numbers() -> None:
    view = by_night(picture(DRAWN, movement(right=0.1)))
    first, second = register(REFERENCE, view), register(REFERENCE, view)
    np.testing.assert_array_equal(first.homography, second.homography)
    assert (first.evidence, first.error) == (second.evidence, second.error)


@given(st.integers(0, 60), st.integers(0, 60), st.floats(0.01, 0.5))
def test_evidence_never_claims_more_than_the_binomial_distribution(n_hits: int, n_more: int, chance: float) -> None:
    n_tries = n_hits + n_more
    evidence = binomial_evidence(n_hits, n_tries, chance)
    assert evidence >= 0
    assert 10**-evidence >= binom.sf(n_hits - 1, n_tries, chance) * (1 - 1e-9)


def test_rendered_sites_are_told_apart_by_day_and_night(shared: Path) -> None:
    folder = shared / "simtrap/test_videos"
    if not folder.is_dir():
        pytest.skip(f"no videos at {folder}")
    day, night, other = (
        find_backgrounds([Medium(name, folder / name, MediumKind.VIDEO)]).backgrounds[0].pixels
        for name in ("bwds3856.mp4", "gpax4139.mp4", "dybz3169.mp4")
    )
    found = register(day, night)
    assert found.verdict is Verdict.SAME_VIEW
    assert off(found, np.eye(3)) < 0.01
    assert register(day, other).verdict is Verdict.UNRELATED
