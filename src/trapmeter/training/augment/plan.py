"""What is done to one window: the records that `draw.py` draws and `apply.py` carries out.

Pixels are counted from the top left, x to the right and y down; whole numbers are middles of pixels.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TypeAlias

Point: TypeAlias = tuple[int, int]
"""x, y in pixels."""


@dataclass(frozen=True, slots=True)
class Dropout:
    """Black squares: top left corners, and their side."""

    corners: tuple[Point, ...]
    side_px: int


@dataclass(frozen=True, slots=True)
class BoxBlur:
    """Mean over a square."""

    side_px: int


@dataclass(frozen=True, slots=True)
class GaussianBlur:
    """Gaussian kernel cut off at a square, its deviation following OpenCV's rule for that side."""

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
    """Pixels change places within a reach, as through frosted glass."""

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
    """Factors on brightness, contrast and saturation and a turn of hue, in an order of their names."""

    brightness: float
    contrast: float
    saturation: float
    hue: float
    order: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ToneCurve:
    """A Bezier curve from 0 to 1 whose two inner control points have these heights, 0..1."""

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
    """Where the points of an even grid take their pixels from: moves in fractions of width and height, row by row."""

    moves_x: tuple[tuple[float, ...], ...]
    moves_y: tuple[tuple[float, ...], ...]


@dataclass(frozen=True, slots=True)
class OpticalDistortion:
    """Radial distortion of a lens: coefficient of radius squared and of radius to the fourth."""

    coefficient: float


@dataclass(frozen=True, slots=True)
class GridDistortion:
    """Even columns and rows take their pixels from uneven ones: factors on their sizes, from the left and the top."""

    stretch_x: tuple[float, ...]
    stretch_y: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class ColourShift:
    """Move along each principal axis of a frame's colours, as a fraction of the variance along it."""

    alpha: float


@dataclass(frozen=True, slots=True)
class Fog:
    """Discs of haze, each alpha white, then a mean over a square."""

    centres: tuple[Point, ...]
    radius_px: int
    alpha: float
    blur_px: int


@dataclass(frozen=True, slots=True)
class Shadow:
    """Polygons at half the brightness; where one crosses itself, its inside follows the even-odd rule."""

    polygons: tuple[tuple[Point, ...], ...]


@dataclass(frozen=True, slots=True)
class FlareDisc:
    """A faint disc; later discs brighten it again. colour is RGB 0..255."""

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
    """Magnified about a point in fractions of width and height; the animal counts as nearer by as much."""

    scale: float
    x: float
    y: float


Blur: TypeAlias = BoxBlur | GaussianBlur | MedianBlur | MotionBlur | GlassBlur
Tone: TypeAlias = Gamma | ColourJitter | ToneCurve
Noise: TypeAlias = GaussianNoise | MultiplicativeNoise
Distortion: TypeAlias = PiecewiseAffine | OpticalDistortion | GridDistortion


@dataclass(frozen=True, slots=True)
class AugmentPlan:
    """Everything that is done to one window; None is left out. Made for frames of size_hw, height x width."""

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
        """What is done, in the order of the 2nd-place system's list: "Flip", "Dropout", "GlassBlur" ..."""
        steps = [getattr(self, field.name) for field in fields(self)[2:-1]]
        names = tuple(type(step).__name__ for step in steps if step is not None)
        return ("Flip",) * self.flip + names + ("Grey",) * self.grey
