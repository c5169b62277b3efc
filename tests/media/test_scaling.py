"""Scaling of videos and photos, down and up, turned or not."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from conftest import MakeClip, number_in
from media.remux import remux
from trapmeter.errors import InputError
from trapmeter.media.opening import open_medium
from trapmeter.media.reader import ExactSize, FitWithin, Scale, scaled_size, transpose_scale
from trapmeter.media.video import open_video
from trapmeter.records import Frame, Medium, MediumKind


def first_picture(path: Path, kind: MediumKind, scale: Scale) -> np.ndarray:
    with open_medium(Medium(path.name, path, kind), scale) as reader:
        (frame,) = reader.frames([0.0])
    assert isinstance(frame, Frame)
    return frame.pixels


@pytest.mark.parametrize("size_hw", [(48, 80), (96, 160), (270, 480), (33, 201), (200, 50)])
def test_a_video_is_scaled_to_an_exact_size(make_clip: MakeClip, size_hw: tuple[int, int]) -> None:
    with open_video(make_clip("exact.mp4"), ExactSize(*size_hw)) as video:
        frames = [frame for frame in video.frames([0, 1, 3]) if isinstance(frame, Frame)]
    assert [frame.pixels.shape for frame in frames] == [(*size_hw, 3)] * 3
    assert [number_in(frame.pixels) for frame in frames] == [0, 15, 45]


def test_scaling_down_averages(make_clip: MakeClip) -> None:
    path = make_clip("average.mp4", n=2, size=(320, 192))
    full = first_picture(path, MediumKind.VIDEO, None).astype(float)
    small = first_picture(path, MediumKind.VIDEO, ExactSize(48, 40)).astype(float)
    blocks = full.reshape(48, 4, 40, 8, 3).mean(axis=(1, 3))
    # Pictures are scaled before they are converted to RGB, so edges between colours differ slightly.
    assert np.abs(small - blocks).mean() < 1.5


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_an_exact_size_is_that_of_the_turned_video(make_clip: MakeClip, tmp_path: Path, degrees: int) -> None:
    upright = make_clip(f"upright{degrees}.mp4", n=5)
    path = remux(upright, tmp_path / "turned.mp4", rotation_deg=degrees)
    turned_hw = (60, 40)
    stored_hw = turned_hw if degrees == 180 else turned_hw[::-1]
    expected = np.rot90(first_picture(upright, MediumKind.VIDEO, ExactSize(*stored_hw)), degrees // 90)
    found = first_picture(path, MediumKind.VIDEO, ExactSize(*turned_hw))
    assert found.shape == (*turned_hw, 3)
    assert np.array_equal(found, expected)


@pytest.mark.parametrize("suffix", ["jpg", "png"])
@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
@pytest.mark.parametrize("size_hw", [(27, 48), (300, 500), (200, 20)])
def test_a_photo_is_scaled_to_an_exact_size(
    tmp_path: Path, suffix: str, orientation: int, size_hw: tuple[int, int]
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"a.{suffix}"
    pixels = np.zeros((240, 400, 3), np.uint8)
    pixels[:, :200, 0] = 200
    Image.fromarray(pixels).save(path, exif=exif)
    found = first_picture(path, MediumKind.PHOTO, ExactSize(*size_hw))
    assert found.shape == (*size_hw, 3)
    assert abs(found[..., 0].mean() - 100) < 2


def test_a_photo_is_scaled_by_averaging(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    image = Image.fromarray(np.random.default_rng(0).integers(0, 255, (90, 120, 3), np.uint8))
    image.save(path)
    expected = np.asarray(image.resize((50, 45), Image.Resampling.BOX))
    # Pillow scales in two steps if the picture is much larger.
    assert np.abs(first_picture(path, MediumKind.PHOTO, ExactSize(45, 50)).astype(int) - expected).mean() < 1


def test_a_scale_determines_the_size() -> None:
    assert scaled_size(1920, 1080, None) == (1920, 1080)
    assert scaled_size(1920, 1080, FitWithin(540, 640)) == (640, 360)
    assert scaled_size(1920, 1080, ExactSize(270, 480)) == (480, 270)
    assert scaled_size(10, 10, ExactSize(270, 480)) == (480, 270)
    assert transpose_scale(ExactSize(1, 2)) == ExactSize(2, 1)
    assert transpose_scale(FitWithin(1, 2)) == FitWithin(2, 1)
    assert transpose_scale(None) is None
    with pytest.raises(InputError, match="got 0 x 480"):
        ExactSize(0, 480)
