"""The whole of `trapmeter calibrate`, from results to results."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import pytest

from calibration_world import CAMERA, row_of
from trapmeter.calibration.run import calibrate, run_calibration, select_seconds
from trapmeter.calibration.settings import CalibrateSettings
from trapmeter.errors import InputError, RunError
from trapmeter.records import Estimate, Status
from trapmeter.tables.distances import read_distances, write_distances


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def by_site(estimates: list[Estimate], site_id: str) -> list[Estimate]:
    return [e for e in estimates if e.observation.site_id == site_id]


def labels(folder: Path, factor: float = 1.5) -> Path:
    """True distances of a second of each video of site S1."""
    rows = ["video_id,time,distance"]
    for video, metres in enumerate([3.0, 7.0] * 3):
        rows.append(f"S1/{video}.mp4,0,{metres * factor / 1.5}")
    return write(folder / "labels.csv", "\n".join(rows))


def test_labels_correct_their_site_and_no_other(results: Path, tmp_path: Path) -> None:
    done = calibrate(results, out=tmp_path / "out", labels=labels(tmp_path))
    before, after = read_distances(results / "distances.csv"), read_distances(tmp_path / "out/distances.csv")
    assert by_site(after, "S2") == by_site(before, "S2")
    for old, new in zip(by_site(before, "S1"), by_site(after, "S1"), strict=True):
        assert old.distance is not None
        assert new.distance is not None
        assert old.distance.distance_m < new.distance.distance_m < 1.7 * old.distance.distance_m
        # Everything is moved alike.
        assert new.distance.low_m > old.distance.low_m
        assert all(b > a for a, b in zip(old.distance.draws_m, new.distance.draws_m, strict=True))
        assert new.model_id == "made-up; calibrated"
    (site,) = done.corrections
    assert (site.site_id, site.labels, site.points) == ("S1", 6, 0)
    assert site.label_error_m is not None
    assert site.label_error_left_out_m is not None
    assert site.label_error_left_out_m < 0.6 * site.label_error_m
    assert (tmp_path / "out/calibration.png").stat().st_size > 1000
    with (tmp_path / "out/calibration.csv").open() as file:
        assert [row["site_id"] for row in csv.DictReader(file)] == ["S1"]


def test_the_same_run_gives_the_same_bytes(results: Path, tmp_path: Path) -> None:
    for _ in range(2):
        calibrate(results, out=tmp_path / "out", labels=labels(tmp_path))
        first = (tmp_path / "out/distances.csv").read_bytes()
    assert (tmp_path / "out/distances.csv").read_bytes() == first


def test_points_put_animals_on_the_ground(results: Path, tmp_path: Path) -> None:
    rows = [f"S1,0.5,{row_of(m):.4f},{m}" for m in (3.0, 5.0, 8.0, 12.0)]
    points = write(tmp_path / "points.csv", "\n".join(["site_id,x,y,distance_m", *rows]))
    calibrate(results, out=tmp_path / "out", points=points)
    truths = [3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0] * 3
    errors = []
    for truth, new in zip(truths, by_site(read_distances(tmp_path / "out/distances.csv"), "S1"), strict=True):
        assert new.distance is not None
        errors.append(abs(new.distance.distance_m - truth))
    assert sum(errors) / len(errors) < 0.7


def test_a_narrow_lens_puts_animals_farther_away(results: Path, tmp_path: Path) -> None:
    cameras = write(tmp_path / "cameras.csv", "site_id,hfov_deg\nS1,25\n")
    (site,) = calibrate(results, out=tmp_path / "out", cameras=cameras).corrections
    assert site.camera_factor > 1.2
    assert site.after_m == pytest.approx(site.camera_factor * site.before_m)


def test_all_facts_together(results: Path, tmp_path: Path) -> None:
    cameras = write(
        tmp_path / "cameras.csv",
        f"site_id,hfov_deg,height_m,pitch_deg\nS1,{CAMERA.hfov_deg},{CAMERA.height_m},{CAMERA.pitch_deg}\n",
    )
    rows = [f"S1,0.5,{row_of(m):.4f},{m}" for m in (3.0, 8.0)]
    points = write(tmp_path / "points.csv", "\n".join(["site_id,x,y,distance_m", *rows]))
    settings = CalibrateSettings(results, out=tmp_path / "out", labels=labels(tmp_path), points=points, cameras=cameras)
    (site,) = run_calibration(settings).corrections
    assert (site.labels, site.points, site.camera_factor) == (6, 2, 1.0)
    assert site.ground_b is not None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("video_id,time,distance\nS1/0.mp4,0,4\nother.mp4,0,4\n", "line 3: .*no video 'other.mp4'"),
        ("video_id,time,distance\nS1/0.mp4,99,4\n", "none of its 1 labels is of a second.*line 2"),
        ("video_id,time,distance\n", "no row has a distance"),
        ("video_id,time,distance\nS1/0.mp4,0,400\nS1/1.mp4,0,700\n", "times the measured ones.*expected metres"),
    ],
)
def test_labels_of_nothing_are_refused(results: Path, tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        calibrate(results, out=tmp_path / "out", labels=write(tmp_path / "labels.csv", text))
    assert not (tmp_path / "out/distances.csv").exists()


def test_a_site_without_rows_is_refused(results: Path, tmp_path: Path) -> None:
    points = write(tmp_path / "points.csv", "site_id,x,y,distance_m\nS9,0.5,0.9,2\nS9,0.5,0.5,8\n")
    with pytest.raises(InputError, match="no row of site 'S9'; its sites are "):
        calibrate(results, out=tmp_path / "out", points=points)


def test_nothing_known_is_refused(results: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="give --labels, --points, --cameras, --species"):
        CalibrateSettings(results, out=tmp_path / "out")


def test_what_is_calibrated_is_not_calibrated_again(results: Path, tmp_path: Path) -> None:
    known = labels(tmp_path)
    calibrate(results, out=tmp_path / "once", labels=known)
    with pytest.raises(InputError, match="calibrated already"):
        calibrate(tmp_path / "once", out=tmp_path / "twice", labels=known)


def test_results_are_never_overwritten(results: Path, tmp_path: Path) -> None:
    before = (results / "distances.csv").read_bytes()
    with pytest.raises(RunError, match="holds the results to calibrate"):
        calibrate(results, out=results, labels=labels(tmp_path))
    with pytest.raises(RunError, match="choose another"):
        select_seconds(results, results, 3)
    assert (results / "distances.csv").read_bytes() == before


def test_picked_seconds_come_back_as_labels(results: Path, tmp_path: Path) -> None:
    picked = select_seconds(results, tmp_path / "picked", 3)
    path = picked.path
    assert (picked.n_rows, picked.n_sites, picked.has_sites) == (6, 2, True)
    head, *rows = path.read_text().splitlines()
    assert len({row.split(",")[1] for row in rows}) == 6
    path.write_text("\n".join([head, *(f"{row}6.5" for row in rows[:3])]))
    (site,) = calibrate(results, out=tmp_path / "out", labels=path).corrections
    assert (site.site_id, site.labels) == ("S1", 3)


def test_a_camera_whose_site_has_no_animal_is_no_error(results: Path, tmp_path: Path) -> None:
    table = read_distances(results / "distances.csv")
    seen = replace(table[0].observation, media_id="S3/0.mp4", site_id="S3", box=None)
    empty = replace(table[0], observation=seen, status=Status.NO_ANIMAL, distance=None, model_id="")
    write_distances(results / "distances.csv", [*table, empty])
    cameras = write(tmp_path / "cameras.csv", "site_id,hfov_deg\nS1,42\nS3,42\n")
    done = calibrate(results, out=tmp_path / "out", cameras=cameras)
    assert [site.site_id for site in done.corrections] == ["S1"]
