from datetime import UTC, datetime, timedelta
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from camera.scenes import by_night, picture, scene
from trapmeter.camera.background import N_PICTURES, find_backgrounds, median_picture
from trapmeter.records import Medium, MediumKind

DAY = picture(scene(1))
NIGHT = by_night(DAY)
START = datetime(2024, 5, 1, 13, 0)


def photo(folder: Path, name: str, pixels: np.ndarray, time: datetime | None = None) -> Medium:
    path = folder / name
    exif = Image.Exif()
    if time is not None:
        exif.get_ifd(0x8769)[0x9003] = f"{time:%Y:%m:%d %H:%M:%S}"
    Image.fromarray(pixels).save(path, exif=exif, quality=100, subsampling=0)
    return Medium(name, path, MediumKind.PHOTO)


def with_animal(pixels: np.ndarray, step: int) -> np.ndarray:
    seen = pixels.copy()
    seen[60:120, 20 * step : 20 * step + 50] = 0
    return seen


def test_no_media_have_no_background() -> None:
    assert find_backgrounds([]).backgrounds == ()


def test_an_animal_that_walks_vanishes(tmp_path: Path) -> None:
    media = [photo(tmp_path, f"{i}.jpg", with_animal(DAY, 2 * i), START + timedelta(hours=i / 4)) for i in range(7)]
    found = find_backgrounds(media)
    (background,) = found.backgrounds
    np.testing.assert_allclose(background.pixels, DAY.astype(float), atol=8)
    assert not background.is_night
    assert (background.first, background.last) == (START, START + timedelta(hours=1.5))
    assert background.media_ids == tuple(medium.media_id for medium in media)
    assert background.n_pictures == 7
    assert found.skipped == ()


def test_an_animal_vanishes_from_a_video(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=5)
        stream.height, stream.width = DAY.shape[:2]
        stream.pix_fmt = "bgr0"
        for i in range(30):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(with_animal(DAY, i // 3), format="rgb24")))
        container.mux(stream.encode(None))
    (background,) = find_backgrounds([Medium("a.mkv", path, MediumKind.VIDEO)]).backgrounds
    np.testing.assert_array_equal(background.pixels, DAY)
    assert background.n_pictures == N_PICTURES


def test_day_and_night_are_kept_apart_and_a_night_is_in_one_piece(tmp_path: Path) -> None:
    media = [
        photo(tmp_path, "morning.jpg", DAY, datetime(2024, 5, 2, 8)),
        photo(tmp_path, "after_midnight.jpg", NIGHT, datetime(2024, 5, 2, 3)),
        photo(tmp_path, "evening.jpg", NIGHT, datetime(2024, 5, 1, 22)),
        photo(tmp_path, "afternoon.jpg", DAY, datetime(2024, 5, 2, 15)),
    ]
    names = [(found.is_night, found.media_ids) for found in find_backgrounds(media).backgrounds]
    assert names == [
        (True, ("evening.jpg", "after_midnight.jpg")),
        (False, ("morning.jpg",)),
        (False, ("afternoon.jpg",)),
    ]


def test_pictures_of_other_sizes_are_kept_apart(tmp_path: Path) -> None:
    media = [photo(tmp_path, "a.jpg", DAY, START), photo(tmp_path, "b.jpg", DAY[10:], START)]
    assert [found.pixels.shape for found in find_backgrounds(media).backgrounds] == [DAY.shape, DAY[10:].shape]


def test_given_times_count_rather_than_those_of_the_files(tmp_path: Path) -> None:
    media = [photo(tmp_path, "a.jpg", DAY, START), photo(tmp_path, "b.jpg", DAY, START)]
    time = datetime(2024, 6, 1, 9, tzinfo=UTC)
    first, second = find_backgrounds(media, {"a.jpg": time}).backgrounds
    assert (first.media_ids, first.first) == (("a.jpg",), time)
    # A file's time has no zone, so nobody knows on which of the other days it was taken.
    assert (second.media_ids, second.first) == (("b.jpg",), None)


def test_media_of_unknown_time_come_last(tmp_path: Path) -> None:
    media = [photo(tmp_path, "a.jpg", DAY), photo(tmp_path, "b.jpg", DAY, START)]
    assert [found.first for found in find_backgrounds(media).backgrounds] == [START, None]


def test_a_broken_file_is_skipped_with_its_reason(tmp_path: Path) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    (tmp_path / "empty.mp4").write_bytes(b"")
    Image.fromarray(DAY).save(tmp_path / "whole.jpg")
    (tmp_path / "half.jpg").write_bytes((tmp_path / "whole.jpg").read_bytes()[:6000])
    media = [Medium(name, tmp_path / name, MediumKind.PHOTO) for name in ("broken.jpg", "half.jpg", "gone.jpg")]
    media += [Medium("empty.mp4", tmp_path / "empty.mp4", MediumKind.VIDEO), photo(tmp_path, "a.jpg", DAY)]
    found = find_backgrounds(media)
    assert [background.media_ids for background in found.backgrounds] == [("a.jpg",)]
    reasons = {skipped.media_id: skipped.reason for skipped in found.skipped}
    assert set(reasons) == {"broken.jpg", "half.jpg", "gone.jpg", "empty.mp4"}
    assert "No such file" in reasons["gone.jpg"]
    assert "damaged" in reasons["half.jpg"]
    assert all(reasons.values())


def test_media_without_a_time_are_taken_in_the_order_of_their_names(tmp_path: Path) -> None:
    media = [photo(tmp_path, f"{i:03}.jpg", DAY if i < N_PICTURES else picture(scene(2))) for i in range(20)]
    first, second = find_backgrounds(reversed(media)).backgrounds
    assert first.media_ids == tuple(medium.media_id for medium in media[:N_PICTURES])
    np.testing.assert_allclose(first.pixels, DAY.astype(float), atol=8)
    np.testing.assert_allclose(second.pixels, picture(scene(2)).astype(float), atol=8)


def test_many_pictures_are_thinned_evenly(tmp_path: Path) -> None:
    media = [photo(tmp_path, f"{i:03}.jpg", np.full((8, 8, 3), i, np.uint8), START) for i in range(100)]
    (background,) = find_backgrounds(media).backgrounds
    assert N_PICTURES <= background.n_pictures < 2 * N_PICTURES
    assert len(background.media_ids) == 100
    assert background.pixels.mean() == pytest.approx(50, abs=5)


@given(st.lists(st.integers(0, 255), min_size=1, max_size=20))
def test_the_median_is_one_of_the_values(values: list[int]) -> None:
    (median,) = {int(value) for value in median_picture([np.full((2, 3, 3), v, np.uint8) for v in values]).flat}
    assert median == sorted(values)[(len(values) - 1) // 2]
