"""Complete runs, with boxes from a table for speed."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from conftest import MakeClip
from prediction_world import BOXES_HEADER, make_survey
from trapmeter.console import print_summary
from trapmeter.errors import InputError, RunError
from trapmeter.prediction.run import run_prediction
from trapmeter.prediction.settings import PredictSettings
from trapmeter.records import Status
from trapmeter.tables.distances import read_distances
from trapmeter.tables.site_rules import FolderSite


@pytest.fixture
def survey(tmp_path: Path, make_clip: MakeClip) -> Path:
    """Two sites, three good videos and a broken one, with a table of boxes."""
    names = ("s1/a.mp4", "s1/b.mp4", "s2/c.mp4")
    clip = make_clip("survey.mp4", n=40, rate=10)
    return make_survey(tmp_path, clip, names, n_seconds=3, broken="s2/broken.avi")


def settings(survey: Path, out: str = "out", **changes: object) -> PredictSettings:
    base = {"paths": (survey,), "out": survey.parent / out, "boxes": survey.parent / "boxes.csv", "jobs": 2}
    return PredictSettings(**{**base, **changes})


def test_every_second_has_a_row_and_every_row_a_status(survey: Path) -> None:
    run = run_prediction(settings(survey, site=FolderSite(1)))
    rows = read_distances(survey.parent / "out/distances.csv")
    assert len(rows) == len(run.estimates) == 3 * 4 + 1
    by_medium = {
        name: [r.status for r in rows if r.observation.media_id == name] for name in ("s1/a.mp4", "s2/broken.avi")
    }
    assert by_medium["s1/a.mp4"] == [Status.MEASURED] * 3 + [Status.UNKNOWN]
    assert by_medium["s2/broken.avi"] == [Status.FAILED]
    order = [(r.observation.media_id, r.observation.time_s, r.observation.animal_id) for r in rows]
    assert order == sorted(order)
    for row in rows:
        if row.distance is not None:
            assert 0 <= row.distance.low_m <= row.distance.distance_m <= row.distance.high_m
            assert row.model_id
            assert row.observation.site_id in ("s1", "s2")


def test_run_json_documents_the_run(survey: Path) -> None:
    run_prediction(settings(survey))
    facts = json.loads((survey.parent / "out/run.json").read_text())
    assert facts["counts"]["n_media"] == 4
    assert facts["counts"]["n_failed_media"] == 1
    assert facts["failures"][0]["media_id"] == "s2/broken.avi"
    assert facts["failures"][0]["reason"]
    assert len(facts["models"]["distance"]["sha256"]) == 64
    assert facts["arguments"]["every_s"] == 1.0
    assert {"find", "look", "measure", "write"} <= set(facts["seconds"])


def test_a_table_of_times_limits_the_run_to_its_seconds(survey: Path) -> None:
    times = survey.parent / "times.csv"
    times.write_text("video_id,time\na.mp4,2\na.mp4,0.5\na.mp4,99\nnowhere.mp4,1\n")
    run = run_prediction(settings(survey, times=times))
    rows = [(e.observation.media_id, e.observation.time_s, e.status.value) for e in run.estimates]
    assert rows == [
        ("nowhere.mp4", 1.0, "failed"),
        ("s1/a.mp4", 0.5, "measured"),
        ("s1/a.mp4", 2.0, "measured"),
        ("s1/a.mp4", 99.0, "past_end"),
    ]
    assert run.summary.n_unasked == 3


def test_jobs_and_order_of_paths_change_nothing(survey: Path) -> None:
    run_prediction(settings(survey, "one", jobs=1))
    run_prediction(settings(survey, "two", jobs=2, paths=(survey / "s2", survey / "s1")))
    assert (survey.parent / "one/distances.csv").read_bytes() == (survey.parent / "two/distances.csv").read_bytes()


def test_a_repeated_run_processes_nothing_twice_and_writes_the_same_bytes(survey: Path) -> None:
    run_prediction(settings(survey))
    before = (survey.parent / "out/distances.csv").read_bytes()
    steps: list[tuple[str, int, int, int]] = []
    run_prediction(settings(survey), lambda *step: steps.append(step))
    assert (survey.parent / "out/distances.csv").read_bytes() == before
    # Three of four results are kept; the broken medium is tried again.
    assert steps[0] == ("look", 3, 4, 0)


def test_a_changed_file_is_processed_again(survey: Path, make_clip: MakeClip) -> None:
    run_prediction(settings(survey))
    shutil.copy(make_clip("longer.mp4", n=60, rate=10), survey / "s1/a.mp4")
    run = run_prediction(settings(survey))
    assert sum(e.observation.media_id == "s1/a.mp4" for e in run.estimates) == 6


def test_the_folder_of_another_run_is_refused_without_overwrite(survey: Path) -> None:
    run_prediction(settings(survey))
    with pytest.raises(RunError, match=r"every_s was 1\.0, is 2\.0"):
        run_prediction(settings(survey, every_s=2.0))
    assert len(run_prediction(settings(survey, every_s=2.0, overwrite=True)).estimates) == 3 * 2 + 1


def test_two_runs_can_not_write_into_one_folder(survey: Path) -> None:
    from filelock import FileLock

    (survey.parent / "out").mkdir()
    with FileLock(survey.parent / "out/.lock"), pytest.raises(RunError, match="another run is writing there"):
        run_prediction(settings(survey))


def test_an_output_that_is_a_file_is_refused(survey: Path) -> None:
    (survey.parent / "out").write_text("x")
    with pytest.raises(RunError, match="can't be written"):
        run_prediction(settings(survey))


def test_a_name_that_could_mean_two_media_is_refused(survey: Path) -> None:
    shutil.copy(survey / "s1/a.mp4", survey / "s2/a.mp4")
    with pytest.raises(InputError, match=r"a\.mp4 could be any of s1/a\.mp4, s2/a\.mp4"):
        run_prediction(settings(survey))


def test_results_without_a_journal_are_not_overwritten(survey: Path) -> None:
    """As those of `calibrate`."""
    out = survey.parent / "out"
    out.mkdir()
    (out / "distances.csv").write_text("corrected")
    with pytest.raises(RunError, match="holds other results"):
        run_prediction(settings(survey))
    assert (out / "distances.csv").read_text() == "corrected"
    run_prediction(settings(survey, overwrite=True))


@pytest.mark.slow
def test_a_reviewed_table_is_never_replaced_by_a_different_one(survey: Path) -> None:
    run_prediction(settings(survey))
    out = survey.parent / "out"
    before = (out / "distances.csv").read_bytes()
    (out / "review.jsonl").write_text("header\ndecision\n")
    # Repeating the same run does no harm.
    run_prediction(settings(survey))
    for change in ({"hfov_deg": 30.0}, {"overwrite": True}):
        with pytest.raises(RunError, match="reviewed"):
            run_prediction(settings(survey, **change))
        assert (out / "distances.csv").read_bytes() == before
    assert sorted(path.name for path in out.iterdir() if "distances" in path.name) == ["distances.csv"]
    # A review that was only opened has no decisions.
    (out / "review.jsonl").write_text("header\n")
    run_prediction(settings(survey, hfov_deg=30.0))
    assert (out / "distances.csv").read_bytes() != before


@pytest.fixture
def photos(tmp_path: Path) -> PredictSettings:
    """Two photos of a camera whose lens the table of camera models has, with a box in each."""
    exif = Image.Exif()
    exif[271], exif[272] = "RECONYX", "HYPERFIRE 2 COVERT\0"
    (tmp_path / "photos").mkdir()
    for name in ("a.jpg", "b.jpg"):
        Image.fromarray(np.full((300, 400, 3), 90, np.uint8)).save(tmp_path / "photos" / name, exif=exif)
    rows = "a.jpg,0,0.2,0.4,0.4,0.7,0.9,park,s\nb.jpg,0,0.5,0.4,0.6,0.6,0.9,park,s\n"
    (tmp_path / "boxes.csv").write_text(BOXES_HEADER + rows)
    return PredictSettings((tmp_path / "photos",), out=tmp_path / "out", boxes=tmp_path / "boxes.csv", jobs=1)


def test_the_lens_of_a_camera_model_is_offered_and_used_on_request(
    photos: PredictSettings, capsys: pytest.CaptureFixture[str]
) -> None:
    offer = "2 media are from a Reconyx HyperFire 2, whose lens has 38 degrees: give --exif to use it"
    without = run_prediction(photos)
    print_summary(without, photos.out, photos.out)
    assert offer in capsys.readouterr().out
    assert all("lens" not in row.model_id for row in without.estimates)

    used = run_prediction(replace(photos, exif=True))
    print_summary(used, photos.out, photos.out)
    assert "whose lens" not in capsys.readouterr().out
    assert all(row.model_id.endswith("; with lens 38.2 deg by camera model") for row in used.estimates)
    told = run_prediction(replace(photos, hfov_deg=38.2))
    assert [row.distance for row in used.estimates] == [row.distance for row in told.estimates]
    assert json.loads((photos.out / "run.json").read_text())["cameras"]["n_by_source"]["stated"] == 2


def test_the_camera_model_changes_nothing_unless_it_is_requested(photos: PredictSettings) -> None:
    run_prediction(photos)
    with_model = (photos.out / "distances.csv").read_bytes()
    for path in photos.paths[0].iterdir():
        with Image.open(path) as image:
            image.load()
        image.save(path, quality=95)
    run_prediction(replace(photos, overwrite=True))
    assert (photos.out / "distances.csv").read_bytes() == with_model
