"""Checks that a bundle predicts the same as the network that it was made from, within rounding errors.

Processors add 32-bit floats in different orders and therefore round differently, so that two runs of the same network differ
by a small share of the prediction. That share depends on the network: torch also runs it in 64-bit floats, and its own
rounding error in 32 bits limits how far the bundle may be off.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trapmeter.errors import ModelError
from trapmeter.models.fact_inputs import FACT_INPUTS
from trapmeter.models.input_spec import InputSpec
from trapmeter.models.network_input import network_input
from trapmeter.records import Box

LEAST_SHARE, GREATEST_SHARE = 1e-4, 1e-3
"""Smallest and largest limit of the difference, as a share of 1 m + the prediction: 1 mm and 1 cm at 9 m."""
ROUNDING_ERRORS = 10.0
"""The permitted difference as a multiple of torch's own rounding error; another order of additions rounds about as much."""


def largest_difference(
    found: NDArray[np.float64], expected: NDArray[np.float64], exact: NDArray[np.float64] | None, what: str
) -> float:
    """Compares the distances of a bundle with those of the network that it was made from; all (n,), in metres.

    found: from the bundle. expected: from torch in 32-bit floats. exact: from torch in 64-bit floats, or None for a network
    that can't run in them. what: the subject of the error message. Returns the largest difference in metres.

    Raises:
        ModelError: they differ by more than rounding explains.
    """
    truth = expected if exact is None else exact
    scale_m = 1.0 + np.abs(truth)
    rounding = float((np.abs(expected - truth) / scale_m).max())
    limit = min(max(ROUNDING_ERRORS * rounding, LEAST_SHARE), GREATEST_SHARE)
    difference_m = np.abs(found - truth)
    share = difference_m / scale_m
    # Comparisons with NaN are False.
    if not (share <= limit).all():
        worst = int(np.argmax(np.nan_to_num(share, nan=np.inf)))
        raise ModelError(
            f"{what}: it predicts {found[worst]:.5g} m where torch predicts {truth[worst]:.5g} m; "
            f"rounding explains at most {limit * scale_m[worst]:.2g} m"
        )
    return float(difference_m.max())


def example_windows(spec: InputSpec) -> NDArray[np.uint8]:
    """Three windows like those of a camera trap: (3, channels, height, width), the same on every call.

    An animal near by in daylight, one far off in daylight, and one at night in infrared light with a frame outside the video.
    In each, an animal walks through a still scene, so that no two frames are alike.
    """
    rng = np.random.default_rng(0)
    near = _frames(spec, rng, size=0.5, brightness=0.55)
    far = _frames(spec, rng, size=0.12, brightness=0.65)
    night = np.broadcast_to(_frames(spec, rng, size=0.3, brightness=0.2).mean(axis=3, keepdims=True), near.shape)
    night = night.astype(np.uint8)
    outside = [number for number, offset_s in enumerate(spec.offsets_s) if offset_s != 0.0]
    if outside:
        night[outside[0]] = 0
    boxes = [_box(size) for size in (0.5, 0.12, 0.3)]
    return np.stack([network_input(frames, box, spec) for frames, box in zip((near, far, night), boxes, strict=True)])


def example_facts(spec: InputSpec) -> NDArray[np.float32]:
    """Facts for these windows: (3, numbers of spec.facts). All of the first window, none of the second, half of the third."""
    inputs = [FACT_INPUTS[name] for name in spec.facts]
    usual = np.array([number.mean for number in inputs]).reshape(1, -1)
    spread = np.array([number.sd for number in inputs]).reshape(1, -1)
    facts = usual + spread * np.array([[0.5], [0.0], [-0.5]])
    facts[1] = np.nan
    facts[2, ::2] = np.nan
    return np.asarray(facts, np.float32)


def _frames(spec: InputSpec, rng: np.random.Generator, size: float, brightness: float) -> NDArray[np.uint8]:
    """Frames (n, height, width, 3) of a scene and an animal whose height is this share of the picture's."""
    height, width = spec.size_hw
    scene = _texture(rng, height, width, brightness)
    # The sky is brighter than the ground.
    scene *= np.linspace(1.3, 0.7, height)[:, None, None]
    fur = _texture(rng, height, width, brightness * 0.5) * np.array([1.0, 0.8, 0.6])
    y, x = (np.arange(height) + 0.5) / height, (np.arange(width) + 0.5) / width
    frames = []
    for offset_s in spec.offsets_s:
        # The animal walks from left to right, and bobs up and down.
        centre_y, centre_x = 0.55 + 0.03 * np.sin(2.0 * offset_s), 0.5 + 0.35 * np.tanh(offset_s / 3.0)
        distance = np.hypot((y[:, None] - centre_y) / (size / 2), (x[None, :] - centre_x) / (size / 2))
        cover = np.clip((1.1 - distance) / 0.2, 0.0, 1.0)[:, :, None]
        frames.append(scene * (1.0 - cover) + fur * cover)
    return np.asarray(np.clip(np.round(np.stack(frames) * 255), 1, 255), np.uint8)


def _box(size: float) -> Box:
    """The animal's box in the window's own second."""
    return Box(0.5 - size / 2, 0.55 - size / 2, 0.5 + size / 2, 0.55 + size / 2, 0.9)


def _texture(rng: np.random.Generator, height: int, width: int, mean: float) -> NDArray[np.float64]:
    """A picture (height, width, 3), slightly blurred, whose amplitudes fall as 1 / frequency, as in nature (Field 1987)."""
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None, :])
    frequency[0, 0] = np.inf
    waves = np.fft.rfft2(rng.standard_normal((3, height, width))) * np.exp(-((frequency / 0.25) ** 2)) / frequency
    picture = np.fft.irfft2(waves, s=(height, width))
    # The colours of a natural scene are correlated.
    picture = 0.8 * picture[:1] + 0.2 * picture
    return np.asarray(mean * (1.0 + 0.3 * picture / picture.std()).transpose(1, 2, 0), np.float64)
