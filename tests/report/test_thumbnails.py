"""Pictures of example seconds, from media that may have moved or be damaged."""

import numpy as np
from PIL import Image

from crashing import crash_at_b
from trapmeter.report import thumbnails
from trapmeter.report.examples import measured_seconds
from trapmeter.report.thumbnails import make_thumbnails


def test_each_medium_is_opened_once(photos, row, monkeypatch):
    opened = []
    real = thumbnails.open_medium
    monkeypatch.setattr(
        thumbnails, "open_medium", lambda medium, fit: opened.append(medium.media_id) or real(medium, fit)
    )
    n_done = []
    seconds = measured_seconds([row(3.0, "a.jpg"), row(4.0, "a.jpg", animal_id=2), row(5.0, "b.jpg")])
    pictures, failures = make_thumbnails(photos, seconds, n_done.append)
    assert opened == ["a.jpg", "b.jpg"]
    assert [picture.second for picture in pictures] == seconds
    assert failures == {}
    assert n_done == [1, 1]


def test_missing_damaged_and_too_short_media_are_named(photos, row):
    (photos / "b.jpg").write_bytes(b"no picture")
    rows = [row(1.0, "gone.mp4"), row(2.0, "b.jpg"), row(3.0, "a.jpg"), row(4.0, "c.jpg", time_s=7.0)]
    pictures, failures = make_thumbnails(photos, measured_seconds(rows))
    assert [picture.second.media_id for picture in pictures] == ["a.jpg"]
    assert failures == {
        "b.jpg": "not a picture that can be read",
        "c.jpg": "some seconds can no longer be read",
        "gone.mp4": "No such file or directory",
    }


def test_large_pictures_are_made_small(tmp_path, row):
    Image.fromarray(np.zeros((1500, 2000, 3), np.uint8)).save(tmp_path / "a.jpg")
    ((picture,), _) = make_thumbnails(tmp_path, measured_seconds([row()]))
    assert (picture.width, picture.height) == (480, 360)
    assert picture.jpeg_uri.startswith("data:image/jpeg;base64,")


def test_media_outside_the_folder_are_not_opened(photos, row):
    inside = photos / "inside"
    inside.mkdir()
    for name in ("../a.jpg", str(photos / "a.jpg")):
        _, failures = make_thumbnails(inside, measured_seconds([row(3.0, name)]))
        assert failures == {name: "its name leads out of the measured folder"}


def test_workers_make_the_same_pictures_and_survive_a_crash(photos, row, monkeypatch):
    seconds = measured_seconds([row(3.0, "a.jpg"), row(5.0, "b.jpg"), row(7.0, "gone.jpg")])
    assert make_thumbnails(photos, seconds, jobs=2) == make_thumbnails(photos, seconds)
    monkeypatch.setattr(thumbnails, "make_medium_thumbnails", crash_at_b)
    pictures, failures = make_thumbnails(photos, seconds[:2], jobs=1)
    assert [picture.second.media_id for picture in pictures] == ["a.jpg"]
    assert failures == {"b.jpg": "the decoder crashed (SIGSEGV)"}
