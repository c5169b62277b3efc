"""Flip, distortion and rotation move pixels and box alike; the area outside the picture is black."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from trapmeter.records import Box
from trapmeter.training.augment.apply import apply_plan, sample_rng
from trapmeter.training.augment.plan import AugmentPlan, GridDistortion, OpticalDistortion, PiecewiseAffine, Turn
from trapmeter.training.augment.random_plan import draw_plan
from trapmeter.training.augment.settings import DistortionKind, no_augmentation
from trapmeter.training.augment.warps import distortion_map, flip_box, turn_matrix

SIZE_HW = (90, 160)
STILL_GRID = GridDistortion((1.0,) * 5, (1.0,) * 5)
STILL_POINTS = PiecewiseAffine(((0.0,) * 4,) * 4, ((0.0,) * 4,) * 4)


def blob(x: int, y: int, half: int = 3) -> tuple[np.ndarray, Box]:
    """A white square on grey, and its box."""
    height, width = SIZE_HW
    frame = np.full((*SIZE_HW, 3), 60, np.uint8)
    frame[y - half : y + half + 1, x - half : x + half + 1] = 255
    box = Box((x - half) / width, (y - half) / height, (x + half + 1) / width, (y + half + 1) / height, 0.7)
    return frame, box


def warped(frame: np.ndarray, box: Box | None, **steps: object) -> tuple[np.ndarray, Box | None]:
    frames, (moved,) = apply_plan(AugmentPlan(SIZE_HW, **steps), frame[None], [box])
    return frames[0], moved


def visible_box(frame: np.ndarray) -> tuple[float, float, float, float]:
    """The extent of the white pixels, as fractions of the picture."""
    rows, columns = np.nonzero(frame[..., 0] > 150)
    height, width = SIZE_HW
    return columns.min() / width, rows.min() / height, (columns.max() + 1) / width, (rows.max() + 1) / height


def assert_box_fits(frame: np.ndarray, box: Box | None, tolerance_px: float = 1.5) -> None:
    assert box is not None
    height, width = SIZE_HW
    off = np.abs(np.subtract(box.xyxy, visible_box(frame))) * (width, height, width, height)
    assert off.max() <= tolerance_px, off


def test_flip_mirrors_pixels_and_box() -> None:
    frame = np.random.default_rng(0).integers(0, 256, (*SIZE_HW, 3), dtype=np.uint8)
    changed, box = warped(frame, Box(0.1, 0.2, 0.4, 0.9, 0.7), flip=True)
    assert np.array_equal(changed, frame[:, ::-1])
    assert box is not None
    assert box.xyxy == pytest.approx((0.6, 0.2, 0.9, 0.9))
    assert box.score == 0.7


def test_flipping_a_box_twice_restores_it() -> None:
    box = Box(0.0, 0.2, 1.0, 0.9, 0.7)
    assert flip_box(box) == box
    assert flip_box(Box(0.0, 0.2, 1e-120, 0.9, 0.7)).x2 == 1.0
    assert flip_box(flip_box(Box(0.125, 0.2, 0.5, 0.9, 0.7))) == Box(0.125, 0.2, 0.5, 0.9, 0.7)


@pytest.mark.parametrize(
    "turn",
    [
        Turn(0.0, 1.0, 0.0625, -0.05),
        Turn(20.0, 1.0, 0.0, 0.0),
        Turn(-45.0, 0.9, 0.02, 0.03),
        Turn(30.0, 1.1, -0.0625, 0.0625),
    ],
)
def test_turn_moves_mark_and_box_as_the_matrix_states(turn: Turn) -> None:
    frame, box = blob(70, 40)
    changed, moved = warped(frame, box, turn=turn)
    x, y = turn_matrix(turn, SIZE_HW) @ (70, 40, 1)
    rows, columns = np.nonzero(changed[..., 0] > 150)
    assert (columns.mean(), rows.mean()) == pytest.approx((x, y), abs=0.6)
    assert_box_fits(changed, moved)


def test_turn_directions_are_counter_clockwise_right_down_and_larger() -> None:
    assert turn_matrix(Turn(45.0, 1.0, 0.0, 0.0), SIZE_HW) @ (120, 45, 1) == pytest.approx((108.28, 16.72), abs=0.01)
    assert turn_matrix(Turn(0.0, 1.0, 0.05, 0.1), SIZE_HW) @ (80, 45, 1) == pytest.approx((88, 54))
    assert turn_matrix(Turn(0.0, 1.1, 0.0, 0.0), SIZE_HW) @ (120, 45, 1) == pytest.approx((124, 45))


def test_turn_fills_the_outside_with_black() -> None:
    frame = np.full((*SIZE_HW, 3), 200, np.uint8)
    changed, _ = warped(frame, None, turn=Turn(0.0, 1.0, 0.0625, 0.0))
    assert (changed[:, :10] == 0).all()
    assert (changed[:, 11:] == 200).all()
    turned, _ = warped(frame, None, turn=Turn(45.0, 1.0, 0.0, 0.0))
    assert (turned[0, 0] == 0).all()
    assert (turned[45, 80] == 200).all()


def test_a_box_is_cut_at_the_edge_and_none_beyond_it() -> None:
    _, box = blob(155, 45)
    away = Turn(0.0, 1.0, 0.0625, 0.0)
    assert warped(np.zeros((*SIZE_HW, 3), np.uint8), box, turn=away)[1] is None
    _, box = blob(148, 45)
    _, cut = warped(np.zeros((*SIZE_HW, 3), np.uint8), box, turn=away)
    assert cut is not None
    assert cut.x2 == 1.0
    assert cut.x1 == pytest.approx((145 + 10) / 160, abs=1.1 / 160)


def test_a_box_smaller_than_a_pixel_is_not_lost() -> None:
    _, box = warped(
        np.zeros((*SIZE_HW, 3), np.uint8), Box(0.501, 0.501, 0.5011, 0.5011, 0.7), turn=Turn(33.0, 0.9, 0.0, 0.0)
    )
    assert box is not None


@pytest.mark.parametrize("still", [STILL_GRID, STILL_POINTS, OpticalDistortion(0.0)])
def test_distortions_of_no_strength_change_nothing(still) -> None:
    rows, columns = np.indices(SIZE_HW)
    sources = distortion_map(still, SIZE_HW)
    # The points of the piecewise grid stay in the picture, so those on the far edges are a pixel off.
    tolerance = 1.01 if still is STILL_POINTS else 1e-3
    assert np.abs(sources - np.stack([columns, rows], axis=-1)).max() <= tolerance


def test_grid_distortion_stretches_each_column() -> None:
    sources = distortion_map(GridDistortion((0.7, 1.3, 1.0, 1.0, 1.0), (1.0,) * 5), SIZE_HW)
    assert sources[0, 0, 0] == 0.0
    assert sources[0, 32, 0] == pytest.approx(0.7 * 32, abs=0.01)
    assert sources[0, 64, 0] == pytest.approx(2.0 * 32, abs=0.01)
    assert np.allclose(np.diff(sources[0, :32, 0]), 0.7, atol=1e-3)
    assert np.allclose(np.diff(sources[0, 32:64, 0]), 1.3, atol=1e-3)


def test_grid_distortion_is_black_beyond_the_far_edge() -> None:
    frame = np.full((*SIZE_HW, 3), 200, np.uint8)
    changed, _ = warped(frame, None, distortion=GridDistortion((1.3,) * 5, (1.0,) * 5))
    inside = int(159 / 1.3)
    assert (changed[:, : inside - 1] == 200).all()
    assert (changed[:, inside + 2 :] == 0).all()


def test_optical_distortion_is_that_of_opencv_without_its_shift_by_half_a_pixel() -> None:
    height, width = SIZE_HW
    camera = np.array([[width, 0, width / 2], [0, width, height / 2], [0, 0, 1]], np.float32)
    lens = np.array([0.05, 0.05, 0, 0, 0], np.float32)
    theirs = np.dstack(cv2.initUndistortRectifyMap(camera, lens, None, None, (width, height), cv2.CV_32FC1))
    assert theirs - distortion_map(OpticalDistortion(0.05), SIZE_HW) == pytest.approx(0.5, abs=0.05)


def test_optical_distortion_above_0_shrinks_and_has_black_corners() -> None:
    frame = np.full((*SIZE_HW, 3), 200, np.uint8)
    changed, _ = warped(frame, None, distortion=OpticalDistortion(0.05))
    assert (changed[0, 0] == 0).all()
    assert (changed[45, 80] == 200).all()
    magnified, _ = warped(frame, None, distortion=OpticalDistortion(-0.05))
    assert (magnified == 200).all()
    # 40 pixels right of the middle, a quarter of the width: x (1 + k (1/16 + 1/256)).
    assert distortion_map(OpticalDistortion(0.05), SIZE_HW)[45, 120, 0] == pytest.approx(
        80 + 40 * (1 + 0.05 * 0.06640625)
    )


def test_piecewise_affine_reads_a_point_from_its_shifted_position() -> None:
    moves_x = [[0.0] * 4 for _ in range(4)]
    moves_y = [[0.0] * 4 for _ in range(4)]
    moves_x[1][2], moves_y[1][2] = 0.05, -0.1
    piecewise = PiecewiseAffine(tuple(map(tuple, moves_x)), tuple(map(tuple, moves_y)))
    sources = distortion_map(piecewise, (90, 150))
    assert sources[30, 100] == pytest.approx((100 + 7.5, 30 - 9.0), abs=0.05)
    assert sources[30, 50] == pytest.approx((50, 30), abs=0.05)


@pytest.mark.parametrize("kind", DistortionKind)
@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("with_turn", [False, True])
def test_the_box_follows_its_pixels(kind: DistortionKind, flip: bool, with_turn: bool) -> None:
    settings = replace(
        no_augmentation(), p_flip=float(flip), p_distortion=1.0, distortions=(kind,), p_turn=float(with_turn)
    )
    frame, box = blob(75, 48, half=6)
    for index in range(8):
        changed, (moved,) = apply_plan(draw_plan(settings, SIZE_HW, sample_rng(0, 0, index)), frame[None], [box])
        assert_box_fits(changed[0], moved, tolerance_px=1.6)


@pytest.mark.parametrize("kind", DistortionKind)
def test_fused_warps_equal_successive_ones(kind: DistortionKind) -> None:
    settings = replace(no_augmentation(), p_flip=1.0, p_distortion=1.0, distortions=(kind,), p_turn=1.0)
    plan = draw_plan(settings, SIZE_HW, sample_rng(3, 0, 0))
    frame = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 256, (*SIZE_HW, 3), dtype=np.uint8), (0, 0), 4)
    fused = apply_plan(plan, frame[None])[0][0]
    step = warped(frame, None, flip=True)[0]
    step = warped(step, None, distortion=plan.distortion)[0]
    step = warped(step, None, turn=plan.turn)[0]
    # In a smooth picture only the borders may differ, which are resampled once or several times.
    off = np.abs(fused.astype(int) - step).max(axis=-1)
    assert np.mean(off > 3) < 0.03
