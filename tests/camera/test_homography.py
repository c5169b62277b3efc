import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from camera.scenes import movement
from trapmeter.camera.homography import (
    carry_points,
    implausible_motion,
    inverse,
    join,
    largest_shift,
    overlap_share,
    picture_grid,
    to_widths,
)

moves = st.builds(
    movement,
    right=st.floats(-0.3, 0.3),
    down=st.floats(-0.3, 0.3),
    zoom=st.floats(0.75, 1.3),
    rotation_deg=st.floats(-10, 10),
)


def in_widths(homography: np.ndarray, aspect: float = 16 / 9) -> np.ndarray:
    return to_widths(aspect) @ homography @ inverse(to_widths(aspect))


def test_no_points_are_carried_to_no_points() -> None:
    assert carry_points([], np.eye(3)).shape == (0, 2)


@given(moves)
def test_the_inverse_carries_back(moved: np.ndarray) -> None:
    there = carry_points(picture_grid(), moved)
    np.testing.assert_allclose(carry_points(there, inverse(moved)), picture_grid(), atol=1e-9)


@given(moves, moves)
def test_joining_is_carrying_twice(first: np.ndarray, second: np.ndarray) -> None:
    twice = carry_points(carry_points(picture_grid(), first), second)
    np.testing.assert_allclose(carry_points(picture_grid(), join(first, second)), twice, atol=1e-9)


@given(moves)
def test_the_scale_of_the_matrix_does_not_matter(moved: np.ndarray) -> None:
    np.testing.assert_allclose(carry_points(picture_grid(), moved * 3), carry_points(picture_grid(), moved))


def test_a_point_behind_the_camera_is_nowhere() -> None:
    turned = np.array([[1.0, 0, 0], [0, 1, 0], [-2.0, 0, 1]])
    assert np.isnan(carry_points([[0.9, 0.5]], turned)).all()
    assert np.isfinite(carry_points([[0.1, 0.5]], turned)).all()


def test_the_overlap_is_the_share_that_stays_in_view() -> None:
    assert overlap_share(np.eye(3)) == 1
    assert overlap_share(movement(right=1 / 3)) == pytest.approx(2 / 3)
    assert overlap_share(movement(right=2)) == 0


def test_the_shift_is_in_heights() -> None:
    assert largest_shift(movement(right=0.1), 16 / 9) == pytest.approx(0.1 * 16 / 9)
    assert largest_shift(movement(right=2), 16 / 9) == np.inf


@given(moves)
def test_a_moved_camera_is_plausible(moved: np.ndarray) -> None:
    assert implausible_motion(in_widths(moved)) == ""


@pytest.mark.parametrize(
    ("homography", "reason"),
    [
        (np.diag([-1.0, 1, 1]), "mirror"),
        (movement(zoom=1.6), "magnified 1.60"),
        (movement(zoom=0.5), "magnified 0.50"),
        (movement(rotation_deg=30), "rotated by 30"),
        (np.diag([1.3, 1.0, 1.0]), "stretched"),
        (np.array([[1.0, 0, 0], [0, 1, 0], [0.6, 0, 1]]), "perspective"),
    ],
)
def test_what_no_camera_does_is_implausible(homography: np.ndarray, reason: str) -> None:
    assert reason in implausible_motion(homography if reason == "perspective" else in_widths(homography))
