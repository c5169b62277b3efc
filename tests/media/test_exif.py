"""Fields of view from EXIF; whatever a camera or an attacker writes there, a photo stays readable."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from PIL.TiffImagePlugin import IFDRational

from trapmeter.media.photo import exif_hfov_deg, open_photo

FILM, FOCAL, PER_UNIT, UNIT, WIDTH = 41989, 37386, 41486, 41488, 40962


def photo(folder: Path, tags: dict[int, object], orientation: int = 1) -> Path:
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
def test_a_field_of_view_is_read_where_it_is_plausible(
    tmp_path: Path, tags: dict[int, object], degrees: float | None
) -> None:
    with open_photo(photo(tmp_path, tags)) as reader:
        expected = None if degrees is None else pytest.approx(degrees, abs=0.01)
        assert reader.facts.hfov_deg == expected


def test_a_photo_on_its_side_is_as_wide_as_it_was_high(tmp_path: Path) -> None:
    with open_photo(photo(tmp_path, {FILM: 36}, orientation=6)) as reader:
        assert reader.facts.hfov_deg == pytest.approx(2 * np.degrees(np.arctan(0.5 * 300 / 400)))
        assert (reader.facts.width, reader.facts.height) == (300, 400)


@given(st.binary(max_size=80))
def test_garbage_tells_nothing_or_something_plausible(blob: bytes) -> None:
    image = Image.new("RGB", (40, 30))
    image.info["exif"] = b"Exif\x00\x00" + blob
    found = exif_hfov_deg(image)
    assert found is None or 10 <= found <= 120
