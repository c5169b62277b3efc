"""Fits a camera to reference marks: maximum a posteriori, with a Laplace covariance.

Each point, pole or person has three unknowns of its own: the distance and bearing of its foot, and how far the ground there
lies above or below the plane. The observations are its marks in the picture, its known distance, and the priors. A distance
may be wrong (a slip of the pen), and so may the heights of a pole's marks. These residuals have Cauchy's loss, so that one
that contradicts the others hardly counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trapmeter.camera.model import (
    N_PARAMETERS,
    TAN_LOG,
    Floats,
    PinholeCamera,
    nearness_at,
    project,
)
from trapmeter.camera.prior import CameraPrior
from trapmeter.tables.reference_marks import Upright

N_FOOT = 3
LOG_DISTANCE, BEARING, UNEVEN = range(N_FOOT)
FAR_SD_LOG = 3.0
"""Weak prior of a foot's log distance around 6 m, so that no point runs away to the horizon."""
TYPICAL_LOG_M = np.log(6.0)
STEP = 1e-6
SCALES = (30.0, 8.0, 2.0, 1.0)
"""Factors for the spread of distances and of uneven ground, from wide to narrow. At first all points count; then those that
contradict the others lose their weight step by step (graduated non-convexity, Blake and Zisserman 1987)."""


@dataclass(frozen=True, slots=True)
class MarkErrors:
    """How exact measured distances are, and how even the ground is."""

    distance_log: float = 0.03
    """Of a measured distance, in log metres."""
    uneven_m: float = 0.05
    """Of the ground above or below the plane, in metres."""


ERRORS = MarkErrors()


@dataclass(frozen=True, slots=True, eq=False)
class CameraFit:
    """A fitted camera: its most likely parameters (N_PARAMETERS) and their covariance (N_PARAMETERS x N_PARAMETERS).

    weights: of each upright, 1 if its distance and place agree with the others, near 0 if they don't.
    """

    parameters: Floats
    covariance: Floats
    aspect_ratio: float
    weights: tuple[float, ...] = ()

    @property
    def camera(self) -> PinholeCamera:
        """The most likely camera."""
        return PinholeCamera.from_parameters(self.parameters, self.aspect_ratio)

    @property
    def lens_sd_log(self) -> float:
        """Standard deviation of the log tangent of half the field of view."""
        return float(np.sqrt(self.covariance[TAN_LOG, TAN_LOG]))

    def nearness(self, x: float, y: float) -> tuple[float, float]:
        """1/d of the ground at a place (fractions) and its standard deviation, in 1/m; negative above the horizon."""
        steps = np.concatenate([self.parameters[None], self.parameters + STEP * np.eye(N_PARAMETERS)])
        values = nearness_at(steps, self.aspect_ratio, np.array(x), np.array(y))
        gradient = (values[1:] - values[0]) / STEP
        return float(values[0]), float(np.sqrt(gradient @ self.covariance @ gradient))

    def slope(self, x: float, y: float) -> float:
        """How 1/d grows down the picture at a place, in 1/m per picture height."""
        at = nearness_at(self.parameters, self.aspect_ratio, np.array(x), np.array([y - 1e-3, y + 1e-3]))
        return float((at[1] - at[0]) / 2e-3)


def fit_camera(uprights: Sequence[Upright], prior: CameraPrior, errors: MarkErrors = ERRORS) -> CameraFit:
    """The camera that explains the marks best; without any, that of the prior."""
    if not uprights:
        return CameraFit(prior.mean, np.diag(prior.sd**2), prior.aspect_ratio)
    return _Problem(uprights, prior, errors).solve()


class _Problem:
    """The residuals of a fit. Unknowns: the camera's parameters, then N_FOOT for each upright."""

    def __init__(self, uprights: Sequence[Upright], prior: CameraPrior, errors: MarkErrors) -> None:
        self._prior, self._errors = prior, errors
        self._n = len(uprights)
        marks = [(i, mark) for i, upright in enumerate(uprights) for mark in upright.marks]
        self._owner = np.array([i for i, _ in marks])
        self._x = np.array([mark.x for _, mark in marks])
        self._y = np.array([mark.y for _, mark in marks])
        self._height_m = np.array([mark.height_m for _, mark in marks])
        self._height_sd_m = self._height_m * np.array([uprights[i].kind.height_sd for i, _ in marks])
        self._clicks = np.array([(uprights[i].kind.click_sd_x, uprights[i].kind.click_sd_y) for i, _ in marks])
        self._known = np.array([i for i, upright in enumerate(uprights) if upright.distance_m is not None], np.intp)
        self._unknown = np.array([i for i, upright in enumerate(uprights) if upright.distance_m is None], np.intp)
        self._robust_owner = np.concatenate([self._known, self._unknown])
        known_m = [upright.distance_m for upright in uprights if upright.distance_m is not None]
        self._known_log = np.log(np.array(known_m, np.float64))
        self._first = np.array([int(np.flatnonzero(self._owner == i)[0]) for i in range(self._n)])
        self._spans = np.array([upright.height_range_m for upright in uprights])
        self._height_range = np.array(
            [np.ptp(self._y[self._owner == i]) if upright.height_range_m else 0.0 for i, upright in enumerate(uprights)]
        )

    def _feet(self, parameters: Floats) -> Floats:
        """A first guess of each foot (uprights x N_FOOT)."""
        aspect = self._prior.aspect_ratio
        feet = np.zeros((self._n, N_FOOT))
        feet[:, BEARING] = np.arctan((2 * self._x[self._first] - 1) * np.exp(parameters[TAN_LOG]))
        nearness = nearness_at(parameters, aspect, self._x[self._first], self._y[self._first])
        feet[:, LOG_DISTANCE] = -np.log(np.clip(nearness, 1 / 40, 1.0))
        focal = aspect / 2 / np.exp(parameters[TAN_LOG])
        has_size = (self._spans > 0) & (self._height_range > 1e-3)
        feet[has_size, LOG_DISTANCE] = np.log(focal * self._spans[has_size] / self._height_range[has_size])
        feet[self._known, LOG_DISTANCE] = self._known_log
        return feet

    def solve(self) -> CameraFit:
        """The fit, from the prior's camera and feet where their distances or their marks put them."""
        from scipy.optimize import least_squares

        unknowns = np.concatenate([self._prior.mean, self._feet(self._prior.mean).ravel()])
        for scale in SCALES:
            sds = self._mark_sds(unknowns)

            def residuals(values: Floats, scale: float = scale, sds: tuple[Floats, Floats] = sds) -> Floats:
                return np.asarray(self._residuals(values[None], scale, sds)[0])

            def jacobian(values: Floats, scale: float = scale, sds: tuple[Floats, Floats] = sds) -> Floats:
                return self._jacobian(values, scale, sds)

            found = least_squares(residuals, unknowns, jac=jacobian, method="lm", xtol=1e-9, ftol=1e-9, max_nfev=200)
            unknowns = found.x
        sds = self._mark_sds(unknowns)
        matrix = self._jacobian(unknowns, 1.0, sds)
        covariance = np.linalg.pinv(matrix.T @ matrix)[:N_PARAMETERS, :N_PARAMETERS]
        raw = self._robust_raw(unknowns[None], 1.0)[0]
        weights = np.ones(self._n)
        np.minimum.at(weights, self._robust_owner, 1 / (1 + raw**2))
        return CameraFit(
            unknowns[:N_PARAMETERS], np.asarray(covariance), self._prior.aspect_ratio, tuple(weights.tolist())
        )

    def _mark_sds(self, unknowns: Floats) -> tuple[Floats, Floats]:
        """Standard deviations of each mark along x and y, given where the feet are."""
        aspect = self._prior.aspect_ratio
        distance_m = np.exp(unknowns[N_PARAMETERS:].reshape(self._n, N_FOOT)[self._owner, LOG_DISTANCE])
        focal = aspect / 2 / np.exp(unknowns[TAN_LOG])
        sd_x, sd_y = self._clicks.T
        return sd_x / aspect, np.hypot(sd_y, focal * self._height_sd_m / distance_m)

    def _robust_raw(self, unknowns: Floats, scale: float) -> Floats:
        """Residuals that may be gross errors (batch x ...): of known distances, and of the place of a foot without one."""
        feet = unknowns[:, N_PARAMETERS:].reshape(len(unknowns), self._n, N_FOOT)
        distance = (feet[:, self._known, LOG_DISTANCE] - self._known_log) / (self._errors.distance_log * scale)
        uneven = feet[:, self._unknown, UNEVEN] / (self._errors.uneven_m * scale)
        return np.concatenate([distance, uneven], axis=1)

    def _residuals(self, unknowns: Floats, scale: float, mark_sds: tuple[Floats, Floats]) -> Floats:
        """All residuals (batch x residuals), each with a standard deviation of 1."""
        camera = unknowns[:, None, :N_PARAMETERS]
        feet = unknowns[:, N_PARAMETERS:].reshape(len(unknowns), self._n, N_FOOT)
        foot = feet[:, self._owner]
        x, y = project(
            camera,
            self._prior.aspect_ratio,
            np.exp(np.minimum(foot[..., LOG_DISTANCE], 8.0)),
            foot[..., BEARING],
            self._height_m + foot[..., UNEVEN],
        )
        sd_x, sd_y = mark_sds
        raw = self._robust_raw(unknowns, scale)
        return np.concatenate(
            [
                np.nan_to_num((x - self._x) / sd_x, nan=1e3),
                np.nan_to_num((y - self._y) / sd_y, nan=1e3),
                np.sign(raw) * np.sqrt(np.log1p(raw**2)),
                feet[:, self._known, UNEVEN] / self._errors.uneven_m,
                (feet[:, :, LOG_DISTANCE] - TYPICAL_LOG_M) / FAR_SD_LOG,
                (unknowns[:, :N_PARAMETERS] - self._prior.mean) / self._prior.sd,
            ],
            axis=1,
        )

    def _jacobian(self, unknowns: Floats, scale: float, mark_sds: tuple[Floats, Floats]) -> Floats:
        """Residuals by unknowns. The feet are independent, so one step moves an unknown of all of them at once."""
        steps = np.zeros((N_PARAMETERS + N_FOOT, len(unknowns)))
        steps[range(N_PARAMETERS), range(N_PARAMETERS)] = STEP
        for k in range(N_FOOT):
            steps[N_PARAMETERS + k, N_PARAMETERS + k :: N_FOOT] = STEP
        values = self._residuals(np.concatenate([unknowns[None], unknowns + steps]), scale, mark_sds)
        change = (values[1:] - values[0]) / STEP
        owner = np.concatenate(
            [self._owner, self._owner, self._robust_owner, self._known, np.arange(self._n), np.full(N_PARAMETERS, -1)]
        ).astype(np.intp)
        matrix = np.zeros((values.shape[1], len(unknowns)))
        matrix[:, :N_PARAMETERS] = change[:N_PARAMETERS].T
        rows = np.flatnonzero(owner >= 0)
        for k in range(N_FOOT):
            matrix[rows, N_PARAMETERS + N_FOOT * owner[rows] + k] = change[N_PARAMETERS + k, rows]
        return matrix
