"""Photos in every format, turned and truncated, and the field of view from their EXIF, whatever is written there."""

from __future__ import annotations

import sys
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from PIL.TiffImagePlugin import IFDRational

from trapmeter.errors import MediaError
from trapmeter.media.photo import DAMAGE, exif_camera, exif_hfov_deg, exif_recording_time, open_photo, register_heif
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
def test_every_format_is_read(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    half_red().save(path, **({"quality": 95} if suffix != "tif" else {}))
    pixels = read(path).pixels
    assert pixels.shape == (40, 60, 3)
    assert pixels[20, 10, 0] > 150 > pixels[20, 10, 2]
    assert pixels[20, 50, 2] > 150 > pixels[20, 50, 0]


def test_heif_is_read_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    path = Path(__file__).parent / "files/half_red.heic"
    pixels = read(path).pixels
    assert pixels.shape == (40, 60, 3)
    assert pixels[20, 10, 0] > 150 > pixels[20, 10, 2]
    register_heif.cache_clear()
    monkeypatch.setitem(sys.modules, "pi_heif", None)
    with pytest.raises(MediaError, match=r"pip install 'trapmeter\[heif\]'"):
        read(path)


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


def test_sixteen_bits_are_scaled_not_clipped(tmp_path: Path) -> None:
    path = tmp_path / "deep.tif"
    Image.fromarray(np.array([[0, 32768, 65535]] * 4, np.uint16)).save(path)
    assert read(path).pixels[0, :, 0].tolist() == [0, 127, 255]


def test_floats_from_0_to_1_are_scaled_to_8_bits(tmp_path: Path) -> None:
    path = tmp_path / "float.tif"
    Image.fromarray(np.array([[0.0, 0.5, 1.0]] * 4, np.float32)).save(path)
    assert read(path).pixels[0, :, 0].tolist() == [0, 127, 255]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photo_is_turned_as_exif_says(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "a.png"
    half_red().save(path, exif=exif)
    pixels = read(path).pixels
    assert pixels.shape == ((40, 60, 3) if orientation <= 4 else (60, 40, 3))
    # Where the picture's left (red) half is displayed.
    red_at = {1: (20, 10), 2: (20, 50), 3: (20, 50), 4: (20, 10), 5: (10, 20), 6: (10, 20), 7: (50, 20), 8: (50, 20)}
    assert pixels[red_at[orientation]][0] == 200


def test_a_turned_photo_is_scaled_to_fit(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / "a.jpg"
    half_red().resize((1200, 800)).save(path, exif=exif)
    assert read(path, FitWithin(300, 300)).pixels.shape == (300, 200, 3)
    assert read(path, FitWithin(5000, 5000)).pixels.shape == (1200, 800, 3)


def test_a_photo_has_only_second_0(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    half_red().save(path)
    with open_photo(path) as photo:
        assert photo.regular_times(1.0) == [0.0]
        first, second = photo.frames([0.0, 1.0])
    assert isinstance(first, Frame)
    assert isinstance(second, MissingFrame)


def test_a_truncated_photo_yields_what_can_be_decoded(tmp_path: Path) -> None:
    complete = BytesIO()
    noise = np.random.default_rng(0).integers(100, 255, (400, 600, 3), np.uint8)
    Image.fromarray(noise).save(complete, "jpeg", quality=90)
    path = tmp_path / "broken.jpg"
    path.write_bytes(complete.getvalue()[: len(complete.getvalue()) // 2])
    frame = read(path)
    assert frame.is_corrupt
    assert frame.pixels[:100].std() > 10
    with open_photo(path) as photo:
        list(photo.frames([0.0]))
        assert photo.facts.doubts == (DAMAGE,)


@pytest.mark.parametrize(("content", "words"), [(b"", "empty"), (b"hello" * 100, "not a picture")])
def test_a_file_that_is_not_a_photo_is_refused(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(content)
    with pytest.raises(MediaError, match=words), open_photo(path):
        pass


def test_all_shared_photos_open(shared: Path) -> None:
    for path in sorted((shared / "stills").glob("*.jpg")):
        frame = read(path, FitWithin(640, 640))
        assert frame.is_corrupt == ("truncated" in path.name)
        assert max(frame.pixels.shape) == 640
    cmyk = read(shared / "stills/african_elephants_cmyk.jpg", FitWithin(640, 640)).pixels.astype(int)
    rgb = read(shared / "stills/african_elephants.jpg", FitWithin(640, 640)).pixels.astype(int)
    assert np.abs(cmyk - rgb).mean() < 12, "CMYK is not shown inverted"


FILM, FOCAL, PER_UNIT, UNIT, WIDTH = 41989, 37386, 41486, 41488, 40962  # EXIF tags


def photo_with(folder: Path, tags: dict[int, object], orientation: int = 1) -> Path:
    exif = Image.Exif()
    exif[274] = orientation
    exif.get_ifd(0x8769).update(tags)
    path = folder / "photo.jpg"
    Image.fromarray(np.full((300, 400, 3), 90, np.uint8)).save(path, exif=exif)
    return path


@pytest.mark.parametrize(
    ("tags", "degrees"),
    [
        ({}, None),
        ({FILM: 36}, 53.13),
        ({FILM: 0, FOCAL: IFDRational(5, 1)}, None),
        ({FOCAL: IFDRational(5, 1), PER_UNIT: IFDRational(2540, 1), UNIT: 2, WIDTH: 500}, 53.13),
        ({FOCAL: IFDRational(5, 1), PER_UNIT: IFDRational(1000, 1), UNIT: 3, WIDTH: 500}, 53.13),
        ({FILM: 3}, None),
        ({FILM: 800}, None),
        ({FOCAL: IFDRational(0, 0), PER_UNIT: IFDRational(1, 0)}, None),
    ],
)
def test_a_plausible_field_of_view_is_read_from_exif(
    tmp_path: Path, tags: dict[int, object], degrees: float | None
) -> None:
    with open_photo(photo_with(tmp_path, tags)) as reader:
        expected = None if degrees is None else pytest.approx(degrees, abs=0.01)
        assert reader.facts.hfov_deg == expected


def test_a_turned_photo_has_the_field_of_view_of_its_displayed_width(tmp_path: Path) -> None:
    with open_photo(photo_with(tmp_path, {FILM: 36}, orientation=6)) as reader:
        assert reader.facts.hfov_deg == pytest.approx(2 * np.degrees(np.arctan(0.5 * 300 / 400)))
        assert (reader.facts.width, reader.facts.height) == (300, 400)


def test_make_and_model_are_read_without_what_fills_them_up(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[271], exif[272] = "RECONYX ", "HC600 HYPERFIRE\0\0\0"
    path = tmp_path / "photo.jpg"
    Image.new("RGB", (40, 30)).save(path, exif=exif)
    with open_photo(path) as reader:
        assert (reader.facts.camera_make, reader.facts.camera_model) == ("RECONYX", "HC600 HYPERFIRE")
    with open_photo(photo_with(tmp_path, {})) as reader:
        assert (reader.facts.camera_make, reader.facts.camera_model) == ("", "")


TAKEN, FRACTION, ZONE, SERIAL = 36867, 37521, 36881, 42033


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ({TAKEN: "2024:05:01 06:00:00"}, "2024-05-01T06:00:00"),
        ({TAKEN: "2024:05:01 06:00:00\0", FRACTION: "7", ZONE: "+02:00"}, "2024-05-01T06:00:00.700000+02:00"),
        ({TAKEN: "2024:05:01 06:00:00", FRACTION: "1234567", ZONE: "   :  "}, "2024-05-01T06:00:00.123456"),
        ({TAKEN: "2024:05:01 06:00:00", FRACTION: "x", ZONE: "+99:00"}, "2024-05-01T06:00:00"),
        ({TAKEN: "1970:01:01 00:00:12"}, "1970-01-01T00:00:12"),
        ({TAKEN: "0000:00:00 00:00:00"}, ""),
        ({TAKEN: "    :  :     :  :  "}, ""),
        ({}, ""),
    ],
)
def test_exif_tells_when_a_photo_was_taken(tmp_path: Path, tags: dict[int, str], expected: str) -> None:
    exif = Image.Exif()
    exif.get_ifd(0x8769).update({**tags, SERIAL: "H500 1"})
    path = tmp_path / "a.jpg"
    Image.new("RGB", (40, 30)).save(path, exif=exif)
    with Image.open(path) as image:
        assert exif_recording_time(image) == expected
        assert exif_camera(image) == ("", "", "H500 1")


@given(st.binary(max_size=80))
def test_garbage_in_exif_gives_no_field_of_view_or_a_plausible_one(blob: bytes) -> None:
    image = Image.new("RGB", (40, 30))
    image.info["exif"] = b"Exif\x00\x00" + blob
    found = exif_hfov_deg(image)
    assert found is None or 10 <= found <= 120
    assert all(text.isprintable() and len(text) <= 100 for text in exif_camera(image))
