"""Draws a random plan from the settings; never reads a pixel."""

from __future__ import annotations

import math

import numpy as np

from trapmeter.training.augment.plan import (
    AugmentPlan,
    Blur,
    BoxBlur,
    BrightnessContrast,
    ColourJitter,
    ColourShift,
    Distortion,
    Dropout,
    Flare,
    FlareDisc,
    Fog,
    Gamma,
    GaussianBlur,
    GaussianNoise,
    GlassBlur,
    GridDistortion,
    MedianBlur,
    MotionBlur,
    MultiplicativeNoise,
    Noise,
    OpticalDistortion,
    PiecewiseAffine,
    Point,
    Shadow,
    Tone,
    ToneCurve,
    Turn,
    Zoom,
)
from trapmeter.training.augment.settings import AugmentSettings, BlurKind, DistortionKind, Interval, NoiseKind, ToneKind

FLARE_DISC_ALPHA: Interval = (0.05, 0.2)
FLARE_MIN_LEVEL = 205
"""Smallest channel value of a flare's discs; the largest is 255."""
FLARE_STEP_PX = 10
"""The x of a flare's discs is a multiple of this."""


def draw_plan(settings: AugmentSettings, size_hw: tuple[int, int], rng: np.random.Generator) -> AugmentPlan:
    """A random plan for a window whose frames are size_hw (height x width); the steps are drawn independently."""

    def happens(probability: float) -> bool:
        return bool(rng.random() < probability)

    s = settings
    return AugmentPlan(
        size_hw=size_hw,
        flip=happens(s.p_flip),
        dropout=_draw_dropout(s, size_hw, rng) if happens(s.p_dropout) else None,
        blur=_draw_blur(s, rng) if happens(s.p_blur) else None,
        brightness_contrast=BrightnessContrast(rng.uniform(*s.brightness), rng.uniform(*s.contrast))
        if happens(s.p_brightness_contrast)
        else None,
        tone=_draw_tone(s, rng) if happens(s.p_tone) else None,
        noise=_draw_noise(s, rng) if happens(s.p_noise) else None,
        distortion=_draw_distortion(s, rng) if happens(s.p_distortion) else None,
        colour_shift=ColourShift(rng.normal(0.0, s.colour_shift_std)) if happens(s.p_colour_shift) else None,
        fog=_draw_fog(s, size_hw, rng) if happens(s.p_fog) else None,
        shadow=_draw_shadow(s, size_hw, rng) if happens(s.p_shadow) else None,
        flare=_draw_flare(s, size_hw, rng) if happens(s.p_flare) else None,
        turn=_draw_turn(s, rng) if happens(s.p_turn) else None,
        # Last, so that they change no earlier draw.
        zoom=_draw_zoom(s, rng) if happens(s.p_zoom) else None,
        grey=happens(s.p_grey),
    )


def _draw_zoom(s: AugmentSettings, rng: np.random.Generator) -> Zoom:
    scale = math.exp(rng.uniform(math.log(s.zoom[0]), math.log(s.zoom[1])))
    x, y = rng.uniform(size=2).tolist()
    return Zoom(scale, x, y) if scale > 1 and not s.zoom_is_lens else Zoom(scale, 0.5, 0.5, s.zoom_is_lens)


def _draw_integer(rng: np.random.Generator, least: int, most: int) -> int:
    """An integer from least to most, both included."""
    return int(rng.integers(least, most + 1))


def _draw_seed(rng: np.random.Generator) -> int:
    return int(rng.integers(2**63))


def _draw_dropout(s: AugmentSettings, size_hw: tuple[int, int], rng: np.random.Generator) -> Dropout:
    most_y, most_x = (max(side - s.hole_px, 0) for side in size_hw)
    corners = ((_draw_integer(rng, 0, most_x), _draw_integer(rng, 0, most_y)) for _ in range(s.hole_count))
    return Dropout(tuple(corners), s.hole_px)


def _draw_blur(s: AugmentSettings, rng: np.random.Generator) -> Blur:
    kind = s.blurs[rng.integers(len(s.blurs))]
    least, most = s.blur_px
    side = least + 2 * _draw_integer(rng, 0, (most - least) // 2)
    match kind:
        case BlurKind.BOX:
            return BoxBlur(side)
        case BlurKind.GLASS:
            return GlassBlur(s.glass_sigma_px, s.glass_reach_px, s.glass_shuffles, _draw_seed(rng))
        case BlurKind.GAUSSIAN:
            # As in albumentations 1.0.3, even sides are drawn too and raised to the next odd one: 3 is half as likely as 5.
            return GaussianBlur(_draw_integer(rng, least, most) | 1)
        case BlurKind.MEDIAN:
            return MedianBlur(side)
        case BlurKind.MOTION:
            start, end = rng.choice(side * side, 2, replace=False)
            return MotionBlur(side, (int(start % side), int(start // side)), (int(end % side), int(end // side)))


def _draw_tone(s: AugmentSettings, rng: np.random.Generator) -> Tone:
    match s.tones[rng.integers(len(s.tones))]:
        case ToneKind.GAMMA:
            return Gamma(rng.uniform(*s.gamma))
        case ToneKind.JITTER:
            names = ("brightness", "contrast", "saturation", "hue")
            return ColourJitter(
                brightness=rng.uniform(*s.jitter_brightness),
                contrast=rng.uniform(*s.jitter_contrast),
                saturation=rng.uniform(*s.jitter_saturation),
                hue=rng.uniform(*s.jitter_hue),
                order=tuple(names[i] for i in rng.permutation(len(names))),
            )
        case ToneKind.CURVE:
            low, high = np.clip(rng.normal((0.25, 0.75), s.curve_std), 0.0, 1.0)
            return ToneCurve(float(low), float(high))


def _draw_noise(s: AugmentSettings, rng: np.random.Generator) -> Noise:
    match s.noises[rng.integers(len(s.noises))]:
        case NoiseKind.GAUSSIAN:
            return GaussianNoise(rng.uniform(*s.noise_variance), s.noise_per_frame, _draw_seed(rng))
        case NoiseKind.MULTIPLICATIVE:
            return MultiplicativeNoise(rng.uniform(*s.noise_factor))


def _draw_distortion(s: AugmentSettings, rng: np.random.Generator) -> Distortion:
    match s.distortions[rng.integers(len(s.distortions))]:
        case DistortionKind.PIECEWISE:
            n = s.piecewise_points
            moves = rng.normal(0.0, rng.uniform(*s.piecewise_std), (2, n, n)).tolist()
            return PiecewiseAffine(*(tuple(tuple(row) for row in axis) for axis in moves))
        case DistortionKind.OPTICAL:
            return OpticalDistortion(rng.uniform(*s.optical))
        case DistortionKind.GRID:
            stretch_x, stretch_y = rng.uniform(*s.grid_stretch, (2, s.grid_steps)).tolist()
            return GridDistortion(tuple(stretch_x), tuple(stretch_y))


def _draw_fog(s: AugmentSettings, size_hw: tuple[int, int], rng: np.random.Generator) -> Fog:
    """Rings of discs, the first around the middle, each next ring wider and with more discs."""
    height, width = size_hw
    density = rng.uniform(*s.fog_density)
    disc = max(1, int(width // 3 * density))
    left, top = width // 2 - 2 * disc, height // 2 - disc
    centres: list[Point] = []
    ring = 1
    while left > -disc or top > -disc:
        n = disc // 10 * ring
        corners = rng.integers((left, top), (width - left - disc + 1, height - top - disc + 1), (n, 2)) + disc // 2
        centres += [(int(x), int(y)) for x, y in corners]
        left -= 3 * disc * width // (width + height)
        top -= 3 * disc * height // (width + height)
        ring += 1
    return Fog(tuple(centres), disc // 2, s.fog_alpha * density, disc // 10)


def _draw_shadow(s: AugmentSettings, size_hw: tuple[int, int], rng: np.random.Generator) -> Shadow:
    height, width = size_hw
    n = _draw_integer(rng, *s.shadow_count)
    corners = rng.integers((0, int(height * s.shadow_top)), (width + 1, height + 1), (n, s.shadow_corners, 2))
    return Shadow(tuple(tuple((x, y) for x, y in polygon) for polygon in corners.tolist()))


def _draw_flare(s: AugmentSettings, size_hw: tuple[int, int], rng: np.random.Generator) -> Flare:
    height, width = size_hw
    x, y = int(width * rng.uniform()), int(height * rng.uniform(0.0, 0.5))
    slope = math.tan(2.0 * math.pi * rng.uniform())
    discs = []
    for _ in range(_draw_integer(rng, *s.flare_discs)):
        disc_x = FLARE_STEP_PX * _draw_integer(rng, 0, (width - 1) // FLARE_STEP_PX)
        # On a steep line most discs are outside the picture; clipped, since OpenCV draws with 32-bit integers.
        disc_y = int(np.clip(y - slope * (disc_x - x), -height, 2 * height))
        red, green, blue = rng.integers(FLARE_MIN_LEVEL, 256, 3).tolist()
        radius = _draw_integer(rng, 1, max(height // 100 - 2, 2)) ** 3
        discs.append(FlareDisc((disc_x, disc_y), radius, rng.uniform(*FLARE_DISC_ALPHA), (red, green, blue)))
    return Flare((x, y), s.flare_radius_px, tuple(discs))


def _draw_turn(s: AugmentSettings, rng: np.random.Generator) -> Turn:
    return Turn(
        angle_deg=rng.uniform(*s.turn_deg),
        scale=rng.uniform(*s.turn_scale),
        shift_x=rng.uniform(*s.turn_shift),
        shift_y=rng.uniform(*s.turn_shift),
    )
