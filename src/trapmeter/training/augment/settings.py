"""How likely and how strong each augmentation is, and the named sets of settings.

The defaults are the list of the 2nd-place system with the defaults of albumentations 1.0.3, a version of its time; the system
itself names none.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from enum import StrEnum
from typing import Annotated, TypeAlias

from trapmeter.errors import InputError
from trapmeter.settings import Range, check_ranges

Probability: TypeAlias = Annotated[float, Range(0, 1)]
Interval: TypeAlias = tuple[float, float]
"""Smallest and largest value; values are drawn uniformly between them."""


class BlurKind(StrEnum):
    """Kinds of blur."""

    BOX = "box"
    GLASS = "glass"
    GAUSSIAN = "gaussian"
    MEDIAN = "median"
    MOTION = "motion"


class ToneKind(StrEnum):
    """Kinds of tone and colour changes besides brightness and contrast."""

    GAMMA = "gamma"
    JITTER = "jitter"
    CURVE = "curve"


class NoiseKind(StrEnum):
    """Kinds of noise."""

    GAUSSIAN = "gaussian"
    MULTIPLICATIVE = "multiplicative"


class DistortionKind(StrEnum):
    """Kinds of geometric distortion."""

    PIECEWISE = "piecewise"
    OPTICAL = "optical"
    GRID = "grid"


@dataclass(frozen=True, slots=True, kw_only=True)
class AugmentSettings:
    """The probability and strength of each augmentation.

    Fields named p_* are probabilities. Of a tuple of kinds one is drawn, all with the same probability. Two numbers are the
    smallest and the largest value of a uniform draw.
    """

    p_flip: Probability = 0.5
    """Probability of mirroring left and right."""

    p_dropout: Probability = 0.5
    """Probability of square black holes."""
    hole_count: Annotated[int, Range(least=0)] = 8
    """Number of holes. They may overlap. Always this number, as in albumentations 1.0.3."""
    hole_px: Annotated[int, Range(least=1, unit="pixels")] = 8
    """Side of each hole in pixels."""

    p_blur: Probability = 0.5
    """Probability of one of the blurs."""
    blurs: tuple[BlurKind, ...] = tuple(BlurKind)
    """Kinds of blur to draw from."""
    blur_px: Annotated[tuple[int, int], Range(least=1, unit="pixels")] = (3, 7)
    """Smallest and largest side of the blur kernel in pixels, odd numbers; for all kinds but glass."""
    glass_sigma_px: Annotated[float, Range(least=0, unit="pixels")] = 0.7
    """Glass blur: standard deviation in pixels of the Gaussian blur before and after the pixels are shuffled."""
    glass_reach_px: Annotated[int, Range(least=0, unit="pixels")] = 4
    """Glass blur: how far one shuffle moves a pixel at most in x and in y, in pixels."""
    glass_shuffles: Annotated[int, Range(least=0)] = 2
    """Glass blur: number of shuffles."""

    p_brightness_contrast: Probability = 0.5
    """Probability of scaling and shifting all values (contrast and brightness)."""
    brightness: Annotated[Interval, Range(-1, 1)] = (-0.2, 0.2)
    """Brightness: what is added to the values, as a fraction of white."""
    contrast: Annotated[Interval, Range(least=0)] = (0.8, 1.2)
    """Contrast: factor on the values."""

    p_tone: Probability = 0.5
    """Probability of one of the tone changes."""
    tones: tuple[ToneKind, ...] = tuple(ToneKind)
    """Kinds of tone change to draw from."""
    gamma: Annotated[Interval, Range(above=0)] = (0.8, 1.2)
    """Gamma: exponent of values 0..1; above 1 darkens."""
    jitter_brightness: Annotated[Interval, Range(least=0)] = (0.8, 1.2)
    """Colour jitter: factor on all values."""
    jitter_contrast: Annotated[Interval, Range(least=0)] = (0.8, 1.2)
    """Colour jitter: factor on the difference from the frame's mean grey."""
    jitter_saturation: Annotated[Interval, Range(least=0)] = (0.8, 1.2)
    """Colour jitter: factor on the difference from the pixel's own grey."""
    jitter_hue: Annotated[Interval, Range(-1, 1)] = (-0.2, 0.2)
    """Colour jitter: rotation of the colour circle, as a fraction of a full turn."""
    curve_std: Annotated[float, Range(least=0)] = 0.1
    """Tone curve: standard deviation of its two control points around 1/4 and 3/4 of white."""

    p_noise: Probability = 0.5
    """Probability of one of the noises."""
    noises: tuple[NoiseKind, ...] = tuple(NoiseKind)
    """Kinds of noise to draw from."""
    noise_variance: Annotated[Interval, Range(least=0)] = (10.0, 50.0)
    """Gaussian noise: variance in squared grey levels; independent for every pixel and channel."""
    noise_factor: Annotated[Interval, Range(least=0)] = (0.9, 1.1)
    """Multiplicative noise: one factor for all frames of the window."""
    noise_per_frame: bool = False
    """Draw Gaussian noise for each frame, as a sensor makes it. The 2nd-place system used one pattern for all frames."""

    p_distortion: Probability = 0.2
    """Probability of one of the distortions; the area outside the picture is black."""
    distortions: tuple[DistortionKind, ...] = tuple(DistortionKind)
    """Kinds of distortion to draw from."""
    piecewise_std: Annotated[Interval, Range(least=0)] = (0.03, 0.05)
    """Piecewise distortion: standard deviation of the grid points' shifts, as a fraction of height and width."""
    piecewise_points: Annotated[int, Range(least=2)] = 4
    """Piecewise distortion: grid points along each side."""
    optical: Annotated[Interval, Range()] = (-0.05, 0.05)
    """Optical distortion: radial coefficient; above 0 shrinks the picture towards the middle. albumentations 1.0.3 also
    shifts it by half a pixel."""
    grid_steps: Annotated[int, Range(least=1)] = 5
    """Grid distortion: columns and rows of the grid."""
    grid_stretch: Annotated[Interval, Range(above=0)] = (0.7, 1.3)
    """Grid distortion: factor on each column's width and each row's height."""

    p_colour_shift: Probability = 0.2
    """Probability of a shift along the principal axes of the frame's colours ("fancy PCA", Krizhevsky et al. 2012)."""
    colour_shift_std: Annotated[float, Range(least=0)] = 0.1
    """Standard deviation of the colour shift, as a fraction of the colours' variance along each axis."""

    p_fog: Probability = 0.2
    """Probability of fog: discs of haze, and a blur."""
    fog_density: Annotated[Interval, Range(0, 1)] = (0.3, 1.0)
    """Size and strength of the discs; at 1 they are a third of the picture's width."""
    fog_alpha: Annotated[float, Range(0, 1)] = 0.08
    """Share of white in one disc at density 1."""

    p_shadow: Probability = 0.2
    """Probability of shadows: polygons at half the brightness."""
    shadow_count: Annotated[tuple[int, int], Range(least=0)] = (1, 2)
    """Smallest and largest number of shadows."""
    shadow_corners: Annotated[int, Range(least=3)] = 5
    """Corners of each shadow."""
    shadow_top: Annotated[float, Range(0, 1)] = 0.5
    """Top of the area with shadows, as a fraction of the picture's height; it ends at the bottom edge."""

    p_flare: Probability = 0.2
    """Probability of a sun flare: a white glow in the upper half, with small discs on a line through it."""
    flare_radius_px: Annotated[int, Range(least=1, unit="pixels")] = 150
    """Radius of the glow in pixels."""
    flare_discs: Annotated[tuple[int, int], Range(least=0)] = (6, 10)
    """Smallest and largest number of discs of a flare, as in albumentations 1.0.3."""

    p_turn: Probability = 0.2
    """Probability of shift, scale and rotation about the middle; the area outside the picture is black."""
    turn_shift: Annotated[Interval, Range(-1, 1)] = (-0.0625, 0.0625)
    """Shift in x and in y, as a fraction of width and height."""
    turn_scale: Annotated[Interval, Range(above=0)] = (0.9, 1.1)
    """Scale factor; above 1 magnifies."""
    turn_deg: Annotated[Interval, Range(-180, 180, unit="degrees")] = (-45.0, 45.0)
    """Rotation in degrees, counter-clockwise."""

    p_zoom: Probability = 0.0
    """Probability of a zoom that also changes the distance: an animal twice as large counts as half as far away."""
    zoom: Annotated[Interval, Range(above=0)] = (0.75, 1.6)
    """Zoom factor, uniform in its logarithm. Above 1 about any point; below 1 about the middle, with black around it."""
    zoom_is_lens: bool = False
    """A zoom, always about the middle, changes the lens that facts state, and the distance stays: exactly what a camera with
    a longer or shorter focal length sees from the same place."""

    p_grey: Probability = 0.0
    """Probability of removing colour, as in pictures taken with an infrared flash."""

    def __post_init__(self) -> None:
        check_ranges(self)
        for field in fields(self):
            value = getattr(self, field.name)
            if not isinstance(value, tuple):
                continue
            if not value:
                raise InputError(
                    f"augmentation: {field.name} is empty; to use none of these, set their probability to 0"
                )
            if not isinstance(value[0], str) and not (len(value) == 2 and value[0] <= value[1]):
                raise InputError(f"augmentation: {field.name}: expected a smallest and a largest value, got {value}")
        if not all(side % 2 for side in self.blur_px):
            raise InputError(f"augmentation: blur_px: expected odd numbers of pixels, got {self.blur_px}")


def second_place_augmentation() -> AugmentSettings:
    """The augmentation of the 2nd-place system, with all its probabilities and strengths."""
    return AugmentSettings()


def distance_preserving() -> AugmentSettings:
    """Changes that another hour, camera or site would make, with a known distance: a zoom changes the distance with it.

    Nothing stretches, shears or shrinks an animal while its distance stays the same.
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


def fact_preserving() -> AugmentSettings:
    """`distance_preserving` without a change that facts about the camera can't follow: a zoom is another lens.

    A turned camera would see the ground elsewhere, and a turned animal fills a higher box.
    """
    return replace(distance_preserving(), p_turn=0.0, zoom=(1.0, 1.6), zoom_is_lens=True)


def no_augmentation() -> AugmentSettings:
    """No change at all: with `dataclasses.replace` a starting point for your own settings."""
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
