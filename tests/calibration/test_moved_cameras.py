"""Reference photographs that no longer show their camera's view."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from calibration_world import distance, points_csv
from camera.scenes import movement, picture, scene
from conftest import MakeClip
from terminal import inside
from trapmeter.calibration.moved_cameras import MOVED_PREFIX, carry_box
from trapmeter.calibration.run import Calibration, calibrate
from trapmeter.camera.fitted_cameras import read_fitted_cameras, read_other_views
from trapmeter.records import Box, Estimate, Observation, Status
from trapmeter.report.run_report import write_report
from trapmeter.tables.distances import write_distances
from trapmeter.tables.reference_marks import photo_name

HERE, ELSEWHERE = scene(1), scene(2)
SHIFT = movement(right=0.05, down=0.06)
BOX = Box(0.4, 0.5, 0.5, 0.62, 0.9)


def save(folder: Path, names: list[str], pixels: np.ndarray) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(folder / name, quality=97)


@pytest.fixture
def survey(tmp_path: Path) -> Callable[[dict[str, np.ndarray]], Path]:
    """Makes results of a site whose media show given pictures, a reference photograph, and its points."""

    def make(pictures: dict[str, np.ndarray]) -> Path:
        media = tmp_path / "media"
        rows = []
        for name, pixels in pictures.items():
            names = [f"S1/{name}_{i}.jpg" for i in range(15)]
            save(media, names, pixels)
            rows += [
                Estimate(Observation(media_id, 0.0, BOX, 1, "S1"), Status.MEASURED, distance(6.0), model_id="made-up")
                for media_id in names
            ]
        save(tmp_path, ["reference.jpg"], picture(HERE))
        write_distances(tmp_path / "results/distances.csv", sorted(rows, key=lambda row: row.observation.media_id))
        (tmp_path / "results/run.json").write_text(json.dumps({"root": str(media)}))
        lines = points_csv("S1", 3.0, 4.0, 6.0, 9.0, 14.0).splitlines()
        table = [f"{lines[0]},photo", *(f"{line},reference.jpg" for line in lines[1:])]
        (tmp_path / "points.csv").write_text("\n".join(table))
        return tmp_path

    (tmp_path / "results").mkdir()
    return make


def run(folder: Path) -> Calibration:
    return calibrate(folder / "results", folder / "out", points=folder / "points.csv")


def test_rows_of_a_moved_camera_say_so_and_keep_their_distance(
    survey: Callable[[dict[str, np.ndarray]], Path],
) -> None:
    folder = survey({"a_same": picture(HERE), "b_moved": picture(ELSEWHERE)})
    done = run(folder)
    same, moved = done.estimates[:15], done.estimates[15:]
    assert all(row.reason == "" and row.model_id.endswith("calibrated") for row in same)
    assert len({row.distance for row in same}) == 1
    assert same[0].distance != distance(6.0)
    assert all(row.reason.startswith(MOVED_PREFIX) and row.model_id == "made-up" for row in moved)
    assert {row.measured_distance.distance_m for row in moved} == {6.0}
    assert any("15 media don't show the view" in note for note in done.notes)
    assert (folder / "out/camera-moved.png").stat().st_size > 1000
    assert len(read_fitted_cameras(folder / "out")) == 1
    assert set(read_other_views(folder / "out")) == {row.observation.media_id for row in moved}
    page = write_report(folder / "out").read_text()
    assert "Cameras that moved" in page
    assert "Reference photographs beside later views" in page


def test_boxes_of_a_shifted_view_are_carried_to_the_photograph(
    survey: Callable[[dict[str, np.ndarray]], Path],
) -> None:
    folder = survey({"a_same": picture(HERE), "b_shifted": picture(HERE, SHIFT)})
    done = run(folder)
    same, shifted = done.estimates[0].measured_distance, done.estimates[15].measured_distance
    # The same row of the picture shows ground that is farther away, as the view has moved down by 6 % of its height.
    assert shifted.distance_m > 1.15 * same.distance_m
    assert done.estimates[15].reason == ""
    assert any("shifted a little" in note for note in done.notes)


def test_an_unmoved_camera_needs_no_picture(survey: Callable[[dict[str, np.ndarray]], Path]) -> None:
    folder = survey({"a_same": picture(HERE)})
    (folder / "out").mkdir()
    (folder / "out/camera-moved.png").write_bytes(b"of an earlier run")
    assert not any("view" in note for note in run(folder).notes)
    assert not (folder / "out/camera-moved.png").exists()


def test_photographs_and_media_that_are_missing_are_said(survey: Callable[[dict[str, np.ndarray]], Path]) -> None:
    folder = survey({"a_same": picture(HERE)})
    (folder / "reference.jpg").unlink()
    done = run(folder)
    assert any("its reference photograph 'reference.jpg' can't be read" in note for note in done.notes)
    assert done.n_moved == 15
    save(folder / "elsewhere", ["reference.jpg"], picture(HERE))
    options = ["--points", folder / "points.csv", "--photos", folder / "elsewhere", "--out", folder / "again"]
    assert inside("calibrate", folder / "results", *options) == 0
    assert (folder / "again/distances.csv").read_bytes() == (folder / "out/distances.csv").read_bytes()


def test_a_picture_of_a_video_may_be_the_reference(
    survey: Callable[[dict[str, np.ndarray]], Path], make_clip: MakeClip
) -> None:
    folder = survey({"a_same": picture(HERE)})
    clip = make_clip("reference.mp4", n=30, rate=10, size=(320, 180))
    shutil.copy(clip, folder / "reference.mp4")
    text = (folder / "points.csv").read_text().replace("reference.jpg", photo_name("reference.mp4", 1.5))
    (folder / "points.csv").write_text(text)
    # The clip shows something else than the site.
    assert any("15 media don't show the view" in note for note in run(folder).notes)


def test_a_photograph_outside_of_the_folders_is_not_read(survey: Callable[[dict[str, np.ndarray]], Path]) -> None:
    folder = survey({"a_same": picture(HERE)})
    text = (folder / "points.csv").read_text().replace("reference.jpg", "../reference.jpg")
    (folder / "points.csv").write_text(text)
    assert any("'../reference.jpg' can't be read" in note for note in run(folder).notes)


def test_a_carried_box_stays_in_the_picture() -> None:
    moved = carry_box(BOX, SHIFT)
    assert moved.xyxy == pytest.approx((0.45, 0.56, 0.55, 0.68), abs=1e-6)
    edge = carry_box(Box(0.9, 0.9, 1.0, 1.0, 0.5), movement(right=0.3, down=0.3))
    assert 0 <= edge.x1 < edge.x2 <= 1
    assert 0 <= edge.y1 < edge.y2 <= 1
