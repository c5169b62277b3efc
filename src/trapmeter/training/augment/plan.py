"""The plan of one window's augmentation: a record for each step, with all its random values.

Pixel coordinates count from the top left, x to the right and y down; integers are the centres of pixels.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TypeAlias

Point: TypeAlias = tuple[int, int]
"""x, y in pixels."""


@dataclass(frozen=True, slots=True)
class Dropout:
    """Black squares: their top left corners and their side."""

    corners: tuple[Point, ...]
    side_px: int


@dataclass(frozen=True, slots=True)
class BoxBlur:
    """Mean over a square."""

    side_px: int


@dataclass(frozen=True, slots=True)
class GaussianBlur:
    """Gaussian kernel, cut off at a square, with the standard deviation that OpenCV chooses for that side."""

    side_px: int


@dataclass(frozen=True, slots=True)
class MedianBlur:
    """Median over a square."""

    side_px: int


@dataclass(frozen=True, slots=True)
class MotionBlur:
    """Mean along a line from start to end within a square."""

    side_px: int
    start: Point
    end: Point


@dataclass(frozen=True, slots=True)
class GlassBlur:
    """Pixels are shuffled within a reach, as through frosted glass."""

    sigma_px: float
    reach_px: int
    shuffles: int
    seed: int


@dataclass(frozen=True, slots=True)
class BrightnessContrast:
    """Values 0..255 times contrast plus brightness times 255."""

    brightness: float
    contrast: float


@dataclass(frozen=True, slots=True)
class Gamma:
    """Values 0..1 to the power of gamma."""

    gamma: float


@dataclass(frozen=True, slots=True)
class ColourJitter:
    """Factors on brightness, contrast and saturation and a rotation of hue, applied in the order of the names."""

    brightness: float
    contrast: float
    saturation: float
    hue: float
    order: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ToneCurve:
    """A Bezier curve from 0 to 1; low and high are the values of its two inner control points, 0..1."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class GaussianNoise:
    """Independent normal values for every pixel and channel."""

    variance: float
    per_frame: bool
    seed: int


@dataclass(frozen=True, slots=True)
class MultiplicativeNoise:
    """One factor on all values."""

    factor: float


@dataclass(frozen=True, slots=True)
class PiecewiseAffine:
    """Displaced sources of a regular grid's points: shifts as fractions of width and height, row by row."""

    moves_x: tuple[tuple[float, ...], ...]
    moves_y: tuple[tuple[float, ...], ...]


@dataclass(frozen=True, slots=True)
class OpticalDistortion:
    """Radial distortion of a lens: one coefficient for the second and the fourth power of the radius."""

    coefficient: float


@dataclass(frozen=True, slots=True)
class GridDistortion:
    """Regular columns and rows are read from stretched ones: factors on their sizes, from the left and the top."""

    stretch_x: tuple[float, ...]
    stretch_y: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class ColourShift:
    """Shift along each principal axis of a frame's colours, as a fraction of the variance along it."""

    alpha: float


@dataclass(frozen=True, slots=True)
class Fog:
    """Discs of haze with a share alpha of white each, then a mean over a square."""

    centres: tuple[Point, ...]
    radius_px: int
    alpha: float
    blur_px: int


@dataclass(frozen=True, slots=True)
class Shadow:
    """Polygons at half the brightness; a polygon that crosses itself is filled by the even-odd rule."""

    polygons: tuple[tuple[Point, ...], ...]


@dataclass(frozen=True, slots=True)
class FlareDisc:
    """A faint disc, brightened further by later discs. colour is RGB 0..255."""

    centre: Point
    radius_px: int
    alpha: float
    colour: tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Flare:
    """A white glow around a centre, and discs."""

    centre: Point
    radius_px: int
    discs: tuple[FlareDisc, ...]


@dataclass(frozen=True, slots=True)
class Turn:
    """Rotation (counter-clockwise) and scale about the middle, then a shift in fractions of width and height."""

    angle_deg: float
    scale: float
    shift_x: float
    shift_y: float


@dataclass(frozen=True, slots=True)
class Zoom:
    """Magnification about a point (fractions of width and height).

    The distance is divided by the scale, or, with is_lens, the picture is that of a lens whose tangents are.
    """

    scale: float
    x: float
    y: float
    is_lens: bool = False


Blur: TypeAlias = BoxBlur | GaussianBlur | MedianBlur | MotionBlur | GlassBlur
Tone: TypeAlias = Gamma | ColourJitter | ToneCurve
Noise: TypeAlias = GaussianNoise | MultiplicativeNoise
Distortion: TypeAlias = PiecewiseAffine | OpticalDistortion | GridDistortion


@dataclass(frozen=True, slots=True)
class AugmentPlan:
    """All changes to one window whose frames are size_hw (height x width); None leaves a step out."""

    size_hw: tuple[int, int]
    flip: bool = False
    dropout: Dropout | None = None
    blur: Blur | None = None
    brightness_contrast: BrightnessContrast | None = None
    tone: Tone | None = None
    noise: Noise | None = None
    distortion: Distortion | None = None
    colour_shift: ColourShift | None = None
    fog: Fog | None = None
    shadow: Shadow | None = None
    flare: Flare | None = None
    turn: Turn | None = None
    zoom: Zoom | None = None
    grey: bool = False

    @property
    def step_names(self) -> tuple[str, ...]:
        """Names of the steps that are applied, in the order of the 2nd-place system: "Flip", "Dropout", "GlassBlur" ..."""
        steps = [getattr(self, field.name) for field in fields(self)[2:-1]]
        names = tuple(type(step).__name__ for step in steps if step is not None)
        return ("Flip",) * self.flip + names + ("Grey",) * self.grey
