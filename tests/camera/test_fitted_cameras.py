"""cameras.json: written, read back, and refused when it is damaged."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from fitted_world import LEVEL, fit_of, fitted, write_cameras
from trapmeter.camera.fitted_cameras import FittedCamera, fitted_camera, read_fitted_cameras, write_fitted_cameras
from trapmeter.errors import InputError
from trapmeter.tables.reference_marks import Mark, MarkedDeployment, Upright, UprightKind, ground_point


def test_without_a_file_there_are_no_cameras(tmp_path: Path) -> None:
    assert read_fitted_cameras(tmp_path) == []
    write_cameras(tmp_path)
    assert read_fitted_cameras(tmp_path) == []


def test_a_fit_is_read_back_with_its_uncertainty(tmp_path: Path) -> None:
    start, end = datetime(2024, 5, 1, tzinfo=UTC), datetime(2024, 6, 1, tzinfo=UTC)
    first = fitted("S01", start, end, (("S01/ref.jpg", 3.0), ("S01/ref.jpg", 6.25), ("S01/far.jpg", 12.0)))
    path = write_cameras(tmp_path, first, fitted("S02"))
    again, second = read_fitted_cameras(tmp_path)
    assert (again.site_id, again.start, again.end, again.n_marks) == ("S01", start, end, 3)
    assert again.photos == ("S01/ref.jpg", "S01/far.jpg")
    assert again.photo_distances == first.photo_distances
    assert (second.start, second.end, second.photos) == (None, None, ())
    np.testing.assert_allclose(again.fit.parameters, first.fit.parameters, rtol=1e-11)
    np.testing.assert_allclose(again.fit.covariance, first.fit.covariance, rtol=1e-11)
    assert again.fit.weights == (1.0, 0.25)
    assert again.fit.nearness(0.5, 0.8) == pytest.approx(first.fit.nearness(0.5, 0.8))
    before = path.read_bytes()
    write_fitted_cameras(path, read_fitted_cameras(tmp_path))
    assert path.read_bytes() == before


def test_a_photo_without_a_known_distance_is_kept(tmp_path: Path) -> None:
    write_fitted_cameras(tmp_path / "cameras.json", [FittedCamera("S01", None, None, fit_of(), ("a.jpg",), 2)])
    (camera,) = read_fitted_cameras(tmp_path)
    assert (camera.photos, camera.photo_distances) == (("a.jpg",), ())


def test_the_marks_of_a_deployment_give_the_distances_of_its_photos() -> None:
    x, y = LEVEL.place(7.0, 0.0)
    top = LEVEL.place(7.0, 0.0, 1.0)
    pole = Upright((Mark(x, y), Mark(*top, 1.0)), None, UprightKind.POLE, "pole.jpg", "pole")
    known = Upright((Mark(0.5, 0.9),), 2.5, photo="near.jpg")
    above = Upright((Mark(0.5, 0.02), Mark(0.5, 0.01, 1.0)), None, UprightKind.POLE, "sky.jpg", "pole")
    deployment = MarkedDeployment("S01", None, None, (pole, known, above, ground_point(0.5, 0.7, 4.0)))
    camera = fitted_camera(deployment, fit_of())
    assert camera.photos == ("pole.jpg", "near.jpg", "sky.jpg")
    assert camera.photo_distances == (("pole.jpg", pytest.approx(7.0)), ("near.jpg", 2.5))
    assert camera.n_marks == 6


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda content: content.pop("format"), "expected fitted cameras as `trapmeter calibrate` writes them"),
        (lambda content: content.update(format=2), "expected format 1, got 2.*use that version, or calibrate again"),
        (lambda content: content.update(cameras=3), "expected a list of cameras, got int"),
        (lambda content: content["cameras"][0].pop("parameters"), "camera 1: 'parameters' is missing"),
        (lambda content: content["cameras"][0].update(parameters=[1, 2]), "camera 1: expected 7 numbers"),
        (lambda content: content["cameras"][0].update(covariance=[[1]]), "camera 1: expected 7 x 7 numbers"),
        (lambda content: content["cameras"][0].update(aspect_ratio=50), "camera 1: expected an aspect_ratio"),
        (lambda content: content["cameras"][0].update(site_id=""), "camera 1: expected the site"),
        (lambda content: content["cameras"][0].update(site_id=7), "camera 1: expected a text, got 7"),
        (lambda content: content["cameras"][0].update(start="soon"), "camera 1: .*soon"),
        (
            lambda content: content["cameras"][0].update(start="2024-05-02", end="2024-05-01"),
            "camera 1: expected an end after the start",
        ),
        (
            lambda content: content["cameras"][0].update(photos=[{"name": "a.jpg", "distances_m": [-1]}]),
            "camera 1: expected a distance above 0 m in a.jpg, got -1",
        ),
        (lambda content: content["cameras"].append("camera"), "camera 2: "),
    ],
)
def test_a_damaged_file_is_refused_by_name(tmp_path: Path, change, message: str) -> None:
    path = write_cameras(tmp_path, fitted())
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match=rf"(?s)cameras\.json.*{message}"):
        read_fitted_cameras(tmp_path)


def test_a_truncated_file_is_refused_by_name(tmp_path: Path) -> None:
    path = write_cameras(tmp_path, fitted())
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(InputError, match=r"cameras\.json: expected JSON.*calibrate again"):
        read_fitted_cameras(tmp_path)
