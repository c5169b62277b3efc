"""The ground of a site as the page draws it: lines of equal distance, the horizon, and how well each mark agrees."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from trapmeter.camera.fit import CameraFit
from trapmeter.camera.left_out import left_out_distances
from trapmeter.camera.model import HEIGHT_LOG, TAN_LOG, draw_distances
from trapmeter.camera.prior import CameraPrior
from trapmeter.tables.point_misfits import signed_metres
from trapmeter.tables.reference_marks import MIN_MARKS, Upright, has_spread

LINES_M = (1.0, 2.0, 3.0, 5.0, 8.0, 10.0, 15.0, 20.0, 30.0, 50.0)
HORIZON_M = 1e6
OFF_WEIGHT = 0.05
"""A mark with a lower weight contradicts the others: by 13 % of its distance, or by 20 cm of uneven ground."""
GOOD_LOG, FAIR_LOG = 0.05, 0.12
"""Up to these differences in log metres, a mark agrees well or fairly."""
KNOWN_SD_LOG = 0.1
"""The page states the lens and its height if they are known to a tenth."""

Line = list[tuple[float, float]]


class Agreement(StrEnum):
    """How well a mark agrees with the others of its site."""

    UNKNOWN = "unknown"
    GOOD = "good"
    FAIR = "fair"
    POOR = "poor"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class MarkCheck:
    """A mark against the others. misfit_m: distance typed minus that by the others, None if they can't tell."""

    agreement: Agreement = Agreement.UNKNOWN
    others_m: float | None = None
    misfit_m: float | None = None
    text: str = ""


@dataclass(frozen=True, slots=True)
class GroundView:
    """What the page draws of a site. lines, horizon: places as fractions of the picture.

    message: the fitted camera, or what is missing.
    """

    is_fitted: bool
    message: str
    lines: Mapping[float, Line] = field(default_factory=dict)
    horizon: Line = field(default_factory=list)


def view_ground(uprights: Sequence[Upright], fit: CameraFit) -> GroundView:
    """The ground by a fit to all marks of a site, as far as they show it."""
    missing = what_is_missing(uprights)
    if missing:
        return GroundView(False, missing)
    lines = draw_distances(fit.camera, LINES_M)
    return GroundView(True, _camera_text(fit, uprights), lines, fit.camera.distance_line(HORIZON_M))


def check_marks(
    uprights: Sequence[Upright], prior: CameraPrior, fit: CameraFit, shown: Iterable[int]
) -> Iterator[tuple[int, MarkCheck]]:
    """The uprights with the indices in shown against all others: index and check, one after the other.

    Each needs a fit of its own, so this takes as long as the caller has time.
    """
    if what_is_missing(uprights):
        return
    for i in shown:
        others = left_out_distances(uprights, prior, [i])
        yield i, check_mark(uprights[i], others[i], fit.weights[i])


def what_is_missing(uprights: Sequence[Upright]) -> str:
    """What a site needs before its camera can be fitted; "" if nothing."""
    if has_spread(uprights):
        return ""
    n = sum(len(upright.marks) for upright in uprights)
    if n == 0:
        return "No marks yet: mark points near and far, or a pole or person from foot to top."
    if n < MIN_MARKS:
        return "One mark: add another one, nearer or farther, or a pole or person from foot to top."
    return "All marks are on one row of the picture: add one nearer or farther."


def check_mark(upright: Upright, others_m: float | None, weight: float) -> MarkCheck:
    """A mark against the distance by the others, given its weight in the fit."""
    metres = upright.distance_m
    if metres is None:
        agreement = Agreement.OFF if weight < OFF_WEIGHT else Agreement.UNKNOWN
        text = "" if others_m is None else f"{_metres(others_m)} by the others"
        if agreement is Agreement.OFF:
            text = "its heights and place don't fit the others" + (f" ({text})" if text else "")
        return MarkCheck(agreement, others_m, None, text)
    if others_m is None:
        text = "contradicts the others" if weight < OFF_WEIGHT else ""
        return MarkCheck(Agreement.OFF if text else Agreement.UNKNOWN, None, None, text)
    contrast = f"says {metres:g} m, the others {_metres(others_m)}"
    if math.isinf(others_m):
        # If all marks together agree with this one, the others lack it: they must not accuse it.
        is_off = weight < OFF_WEIGHT
        return MarkCheck(Agreement.OFF if is_off else Agreement.UNKNOWN, others_m, None, contrast if is_off else "")
    misfit_m, off_log = metres - others_m, abs(math.log(metres / others_m))
    if weight < OFF_WEIGHT:
        return MarkCheck(Agreement.OFF, others_m, misfit_m, contrast)
    agreement = Agreement.GOOD if off_log <= GOOD_LOG else Agreement.FAIR if off_log <= FAIR_LOG else Agreement.POOR
    return MarkCheck(agreement, others_m, misfit_m, signed_metres(misfit_m))


def _metres(metres: float) -> str:
    return "more than 200 m" if math.isinf(metres) else f"{metres:.1f} m"


def _camera_text(fit: CameraFit, uprights: Sequence[Upright]) -> str:
    """What the fit says of the camera, as far as the marks tell it."""
    camera, n = fit.camera, sum(len(upright.marks) for upright in uprights)
    parts = [f"looking {abs(camera.pitch_deg):.0f}° {'down' if camera.pitch_deg <= 0 else 'up'}"]
    if _is_known(fit, HEIGHT_LOG):
        parts.append(f"lens {camera.height_m:.1f} m above the ground")
    if _is_known(fit, TAN_LOG):
        parts.append(f"field of view {camera.hfov_deg:.0f}°")
    return f"Fitted to {n} marks: {', '.join(parts)}."


def _is_known(fit: CameraFit, parameter: int) -> bool:
    return bool(math.sqrt(fit.covariance[parameter, parameter]) <= KNOWN_SD_LOG)
