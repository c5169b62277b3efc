from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from trapmeter.errors import MediaError
from trapmeter.media.photo import open_photo
from trapmeter.media.reader import FitWithin, MissingFrame
from trapmeter.records import Frame


def read(path: Path, fit: FitWithin | None = None) -> Frame:
    with open_photo(path, fit) as photo:
        (frame,) = photo.frames([0.0])
    assert isinstance(frame, Frame)
    return frame


def half_red() -> Image.Image:
    """Left half red, right half blue, 60 x 40."""
    pixels = np.zeros((40, 60, 3), np.uint8)
    pixels[:, :30, 0] = 200
    pixels[:, 30:, 2] = 200
    return Image.fromarray(pixels)


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
def test_reads_every_format(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    half_red().save(path, **({"quality": 95} if suffix != "tif" else {}))
    pixels = read(path).pixels
    assert pixels.shape == (40, 60, 3)
    assert pixels[20, 10, 0] > 150 > pixels[20, 10, 2]
    assert pixels[20, 50, 2] > 150 > pixels[20, 50, 0]


@pytest.mark.parametrize(
    ("mode", "expected"), [("L", 120), ("P", 102), ("RGBA", 120), ("LA", 120), ("1", 255), ("CMYK", 120)]
)
def test_every_colour_mode_becomes_rgb(tmp_path: Path, mode: str, expected: int) -> None:
    image = Image.new("RGB", (20, 10), (120, 120, 120) if mode != "1" else (255, 255, 255)).convert(mode)
    path = tmp_path / ("a.tif" if mode in ("CMYK", "LA") else "a.png")
    image.save(path)
    pixels = read(path).pixels
    assert pixels.shape == (10, 20, 3)
    assert abs(int(pixels[5, 5, 0]) - expected) <= 2


def test_sixteen_bits_are_scaled_and_not_clipped(tmp_path: Path) -> None:
    path = tmp_path / "deep.tif"
    Image.fromarray(np.array([[0, 32768, 65535]] * 4, np.uint16)).save(path)
    assert read(path).pixels[0, :, 0].tolist() == [0, 127, 255]


def test_floats_from_0_to_1_are_not_black(tmp_path: Path) -> None:
    path = tmp_path / "float.tif"
    Image.fromarray(np.array([[0.0, 0.5, 1.0]] * 4, np.float32)).save(path)
    assert read(path).pixels[0, :, 0].tolist() == [0, 127, 255]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_turned_as_exif_says(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "a.png"
    half_red().save(path, exif=exif)
    pixels = read(path).pixels
    assert pixels.shape == ((40, 60, 3) if orientation <= 4 else (60, 40, 3))
    # Where the picture's left (red) half ends up.
    where = {1: (20, 10), 2: (20, 50), 3: (20, 50), 4: (20, 10), 5: (10, 20), 6: (10, 20), 7: (50, 20), 8: (50, 20)}
    assert pixels[where[orientation]][0] == 200


def test_scaled_to_fit_also_when_turned(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / "a.jpg"
    half_red().resize((1200, 800)).save(path, exif=exif)
    assert read(path, FitWithin(300, 300)).pixels.shape == (300, 200, 3)
    assert read(path, FitWithin(5000, 5000)).pixels.shape == (1200, 800, 3)


def test_only_second_0_is_in_a_photo(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    half_red().save(path)
    with open_photo(path) as photo:
        assert photo.regular_times(1.0) == [0.0]
        first, second = photo.frames([0.0, 1.0])
    assert isinstance(first, Frame)
    assert isinstance(second, MissingFrame)


def test_truncated_photo_keeps_what_is_there(tmp_path: Path) -> None:
    whole = BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(100, 255, (400, 600, 3), np.uint8)).save(
        whole, "jpeg", quality=90
    )
    path = tmp_path / "broken.jpg"
    path.write_bytes(whole.getvalue()[: len(whole.getvalue()) // 2])
    frame = read(path)
    assert frame.is_corrupt
    assert frame.pixels[:100].std() > 10
    with open_photo(path) as photo:
        list(photo.frames([0.0]))
        assert photo.facts.doubts


@pytest.mark.parametrize(("content", "words"), [(b"", "empty"), (b"hello" * 100, "not a picture")])
def test_what_is_no_photo_fails(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(content)
    with pytest.raises(MediaError, match=words), open_photo(path):
        pass


def test_shared_photographs_all_open(shared: Path) -> None:
    for path in sorted((shared / "stills").glob("*.jpg")):
        frame = read(path, FitWithin(640, 640))
        assert frame.is_corrupt == ("truncated" in path.name)
        assert max(frame.pixels.shape) == 640
    cmyk = read(shared / "stills/african_elephants_cmyk.jpg", FitWithin(640, 640)).pixels.astype(int)
    rgb = read(shared / "stills/african_elephants.jpg", FitWithin(640, 640)).pixels.astype(int)
    assert np.abs(cmyk - rgb).mean() < 12, "CMYK is not shown inverted"
