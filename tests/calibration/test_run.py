"""`trapmeter calibrate`, from results to corrected results."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest

from calibration.conftest import TRUTHS_M
from calibration_world import CAMERA, points_csv
from trapmeter.boxmodel.model import BoxModel
from trapmeter.calibration.pick import select_seconds
from trapmeter.calibration.run import calibrate, describe_correction
from trapmeter.errors import InputError, RunError
from trapmeter.records import Estimate, Status
from trapmeter.tables.corrections import SiteCorrection
from trapmeter.tables.distances import read_distances, write_distances


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def of_site(estimates: list[Estimate], site_id: str) -> list[Estimate]:
    return [estimate for estimate in estimates if estimate.observation.site_id == site_id]


def label_table(folder: Path) -> Path:
    """True distances of one second of each video of site S1."""
    rows = [f"S1/{video}.mp4,0,{metres}" for video, metres in enumerate([3.0, 7.0] * 3)]
    return write(folder / "labels.csv", "\n".join(["video_id,time,distance", *rows]))


def test_labels_correct_their_site_and_no_other(results: Path, tmp_path: Path) -> None:
    calibration = calibrate(results, tmp_path / "out", labels=label_table(tmp_path))
    before, after = read_distances(results / "distances.csv"), read_distances(tmp_path / "out/distances.csv")
    assert of_site(after, "S2") == of_site(before, "S2")
    for old, new in zip(of_site(before, "S1"), of_site(after, "S1"), strict=True):
        assert old.distance is not None
        assert new.distance is not None
        assert old.distance.distance_m < new.distance.distance_m < 1.7 * old.distance.distance_m
        # Interval and draws move with the distance.
        assert new.distance.low_m > old.distance.low_m
        assert all(b > a for a, b in zip(old.distance.draws_m, new.distance.draws_m, strict=True))
        assert new.model_id == "made-up; calibrated"
    assert (calibration.n_moved, calibration.n_measured, calibration.notes) == (24, 48, ())
    (site,) = calibration.corrections
    assert (site.site_id, site.labels, site.points) == ("S1", 6, 0)
    assert site.label_error_m is not None
    assert site.label_error_left_out_m is not None
    assert site.label_error_left_out_m < 0.6 * site.label_error_m
    assert (tmp_path / "out/calibration.png").stat().st_size > 1000
    with (tmp_path / "out/calibration.csv").open() as file:
        assert [row["site_id"] for row in csv.DictReader(file)] == ["S1"]


def test_paths_may_be_text(results: Path, tmp_path: Path) -> None:
    selection = select_seconds(str(results), str(tmp_path / "selected"), 1)
    assert selection.path == tmp_path / "selected/to-label.csv"
    calibration = calibrate(str(results), str(tmp_path / "out"), labels=str(label_table(tmp_path)))
    assert calibration.n_labels == 6
    assert (tmp_path / "out/distances.csv").exists()


def test_the_same_run_gives_the_same_bytes(results: Path, tmp_path: Path) -> None:
    tables = []
    for _ in range(2):
        calibrate(results, tmp_path / "out", labels=label_table(tmp_path))
        tables.append((tmp_path / "out/distances.csv").read_bytes())
    assert tables[0] == tables[1]


def test_points_correct_distances_by_the_ground(results: Path, tmp_path: Path) -> None:
    points = write(tmp_path / "points.csv", points_csv("S1", 3.0, 5.0, 8.0, 12.0))
    calibrate(results, tmp_path / "out", points=points)
    errors = []
    for truth_m, new in zip(TRUTHS_M, of_site(read_distances(tmp_path / "out/distances.csv"), "S1"), strict=True):
        assert new.distance is not None
        errors.append(abs(new.distance.distance_m - truth_m))
    assert sum(errors) / len(errors) < 0.7


def test_a_narrow_lens_puts_animals_farther_away(results: Path, tmp_path: Path) -> None:
    cameras = write(tmp_path / "cameras.csv", "site_id,hfov_deg\nS1,25\n")
    (site,) = calibrate(results, tmp_path / "out", cameras=cameras).corrections
    assert site.camera_factor > 1.2
    assert site.after_m == pytest.approx(site.camera_factor * site.before_m)


def test_all_facts_work_together(results: Path, tmp_path: Path) -> None:
    cameras = write(
        tmp_path / "cameras.csv",
        f"site_id,hfov_deg,height_m,pitch_deg\nS1,{CAMERA.hfov_deg},{CAMERA.height_m},{CAMERA.pitch_deg}\n",
    )
    points = write(tmp_path / "points.csv", points_csv("S1", 3.0, 8.0))
    calibration = calibrate(results, tmp_path / "out", labels=label_table(tmp_path), points=points, cameras=cameras)
    (site,) = calibration.corrections
    assert (site.labels, site.points, site.camera_factor) == (6, 2, 1.0)
    assert site.height_m == pytest.approx(CAMERA.height_m, rel=0.1)


def test_unused_labels_are_counted_and_misspelt_columns_noted(results: Path, tmp_path: Path) -> None:
    labels = write(tmp_path / "labels.csv", "video_id,time,distance\nS1/0.mp4,0,4\nS1/0.mp4,99,4\n")
    cameras = write(tmp_path / "cameras.csv", "site_id,hfov_deg,heigth_m\nS1,42,1\n")
    calibration = calibrate(results, tmp_path / "out", labels=labels, cameras=cameras)
    assert (calibration.n_labels, calibration.n_labels_unused) == (1, 1)
    (note,) = calibration.notes
    assert "'heigth_m'" in note
    assert "'height_m'" in note


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("video_id,time,distance\nS1/0.mp4,0,4\nother.mp4,0,4\n", "line 3: .*no video 'other.mp4'"),
        ("video_id,time,distance\nS1/0.mp4,99,4\n", "none of its 1 labels is of a second.*line 2"),
        ("video_id,time,distance\n", "no row has a distance"),
        ("video_id,time,distance\nS1/0.mp4,0,150\nS1/1.mp4,0,190\n", "times the measured ones.*expected metres"),
        ("video_id,time,distance\nS1/0.mp4,0,4\nS1/1.mp4,0,420\n", "line 3, column 'distance'.*42.0 with its decimal"),
    ],
)
def test_labels_that_match_nothing_are_refused(results: Path, tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        calibrate(results, tmp_path / "out", labels=write(tmp_path / "labels.csv", text))
    assert not (tmp_path / "out/distances.csv").exists()


def test_a_site_without_rows_is_refused(results: Path, tmp_path: Path) -> None:
    points = write(tmp_path / "points.csv", "site_id,x,y,distance_m\nS9,0.5,0.9,2\nS9,0.5,0.5,8\n")
    with pytest.raises(InputError, match="no row of site 'S9'; its sites are "):
        calibrate(results, tmp_path / "out", points=points)


def test_a_calibration_without_facts_is_refused(results: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="give --labels, --points, --cameras, --species"):
        calibrate(results, tmp_path / "out")


def test_calibrated_results_are_not_calibrated_again(results: Path, tmp_path: Path) -> None:
    labels = label_table(tmp_path)
    calibrate(results, tmp_path / "once", labels=labels)
    with pytest.raises(InputError, match="calibrated already"):
        calibrate(tmp_path / "once", tmp_path / "twice", labels=labels)


@pytest.mark.parametrize(
    ("note", "column", "facts"), [("lens 25 deg", "cameras", "lens"), ("shoulder 0.40 m", "species", "shoulder")]
)
def test_facts_that_predict_has_used_are_refused(
    results: Path, tmp_path: Path, note: str, column: str, facts: str
) -> None:
    rows = read_distances(results / "distances.csv")
    noted = [replace(row, model_id=f"{row.model_id}; with {note}") if row.distance else row for row in rows]
    write_distances(results / "distances.csv", noted)
    cameras = write(tmp_path / "cameras.csv", "site_id,hfov_deg\nS1,25\n")
    with pytest.raises(InputError, match=f"`predict` has used {facts} already; leave out --{column}"):
        calibrate(results, tmp_path / "out", **{column: cameras if column == "cameras" else "red fox"})


def test_results_are_never_overwritten(results: Path, tmp_path: Path) -> None:
    before = (results / "distances.csv").read_bytes()
    with pytest.raises(RunError, match="holds the results to calibrate"):
        calibrate(results, results, labels=label_table(tmp_path))
    with pytest.raises(RunError, match="choose another"):
        select_seconds(results, results, 3)
    assert (results / "distances.csv").read_bytes() == before


def test_selected_seconds_come_back_as_labels(results: Path, tmp_path: Path) -> None:
    selection = select_seconds(results, tmp_path / "selected", 3)
    assert (selection.n_rows, selection.n_sites, selection.notes) == (6, 2, ())
    header, *rows = selection.path.read_text().splitlines()
    assert len({row.split(",")[1] for row in rows}) == 6
    selection.path.write_text("\n".join([header, *(f"{row}6.5" for row in rows[:3])]))
    (site,) = calibrate(results, tmp_path / "out", labels=selection.path).corrections
    assert (site.site_id, site.labels) == ("S1", 3)


def test_selection_without_sites_is_noted(results: Path, tmp_path: Path) -> None:
    rows = read_distances(results / "distances.csv")
    without = [replace(row, observation=replace(row.observation, site_id="")) for row in rows]
    write_distances(results / "distances.csv", without)
    selection = select_seconds(results, tmp_path / "selected", 1)
    assert (selection.n_rows, selection.n_sites) == (12, 12)
    assert "each of their videos counts as a site (12 in all)" in selection.notes[0]


def test_selection_refuses_less_than_a_second_and_other_settings(results: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="1 or more for each site, got 0"):
        select_seconds(results, tmp_path / "selected", 0)
    with pytest.raises(InputError, match="leave out everything but --out"):
        select_seconds(results, tmp_path / "selected", 3, species="red fox")
    assert not (tmp_path / "selected").exists()


def test_a_camera_whose_site_has_no_animal_is_no_error(results: Path, tmp_path: Path) -> None:
    table = read_distances(results / "distances.csv")
    observation = replace(table[0].observation, media_id="S3/0.mp4", site_id="S3", box=None)
    empty = replace(table[0], observation=observation, status=Status.NO_ANIMAL, distance=None, model_id="")
    write_distances(results / "distances.csv", [*table, empty])
    cameras = write(tmp_path / "cameras.csv", "site_id,hfov_deg\nS1,42\nS3,42\n")
    calibration = calibrate(results, tmp_path / "out", cameras=cameras)
    assert [site.site_id for site in calibration.corrections] == ["S1"]


def test_a_correction_that_worsens_the_labels_is_marked() -> None:
    correction = SiteCorrection("S1", 24, 6, 0, 1.0, 5.0, 7.5, 1.0, 0.5)
    better = "S1: median 5.0 m before, 7.5 m after; error at labelled seconds 1.00 m, 0.50 m"
    assert describe_correction(correction).startswith(better)
    assert "WORSE" not in describe_correction(correction)
    assert "WORSE" in describe_correction(replace(correction, label_error_left_out_m=1.5))
    unknown = replace(correction, label_error_m=None, label_error_left_out_m=None)
    assert "labels of a single video can't show" in describe_correction(unknown)
    assert describe_correction(replace(unknown, labels=0)).endswith("7.5 m after")


def of_the_box_model(results: Path, note: str = "") -> str:
    """Makes the results those of the built-in box model; returns its name."""
    model_id = BoxModel.load().identity.model_id
    table = results / "distances.csv"
    estimates = read_distances(table)
    rows = [replace(row, model_id=f"{model_id}{note}") if row.distance is not None else row for row in estimates]
    write_distances(table, rows)
    return model_id


def test_the_box_model_estimates_again_with_what_is_known(results: Path, tmp_path: Path) -> None:
    model_id = of_the_box_model(results)
    calibrate(results, tmp_path / "small", shoulder_m=0.3)
    calibrate(results, tmp_path / "large", shoulder_m=1.2)
    small, large = (of_site(read_distances(tmp_path / name / "distances.csv"), "S1") for name in ("small", "large"))
    for near, far in zip(small, large, strict=True):
        assert near.distance is not None
        assert far.distance is not None
        assert near.distance.distance_m < far.distance.distance_m
        assert near.model_id == f"{model_id}; calibrated"
    run = json.loads((tmp_path / "small/run.json").read_text())
    assert run["box_model"]["model_id"] == model_id


def test_a_box_model_that_predict_has_told_something_is_not_told_the_rest_alone(results: Path, tmp_path: Path) -> None:
    of_the_box_model(results, "; with lens 39 deg")
    with pytest.raises(InputError, match="site S1: `predict` has told the box model something already"):
        calibrate(results, tmp_path / "out", species="red fox")
    # Reference points come on top of it.
    points = write(tmp_path / "points.csv", points_csv("S1", 3.0, 5.0, 8.0, 12.0))
    assert calibrate(results, tmp_path / "out", points=points).n_moved > 0


def test_a_camera_that_sees_no_ground_is_refused(results: Path, tmp_path: Path) -> None:
    cameras = write(tmp_path / "cameras.csv", "site_id,hfov_deg,height_m,pitch_deg\nS1,40,1.2,40\n")
    with pytest.raises(InputError, match=r"cameras\.csv: site S1: .*sees no ground"):
        calibrate(results, tmp_path / "out", cameras=cameras)
