import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from camera.scenes import movement
from trapmeter.camera.homography import carry_points, inverse, to_widths
from trapmeter.camera.homography_fit import fit_homography, position_sd

ASPECT = 16 / 9
SPREAD = 0.002


def pairs(n: int, share_wrong: float, seed: int, moved: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Positions before and after, and the true homography, all in widths."""
    rng = np.random.default_rng(seed)
    true = to_widths(ASPECT) @ moved @ inverse(to_widths(ASPECT))
    first = rng.uniform((-0.5, -0.28), (0.5, 0.28), (n, 2))
    second = carry_points(first, true) + rng.normal(0, SPREAD, (n, 2))
    wrong = rng.random(n) < share_wrong
    second[wrong] += rng.uniform(-0.05, 0.05, (int(wrong.sum()), 2))
    return first, second, true


@given(st.integers(0, 1000), st.floats(-0.02, 0.02), st.floats(-0.02, 0.02), st.floats(-1.5, 1.5))
def test_wrong_pairs_do_not_count(seed: int, right: float, down: float, rotation_deg: float) -> None:
    moved = movement(right, down, 1.02, rotation_deg)
    first, second, true = pairs(150, 0.35, seed, moved)
    fit = fit_homography(first, second, np.eye(3), SPREAD, np.ones(len(first)))
    assert fit is not None
    off = np.hypot(*(carry_points(first, fit.homography) - carry_points(first, true)).T)
    assert np.sqrt((off**2).mean()) < SPREAD


def test_too_few_pairs_give_no_homography() -> None:
    first, second, _ = pairs(5, 0.0, 0, np.eye(3))
    assert fit_homography(first, second, np.eye(3), SPREAD, np.ones(5)) is None
    assert fit_homography(first[:0], second[:0], np.eye(3), SPREAD, np.ones(0)) is None


def test_the_error_is_larger_far_from_the_pairs() -> None:
    first, second, _ = pairs(60, 0.0, 1, np.eye(3))
    is_left = first[:, 0] < -0.2
    fit = fit_homography(first[is_left], second[is_left], np.eye(3), SPREAD, np.ones(int(is_left.sum())))
    assert fit is not None
    near, far = position_sd(fit, np.array([(-0.4, 0.0), (0.45, 0.0)]))
    assert far > 3 * near


def test_the_claimed_error_is_the_error() -> None:
    ratios = []
    for seed in range(60):
        first, second, true = pairs(60, 0.0, seed, np.eye(3))
        fit = fit_homography(first, second, np.eye(3), SPREAD, np.ones(len(first)))
        assert fit is not None
        off = np.hypot(*(carry_points(first, fit.homography) - carry_points(first, true)).T)
        ratios.append(np.sqrt((off**2).mean() / (position_sd(fit, first) ** 2).mean()))
    # Down-weighting makes the claim a little wider than the error.
    assert np.mean(ratios) == pytest.approx(0.85, abs=0.2)
