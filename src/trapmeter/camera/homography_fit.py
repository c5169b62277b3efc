"""Fits a homography to pairs of positions, many of which may be wrong, and says how sure it is.

The weights are those of Geman and McClure (1985), with a scale that shrinks from step to step (graduated non-convexity, Blake
and Zisserman 1987). Weak priors keep stretch and perspective near 0: where few patches are found, as in the light of a flash,
the rest of the picture would otherwise be bent freely.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trapmeter.camera.homography import Floats, Homography, inverse

STRETCH_SD = 0.03
PERSPECTIVE_SD = 0.1
"""Priors, for positions in widths from the picture's centre: a camera turned by 6 degrees changes its perspective by 0.1."""
N_STEPS = 12
FIRST_SCALE = 8.0
SHRINKING = 0.6
MIN_PAIRS = 6
_PRECISION = np.array([0, 0, 0, 0, STRETCH_SD**-2, STRETCH_SD**-2, PERSPECTIVE_SD**-2, PERSPECTIVE_SD**-2])


@dataclass(frozen=True, slots=True)
class FittedHomography:
    """A homography between positions in widths, with the covariance (8 x 8) of its parameters and the weight of each pair.

    assumed_spread: the standard deviation of a right pair that the covariance rests on. spread: the one that was found.
    """

    homography: Homography
    covariance: Floats
    weights: Floats
    assumed_spread: float
    spread: float


def fit_homography(
    first: Floats, second: Floats, start: Homography, spread: float, trust: Floats
) -> FittedHomography | None:
    """The homography that takes the first positions (n x 2) to the second ones; None if it can't be determined.

    Positions are in widths from the picture's centre. start: where to begin. spread: standard deviation of a right pair.
    trust: prior weight of each pair, 0..1.
    """
    if len(first) < MIN_PAIRS:
        return None
    parameters = _to_parameters(start)
    information = np.eye(len(parameters))
    weights = trust
    for step in range(N_STEPS):
        homography = _to_homography(parameters)
        expected, jacobian = _expected_positions(homography, first)
        residuals = second - expected
        scale = 2 * spread * max(1.0, FIRST_SCALE * SHRINKING**step)
        weights = trust / (1 + (residuals**2).sum(axis=1) / scale**2) ** 2
        precisions = weights / spread**2
        information = np.einsum("nki,n,nkj->ij", jacobian, precisions, jacobian) + np.diag(_PRECISION)
        gradient = np.einsum("nki,n,nk->i", jacobian, precisions, residuals) - _PRECISION * parameters
        try:
            parameters = parameters + np.linalg.solve(information, gradient)
        except np.linalg.LinAlgError:
            return None
    if not np.isfinite(parameters).all() or np.linalg.cond(information) > 1e14:
        return None
    homography = _to_homography(parameters)
    residuals = second - _expected_positions(homography, first)[0]
    found_spread = float(np.sqrt((weights @ residuals**2).mean() / max(weights.sum(), 1e-9)))
    return FittedHomography(homography, inverse(information), weights, spread, found_spread)


def position_sd(fit: FittedHomography, positions: Floats) -> Floats:
    """Standard deviation of where each position (n x 2, in widths) is carried to, in widths: n."""
    _, jacobian = _expected_positions(fit.homography, positions)
    variances = np.einsum("nki,ij,nkj->n", jacobian, fit.covariance, jacobian)
    sd: Floats = np.sqrt(variances)
    return sd


def _to_parameters(homography: Homography) -> Floats:
    """Growth, rotation, shift right and down, two kinds of stretch, perspective right and down; all 0 for the identity."""
    h = homography / homography[2, 2]
    growth, rotation = (h[0, 0] + h[1, 1]) / 2 - 1, (h[1, 0] - h[0, 1]) / 2
    stretch = (h[0, 0] - h[1, 1]) / 2, (h[1, 0] + h[0, 1]) / 2
    return np.array([growth, rotation, h[0, 2], h[1, 2], *stretch, h[2, 0], h[2, 1]])


def _to_homography(parameters: Floats) -> Homography:
    growth, rotation, right, down, stretch, skew, tilt_x, tilt_y = parameters
    return np.array(
        [
            [1 + growth + stretch, skew - rotation, right],
            [skew + rotation, 1 + growth - stretch, down],
            [tilt_x, tilt_y, 1.0],
        ]
    )


def _expected_positions(homography: Homography, positions: Floats) -> tuple[Floats, Floats]:
    """Where positions are carried to (n x 2), and the derivatives by the parameters (n x 2 x 8)."""
    x, y = positions.T
    mapped = np.column_stack([positions, np.ones_like(x)]) @ homography.T
    depth = mapped[:, 2:]
    u, v = expected = (mapped[:, :2] / depth).T
    one, zero = np.ones_like(x), np.zeros_like(x)
    of_u = np.column_stack([x, -y, one, zero, x, y, -u * x, -u * y])
    of_v = np.column_stack([y, x, zero, one, -y, x, -v * x, -v * y])
    return expected.T, np.stack([of_u, of_v], axis=1) / depth[:, :, None]
