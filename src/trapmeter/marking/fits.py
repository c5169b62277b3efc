"""The fitted camera of each photograph as of the last change, and how its marks agree; each fit is made once."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from trapmeter.camera.fit import CameraFit, fit_camera
from trapmeter.camera.prior import CameraPrior, camera_prior
from trapmeter.marking.ground import GroundView, MarkCheck, check_marks, view_ground
from trapmeter.marking.photographs import Photograph
from trapmeter.marking.session import MarkingSession, MarkingState
from trapmeter.tables.cameras import CameraSetup

CACHED = 64
QUICK_UPRIGHTS = 20
"""Up to so many uprights of a site, the fits without each of them take no longer than a page may wait."""
MOST_DIFFERENT_SHAPES = 1.03
"""Up to this ratio of their widths over heights, photographs count as of one shape."""

Made = TypeVar("Made")


class Cameras:
    """What is known of the cameras before any mark: set-ups by site, and a field of view for all others."""

    def __init__(self, setups: Mapping[str, CameraSetup], hfov_deg: float | None) -> None:
        self._setups, self._hfov_deg = setups, hfov_deg

    def prior(self, photograph: Photograph) -> CameraPrior:
        """The prior of a photograph's camera; the photograph itself tells the aspect ratio."""
        setup = self._setups.get(photograph.site_id, CameraSetup())
        hfov_deg = self._hfov_deg if setup.hfov_deg is None else setup.hfov_deg
        return camera_prior(replace(setup, hfov_deg=hfov_deg, aspect=photograph.aspect_ratio))


@dataclass(frozen=True, slots=True)
class CheckedGround:
    """The ground of a photograph in a state. checks: by index of the upright; has_all: whether none is missing."""

    state: MarkingState
    view: GroundView
    has_all: bool
    checks: Mapping[int, MarkCheck] = field(default_factory=dict)


class Grounds:
    """The ground of each photograph. It is safe for several threads."""

    def __init__(self, session: MarkingSession, cameras: Cameras) -> None:
        self._session, self._cameras = session, cameras
        self._fits: OrderedDict[tuple[object, ...], CameraFit] = OrderedDict()
        self._checks: OrderedDict[tuple[object, ...], dict[int, MarkCheck]] = OrderedDict()
        self._fit_lock, self._check_lock = threading.Lock(), threading.Lock()

    def view(self, number: int, *, waits_for_checks: bool) -> CheckedGround:
        """The ground by all marks of a photograph's deployment; of a site with many marks, with checks only if asked to wait.

        A change that comes in the meantime ends the checks: they would be out of date.
        """
        with self._fit_lock:  # requests wait for a fit that goes on, and then see the newest table
            state = self._session.state
            uprights = self._session.deployment(number, state.table).uprights
            photograph = self._session.photographs[number]
            prior = self._cameras.prior(photograph)
            fit_key = (uprights, photograph.site_id, photograph.aspect_ratio)
            fit = _cached(self._fits, fit_key, lambda: fit_camera(uprights, prior))
        key = (uprights, number)
        view = view_ground(uprights, fit)
        view = replace(view, message=f"{view.message}{self._shape_note(number, state)}")
        if len(uprights) > QUICK_UPRIGHTS and not waits_for_checks and key not in self._checks:
            return CheckedGround(state, view, has_all=False)
        with self._check_lock:
            if key not in self._checks:
                shown = self._session.objects(number, state.table)
                checks = {}
                for i, check in check_marks(uprights, prior, fit, shown):
                    checks[i] = check
                    if self._session.state.version != state.version:
                        return CheckedGround(state, view, has_all=False)
                _cached(self._checks, key, lambda: checks)
            return CheckedGround(state, view, has_all=True, checks=self._checks[key])

    def _shape_note(self, number: int, state: MarkingState) -> str:
        """That marked photographs of a deployment have different shapes, so that one camera can't fit all; or ""."""
        shown = self._session.photographs[number]
        ratios = [
            other.aspect_ratio
            for other in self._session.photographs
            if (other.site_id, other.dates) == (shown.site_id, shown.dates)
            and not other.problem
            and (other.number == number or self._session.objects(other.number, state.table))
        ]
        if max(ratios) <= MOST_DIFFERENT_SHAPES * min(ratios):
            return ""
        return " The marked photographs of this site have different shapes: mark only those as the camera usually takes them."


def _cached(cache: OrderedDict[tuple[object, ...], Made], key: tuple[object, ...], make: Callable[[], Made]) -> Made:
    """What was made for a key before, or what make makes now; the oldest goes."""
    if key not in cache:
        cache[key] = make()
        while len(cache) > CACHED:
            cache.popitem(last=False)
    return cache[key]
