"""A network's input: the order of its channels, motion, and the box."""

from dataclasses import replace

import numpy as np
import pytest

from trapmeter.models.input_spec import FrameEncoding, InputSpec
from trapmeter.models.network_input import box_mask, mirror_input, motion_channels, network_input
from trapmeter.records import Box

SIZE_HW = (32, 40)
OFFSETS_S = (-1.0, -2.0, 0.0, 1.0)
BOX = Box(0.25, 0.5, 0.5, 1.0, 0.9)


def frames() -> np.ndarray:
    """Four frames; each frame and colour has its own value."""
    values = np.arange(4 * 3, dtype=np.uint8).reshape(4, 1, 1, 3) * 10 + 1
    return np.ascontiguousarray(np.broadcast_to(values, (4, *SIZE_HW, 3)))


def test_channels_are_rgb_in_the_order_of_the_offsets() -> None:
    inputs = network_input(frames(), None, InputSpec(size_hw=SIZE_HW, offsets_s=OFFSETS_S))
    assert inputs.shape == (12, *SIZE_HW)
    assert inputs[:, 0, 0].tolist() == [10 * i + 1 for i in range(12)]


def test_motion_has_the_second_in_colour_and_the_differences_from_it() -> None:
    spec = InputSpec(size_hw=SIZE_HW, offsets_s=OFFSETS_S, frames=FrameEncoding.MOTION, box_channel=True)
    inputs = network_input(frames(), BOX, spec)
    assert spec.n_channels == len(inputs) == 3 + 3 + 1
    # The second itself is the third frame; the others lie 60, 30 and 30 grey levels away.
    assert inputs[:, 0, 0].tolist() == [61, 71, 81, 60, 30, 30, 0]


def test_a_black_frame_outside_the_video_shows_no_motion() -> None:
    now = np.full((*SIZE_HW, 3), 90, np.uint8)
    others = np.stack([np.zeros_like(now), now + 7])
    assert motion_channels(others, now)[:, 0, 0].tolist() == [0, 7]


def test_the_mask_covers_the_box_and_at_least_one_pixel() -> None:
    mask = box_mask(replace(BOX, score=1.0), *SIZE_HW)
    assert mask[16:, 10:20].min() == 255
    assert mask.sum() == 16 * 10 * 255
    assert box_mask(Box(0.999, 0.999, 1.0, 1.0, 1.0), *SIZE_HW).sum() == 255
    assert box_mask(None, *SIZE_HW).sum() == 0


def test_the_mask_grows_with_the_score_from_above_0() -> None:
    least, middle, most = (int(box_mask(replace(BOX, score=score), *SIZE_HW).max()) for score in (0.0, 0.5, 1.0))
    assert 0 < least < middle < most == 255
    assert middle - least == pytest.approx(most - middle, abs=1)


def test_the_mirror_image_flips_frames_and_box() -> None:
    spec = InputSpec(size_hw=SIZE_HW, offsets_s=(0.0,), box_channel=True)
    picture = np.random.default_rng(0).integers(0, 256, (1, *SIZE_HW, 3), np.uint8)
    box = Box(0.1, 0.2, 0.3, 0.4, 0.9)
    other = network_input(picture[:, :, ::-1], Box(0.7, 0.2, 0.9, 0.4, 0.9), spec)
    np.testing.assert_array_equal(mirror_input(network_input(picture, box, spec)), other)


def test_frames_of_another_size_are_refused() -> None:
    with pytest.raises(ValueError, match="expected 4 frames"):
        network_input(frames()[:3], None, InputSpec(size_hw=SIZE_HW, offsets_s=OFFSETS_S))


def test_a_specification_keeps_everything_through_json() -> None:
    spec = InputSpec(size_hw=SIZE_HW, offsets_s=OFFSETS_S, frames=FrameEncoding.MOTION, box_channel=True)
    assert InputSpec.from_json(spec.to_json()) == spec
