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
"""Approximate width of the rings that a flare's glow consists of."""


@dataclass(frozen=True, slots=True)
class WeatherOverlay:
    """Light between scene and camera: transmitted (in 255ths) and added; both uint8, height x width x 3."""

    transmission: Pixels
    added: Pixels

    def apply_to(self, frame: Pixels) -> Pixels:
        """A copy of the frame: the transmitted share plus the added light."""
        return np.asarray(cv2.add(cv2.multiply(frame, self.transmission, scale=1.0 / 255.0), self.added), np.uint8)


def weather_overlay(plan: AugmentPlan) -> WeatherOverlay | None:
    """The fog, shadow and flare of a plan combined, in this order; None without any of them."""
    if plan.fog is None and plan.shadow is None and plan.flare is None:
        return None
    # With values 0..1: frame * transmission + added. Each layer is applied to the result of the layers before.
    transmission, added = np.ones(plan.size_hw, np.float32), np.zeros(plan.size_hw, np.float32)
    if plan.fog is not None:
        transmission = fog_transmission(plan.fog, plan.size_hw)
        added = 1.0 - transmission
    if plan.shadow is not None:
        dimmed = shadow_factor(plan.shadow, plan.size_hw)
        transmission, added = transmission * dimmed, added * dimmed
    added_rgb = _as_rgb(added)
    if plan.flare is not None:
        discs, light = _flare_discs(plan.flare, plan.size_hw)
        glow = glow_transmission(plan.flare, plan.size_hw)
        transmission = transmission * discs * glow
        added_rgb = _as_rgb(added * discs * glow + (1.0 - glow)) + light * _as_rgb(glow)
    return WeatherOverlay(_to_bytes(_as_rgb(transmission)), _to_bytes(added_rgb))


def fog_transmission(fog: Fog, size_hw: tuple[int, int]) -> Plane:
    """The share of light that passes the fog, 0..1; the rest is white. Each disc absorbs its alpha of the light left."""
    height, width = size_hw
    radius = fog.radius_px
    side = 2 * radius + 1
    disc = np.zeros((side, side), np.uint8)
    cv2.circle(disc, (radius, radius), radius, 1, -1)
    # The margin takes the parts of discs beyond the edges; discs further out are invisible.
    depth = np.zeros((height + 2 * side, width + 2 * side), np.uint8)
    for x, y in fog.centres:
        top, left = y - radius + side, x - radius + side
        if 0 <= top <= height + side and 0 <= left <= width + side:
            depth[top : top + side, left : left + side] += disc
    shares = (1.0 - fog.alpha) ** np.arange(256, dtype=np.float32)
    clear = np.asarray(cv2.LUT(np.ascontiguousarray(depth[side:-side, side:-side]), shares), np.float32)
    # albumentations blurs the picture with its fog. Blurring frame and fog separately differs only along the discs' edges.
    return np.asarray(cv2.blur(clear, (fog.blur_px, fog.blur_px)), np.float32) if fog.blur_px > 1 else clear


def shadow_factor(shadow: Shadow, size_hw: tuple[int, int]) -> Plane:
    """The factor on brightness, a half within the polygons.

    albumentations halves the lightness of HLS. That is the same for colours up to half the lightness, but makes lighter ones
    more saturated, which a real shadow does not.
    """
    factor = np.ones(size_hw, np.float32)
    for polygon in shadow.polygons:
        cv2.fillPoly(factor, [np.array(polygon, np.int32)], (SHADOW_FACTOR,))
    return factor


def glow_transmission(flare: Flare, size_hw: tuple[int, int]) -> Plane:
    """The share of light that passes the glow, from 0 at its centre to 1 at its radius; the rest is white.

    Discs of growing radius lie on each other, from fully white to clear, their strengths falling with the third power; each
    ring is covered by its own disc and by all larger ones.
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
    """The share of light that passes the small discs, and the light that they add (height x width x 3).

    albumentations draws each disc onto a layer with all earlier discs and then blends that layer into the picture, so that a
    disc is as strong as its own and all later alphas together. Where two overlap, the colour is the first one's.
    """
    transmission = np.ones(size_hw, np.float32)
    light = np.zeros((*size_hw, 3), np.float32)
    share = 1.0
    for disc in reversed(flare.discs):
        share *= 1.0 - disc.alpha
        cv2.circle(transmission, disc.centre, disc.radius_px, (share,), -1)
        cv2.circle(light, disc.centre, disc.radius_px, tuple(c / 255.0 * (1.0 - share) for c in disc.colour), -1)
    return transmission, light


def _as_rgb(plane: Plane) -> NDArray[np.float32]:
    return np.asarray(cv2.cvtColor(plane, cv2.COLOR_GRAY2RGB), np.float32)


def _to_bytes(shares: NDArray[np.float32]) -> Pixels:
    """Values 0..1 as bytes 0..255, rounded."""
    return np.asarray(cv2.convertScaleAbs(shares, alpha=255.0), np.uint8)
