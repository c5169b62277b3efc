"""How likely and how strong each change of augmentation is.

The defaults are the 2nd-place system's list with the defaults of albumentations 1.0.3, which it ran on.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from enum import StrEnum
from typing import TypeAlias

from trapmeter.errors import InputError

Range: TypeAlias = tuple[float, float]
"""Least and greatest value; drawn evenly between."""


class BlurKind(StrEnum):
    """Ways to lose sharpness."""

    BOX = "box"
    GLASS = "glass"
    GAUSSIAN = "gaussian"
    MEDIAN = "median"
    MOTION = "motion"


class ToneKind(StrEnum):
    """Ways to change tone and colour, beside brightness and contrast."""

    GAMMA = "gamma"
    JITTER = "jitter"
    CURVE = "curve"


class NoiseKind(StrEnum):
    """Ways to disturb values."""

    GAUSSIAN = "gaussian"
    MULTIPLICATIVE = "multiplicative"


class DistortionKind(StrEnum):
    """Ways to bend the picture."""

    PIECEWISE = "piecewise"
    OPTICAL = "optical"
    GRID = "grid"


@dataclass(frozen=True, slots=True)
class AugmentSettings:
    """Fields named p_* are probabilities, 0..1. Of a tuple of kinds, one is drawn, each as likely as the others."""

    p_flip: float = 0.5
    """Left and right change places."""

    p_dropout: float = 0.5
    """Square black holes."""
    hole_count: int = 8
    """How many; they may overlap, so fewer may be seen. albumentations 1.0.3 too drew always the full number."""
    hole_px: int = 8
    """Their side."""

    p_blur: float = 0.5
    """One of the blurs."""
    blurs: tuple[BlurKind, ...] = tuple(BlurKind)
    """Which blurs there are."""
    blur_px: tuple[int, int] = (3, 7)
    """Smallest and largest side of the kernel (odd), for all but glass."""
    glass_sigma_px: float = 0.7
    """Glass: standard deviation of the Gaussian blur before and after the pixels are shuffled."""
    glass_reach_px: int = 4
    """Glass: how far one shuffle moves a pixel at most, in x and in y."""
    glass_shuffles: int = 2
    """Glass: how often pixels are shuffled."""

    p_brightness_contrast: float = 0.5
    """Values times a factor plus an offset."""
    brightness: Range = (-0.2, 0.2)
    """The offset, as a fraction of white."""
    contrast: Range = (0.8, 1.2)
    """The factor."""

    p_tone: float = 0.5
    """One of the tone changes."""
    tones: tuple[ToneKind, ...] = tuple(ToneKind)
    """Which tone changes there are."""
    gamma: Range = (0.8, 1.2)
    """Exponent of values 0..1: above 1 darkens."""
    jitter_brightness: Range = (0.8, 1.2)
    """Colour jitter: factor on all values."""
    jitter_contrast: Range = (0.8, 1.2)
    """Colour jitter: factor on the distance from the frame's mean grey."""
    jitter_saturation: Range = (0.8, 1.2)
    """Colour jitter: factor on the distance from the pixel's own grey."""
    jitter_hue: Range = (-0.2, 0.2)
    """Colour jitter: turn of the colour circle, as a fraction of it."""
    curve_std: float = 0.1
    """Tone curve: standard deviation of its two control points around 1/4 and 3/4."""

    p_noise: float = 0.5
    """One of the noises."""
    noises: tuple[NoiseKind, ...] = tuple(NoiseKind)
    """Which noises there are."""
    noise_variance: Range = (10.0, 50.0)
    """Gaussian noise: variance in grey levels squared; every pixel and channel has its own value."""
    noise_factor: Range = (0.9, 1.1)
    """Multiplicative noise: one factor for the whole window."""
    noise_per_frame: bool = False
    """Gaussian noise anew for each frame, as a sensor makes it. The 2nd-place system had one pattern for the window."""

    p_distortion: float = 0.2
    """One of the distortions; black comes in from outside."""
    distortions: tuple[DistortionKind, ...] = tuple(DistortionKind)
    """Which distortions there are."""
    piecewise_std: Range = (0.03, 0.05)
    """Piecewise: range of the standard deviation of the grid points' moves, as a fraction of height and width."""
    piecewise_points: int = 4
    """Piecewise: grid points along each side."""
    optical: Range = (-0.05, 0.05)
    """Optical: radial coefficient; above 0 shrinks the picture towards the middle."""
    grid_steps: int = 5
    """Grid: columns and rows of the grid."""
    grid_stretch: Range = (0.7, 1.3)
    """Grid: factor on each column's width and each row's height."""

    p_colour_shift: float = 0.2
    """Colours are moved along the principal axes of the frame's colours ("fancy PCA", Krizhevsky et al. 2012)."""
    colour_shift_std: float = 0.1
    """Standard deviation of the move, as a fraction of the colours' variance along each axis."""

    p_fog: float = 0.2
    """Discs of haze, and a blur."""
    fog_density: Range = (0.3, 1.0)
    """Size and strength of the discs: they are a third of the width at 1."""
    fog_alpha: float = 0.08
    """Share of white in one disc at density 1."""

    p_shadow: float = 0.2
    """One or more polygons at half the brightness."""
    shadow_count: tuple[int, int] = (1, 2)
    """Fewest and most polygons."""
    shadow_corners: int = 5
    """Corners of each polygon."""
    shadow_top: float = 0.5
    """Shadows lie between this fraction of the height and the bottom edge."""

    p_flare: float = 0.2
    """A white glow in the upper half, with small discs on a line through it."""
    flare_radius_px: int = 150
    """Radius of the glow."""
    flare_discs: tuple[int, int] = (6, 9)
    """Fewest and most discs."""

    p_turn: float = 0.2
    """Shift, scale and rotation about the middle; black comes in from outside."""
    turn_shift: Range = (-0.0625, 0.0625)
    """Shift in x and in y, as a fraction of width and height."""
    turn_scale: Range = (0.9, 1.1)
    """Scale: above 1 magnifies."""
    turn_deg: Range = (-45.0, 45.0)
    """Angle, counter-clockwise."""

    p_zoom: float = 0.0
    """Magnified, box and all: an animal that looks twice as large counts as half as far away."""
    zoom: Range = (0.75, 1.6)
    """How many times, drawn evenly in its logarithm: above 1 about any point, below 1 about the middle, black outside."""

    p_grey: float = 0.0
    """Without colour, as an infrared flash shows it."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name.startswith("p_") and not 0.0 <= value <= 1.0:
                raise InputError(f"augmentation: {field.name} is a probability, 0 to 1, got {value}")
            if isinstance(value, tuple) and not value:
                raise InputError(f"augmentation: {field.name} is empty; to leave these out, set their probability to 0")
            if (
                isinstance(value, tuple)
                and not isinstance(value[0], str)
                and not (len(value) == 2 and value[0] <= value[1])
            ):
                raise InputError(f"augmentation: {field.name} is a least and a greatest value, got {value}")
        if not self.zoom[0] > 0:
            raise InputError(f"augmentation: zoom is above 0, got {self.zoom}")
        if not all(side % 2 == 1 and side > 0 for side in self.blur_px):
            raise InputError(f"augmentation: blur_px holds odd numbers of pixels, got {self.blur_px}")


def second_place_augmentation() -> AugmentSettings:
    """The list of the 2nd-place system, every probability and strength."""
    return AugmentSettings()


def distance_preserving() -> AugmentSettings:
    """What changes the picture as another hour, camera or site would, with the distance known: zooms count as a step nearer.

    Nothing stretches, shears or shrinks an animal whose distance stays.
    """
    return replace(
        no_augmentation(),
        p_flip=0.5,
        p_brightness_contrast=0.5,
        p_tone=0.3,
        p_noise=0.2,
        p_blur=0.1,
        p_turn=0.3,
        turn_deg=(-5.0, 5.0),
        turn_scale=(1.0, 1.0),
        turn_shift=(0.0, 0.0),
        p_zoom=0.5,
        p_grey=0.25,
    )


def no_augmentation() -> AugmentSettings:
    """Nothing is ever changed; with `dataclasses.replace` a base for lists of one's own."""
    return AugmentSettings(
        p_flip=0.0,
        p_dropout=0.0,
        p_blur=0.0,
        p_brightness_contrast=0.0,
        p_tone=0.0,
        p_noise=0.0,
        p_distortion=0.0,
        p_colour_shift=0.0,
        p_fog=0.0,
        p_shadow=0.0,
        p_flare=0.0,
        p_turn=0.0,
    )
