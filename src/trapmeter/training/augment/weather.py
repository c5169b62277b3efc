"""Fog, shadow and sun flare as one multiplication and one addition per pixel."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from trapmeter.records import Pixels
from trapmeter.training.augment.plan import AugmentPlan, Flare, Fog, Shadow

Plane = NDArray[np.float32]
"""height x width."""

SHADOW_FACTOR = 0.5
FLARE_RING_PX = 10
"""The glow of a flare is made of rings of about this width."""


@dataclass(frozen=True, slots=True)
class WeatherOverlay:
    """What lies between scene and camera: both uint8, height x width x 3; passed is in 255ths."""

    transmission: Pixels
    added: Pixels

    def apply_to(self, frame: Pixels) -> Pixels:
        """A new frame: the share that passes, and the light added."""
        return np.asarray(cv2.add(cv2.multiply(frame, self.transmission, scale=1.0 / 255.0), self.added), np.uint8)


def weather_overlay(plan: AugmentPlan) -> WeatherOverlay | None:
    """The fog, shadow and flare of a plan as one, in this order; None without any of them."""
    if plan.fog is None and plan.shadow is None and plan.flare is None:
        return None
    # With values 0..1: frame x passed + added. Each layer is applied to what the layers before have made of it.
    passed, added = np.ones(plan.size_hw, np.float32), np.zeros(plan.size_hw, np.float32)
    if plan.fog is not None:
        passed = fog_transmission(plan.fog, plan.size_hw)
        added = 1.0 - passed
    if plan.shadow is not None:
        dimmed = shadow_factor(plan.shadow, plan.size_hw)
        passed, added = passed * dimmed, added * dimmed
    added_rgb = _as_rgb(added)
    if plan.flare is not None:
        through, light = _flare_discs(plan.flare, plan.size_hw)
        glow = glow_transmission(plan.flare, plan.size_hw)
        passed = passed * through * glow
        added_rgb = _as_rgb(added * through * glow + (1.0 - glow)) + light * _as_rgb(glow)
    return WeatherOverlay(_to_bytes(_as_rgb(passed)), _to_bytes(added_rgb))


def fog_transmission(fog: Fog, size_hw: tuple[int, int]) -> Plane:
    """The share of light that passes the fog, 0..1: the rest is white. Each disc takes its alpha of what is left."""
    height, width = size_hw
    radius = fog.radius_px
    side = 2 * radius + 1
    disc = np.zeros((side, side), np.uint8)
    cv2.circle(disc, (radius, radius), radius, 1, -1)
    # A margin holds the parts of discs beyond the edges; discs further out can't be seen.
    depth = np.zeros((height + 2 * side, width + 2 * side), np.uint8)
    for x, y in fog.centres:
        top, left = y - radius + side, x - radius + side
        if 0 <= top <= height + side and 0 <= left <= width + side:
            depth[top : top + side, left : left + side] += disc
    shares = (1.0 - fog.alpha) ** np.arange(256, dtype=np.float32)
    clear = np.asarray(cv2.LUT(np.ascontiguousarray(depth[side:-side, side:-side]), shares), np.float32)
    # albumentations blurs the fogged picture. Blurring frame and fog each for itself differs only along the discs' edges.
    return np.asarray(cv2.blur(clear, (fog.blur_px, fog.blur_px)), np.float32) if fog.blur_px > 1 else clear


def shadow_factor(shadow: Shadow, size_hw: tuple[int, int]) -> Plane:
    """The factor on brightness, a half within the polygons.

    albumentations halves the lightness of HLS. That is the same for colours of lightness up to a half; lighter ones become
    more saturated there, which no shadow does.
    """
    factor = np.ones(size_hw, np.float32)
    for polygon in shadow.polygons:
        cv2.fillPoly(factor, [np.array(polygon, np.int32)], (SHADOW_FACTOR,))
    return factor


def glow_transmission(flare: Flare, size_hw: tuple[int, int]) -> Plane:
    """The share of light that passes the glow, 0 at its centre and 1 from its radius on: the rest is white.

    Discs of growing radius are laid on each other, the smallest fully white and the largest clear, with strengths falling by
    the third power: so each ring is covered by its own disc and all larger ones.
    """
    n = max(flare.radius_px // FLARE_RING_PX, 1)
    radii = np.linspace(1.0, flare.radius_px, n).astype(int)
    strengths = np.linspace(1.0, 0.0, n) ** 3
    clear = np.cumprod((1.0 - strengths)[::-1])[::-1]
    glow = np.ones(size_hw, np.float32)
    for radius, share in zip(radii[::-1], clear[::-1], strict=True):
        cv2.circle(glow, flare.centre, int(radius), (float(share),), -1)
    return glow


def _flare_discs(flare: Flare, size_hw: tuple[int, int]) -> tuple[Plane, NDArray[np.float32]]:
    """What passes the small discs, and their light (height x width x 3).

    Each disc is drawn onto a layer that keeps the discs before it and is laid on the picture anew for each, so a disc is
    as strong as its own alpha and all later ones together. Where two overlap, the colour is the first one's.
    """
    through = np.ones(size_hw, np.float32)
    light = np.zeros((*size_hw, 3), np.float32)
    share = 1.0
    for disc in reversed(flare.discs):
        share *= 1.0 - disc.alpha
        cv2.circle(through, disc.centre, disc.radius_px, (share,), -1)
        cv2.circle(light, disc.centre, disc.radius_px, tuple(c / 255.0 * (1.0 - share) for c in disc.colour), -1)
    return through, light


def _as_rgb(plane: Plane) -> NDArray[np.float32]:
    return np.asarray(cv2.cvtColor(plane, cv2.COLOR_GRAY2RGB), np.float32)


def _to_bytes(shares: NDArray[np.float32]) -> Pixels:
    """0..1 as 0..255, rounded."""
    return np.asarray(cv2.convertScaleAbs(shares, alpha=255.0), np.uint8)
