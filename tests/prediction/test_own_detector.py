"""Complete runs with a detector that the user brings."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import av
import pytest
from PIL import Image

import trapmeter
from detector_networks import BLUE, HEADS, RED, make_detector, paint
from trapmeter.detect.onnx_detector import OnnxDetector
from trapmeter.detect.precision import DetectorPrecision
from trapmeter.errors import InputError, ModelError, RunError
from trapmeter.files import sha256_of
from trapmeter.parallel.sharding import Shard
from trapmeter.parallel.workers import TimeLimits
from trapmeter.prediction.plan import time_limits_with
from trapmeter.prediction.run import run_prediction
from trapmeter.prediction.settings import PredictSettings, predict_settings
from trapmeter.prediction.sharded_run import merge_shards, predict_shard
from trapmeter.records import Status
from trapmeter.settings import from_values, to_values

PLACE = (0.4, 0.4, 0.6, 0.7)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """An animal in a wide and in an upright picture, a person, and both."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for name, picture in {
        "animal": paint(450, 800, (PLACE, RED)),
        "both": paint(450, 800, (PLACE, RED), ((0.1, 0.1, 0.3, 0.3), BLUE)),
        "person": paint(450, 800, (PLACE, BLUE)),
        "upright": paint(800, 450, (PLACE, RED)),
    }.items():
        Image.fromarray(picture).save(folder / f"{name}.png")
    return folder


def settings(photos: Path, detector: Path | None, out: str = "out", **changes: object) -> PredictSettings:
    chosen = {} if detector is None else {"detector": detector}
    return PredictSettings((photos,), out=photos.parent / out, jobs=1, **chosen, **changes)


@pytest.mark.parametrize("head", HEADS)
def test_animals_are_measured_and_people_are_not(photos: Path, tmp_path: Path, head: str) -> None:
    detector = make_detector(tmp_path / "mine.onnx", head)
    run = run_prediction(settings(photos, detector))
    found = {row.observation.media_id: row for row in run.estimates}
    assert {name: row.status for name, row in found.items()} == {
        "animal.png": Status.MEASURED,
        "both.png": Status.MEASURED,
        "person.png": Status.NO_ANIMAL,
        "upright.png": Status.MEASURED,
    }
    for name in ("animal.png", "both.png", "upright.png"):
        box = found[name].observation.box
        assert box is not None and box.xyxy == pytest.approx(PLACE, abs=0.015)


@pytest.mark.slow
def test_a_video_is_tracked_and_its_report_names_the_detector(tmp_path: Path) -> None:
    video = tmp_path / "walk.mp4"
    with av.open(str(video), "w") as container:
        stream = container.add_stream("libx264", rate=4, options={"crf": "1"})
        stream.width, stream.height, stream.pix_fmt = 320, 180, "yuv444p"
        for number in range(16):
            left = 0.1 + 0.04 * number
            picture = paint(180, 320, ((left, 0.4, left + 0.2, 0.7), RED))
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    detector = make_detector(tmp_path / "md <5>.onnx")
    done = trapmeter.predict(video, tmp_path / "out", detector=str(detector), jobs=1)
    rows = done.run.estimates
    assert [(row.status, row.observation.animal_id) for row in rows] == [(Status.MEASURED, 1)] * 4
    for row in rows:
        assert row.observation.box is not None
        assert row.observation.box.x1 == pytest.approx(0.1 + 0.16 * row.observation.time_s, abs=0.02)
    facts = json.loads((tmp_path / "out/run.json").read_text())
    assert facts["models"]["detector"] == {"model_id": "md <5>.onnx", "sha256": sha256_of(detector)}
    assert facts["arguments"]["detector"] == str(detector)
    assert facts["notes"][0] == (
        "md <5>.onnx, read as YOLOv5, found the animals; its boxes of other classes (person, vehicle) were left out"
    )
    page = (tmp_path / "out/report.html").read_text()
    assert "md &lt;5&gt;.onnx" in page and "md <5>" not in page
    assert "as given by the user" in page and sha256_of(detector) in page
    assert "were left out" in page


@pytest.mark.slow
def test_only_boxes_from_a_score_of_0_2_count_by_default(photos: Path, tmp_path: Path) -> None:
    for score, n in ((0.19, 0), (0.22, 3)):
        detector = make_detector(tmp_path / f"{score}.onnx", "yolov8", score=score)
        assert run_prediction(settings(photos, detector, f"out-{score}")).summary.n_measured == n
    assert run_prediction(settings(photos, detector, "out", min_score=0.5)).summary.n_measured == 0


@pytest.mark.slow
def test_a_run_is_resumed_with_the_same_detector_only(photos: Path, tmp_path: Path) -> None:
    detector = make_detector(tmp_path / "mine.onnx")
    run_prediction(settings(photos, detector))
    before = (tmp_path / "out/distances.csv").read_bytes()
    run_prediction(settings(photos, detector))
    assert (tmp_path / "out/distances.csv").read_bytes() == before
    for other in (None, make_detector(tmp_path / "mine.onnx", score=0.8)):
        with pytest.raises(RunError, match="detector_sha256"):
            run_prediction(settings(photos, other, min_score=0.2))


def test_pictures_that_the_detector_can_not_process_are_failed_rows(photos: Path, tmp_path: Path) -> None:
    detector = make_detector(tmp_path / "mine.onnx", "yolov8", factor=9.0)
    run = run_prediction(settings(photos, detector))
    # An empty picture has no scores that the factor could spoil.
    assert {row.status for row in run.estimates} == {Status.FAILED}
    for row in run.estimates:
        assert "expected scores of 0 to 1" in row.reason and "in trapmeter" not in row.reason
    assert not run.has_internal_errors and run.has_failed_media


def test_an_unusable_detector_is_one_error_before_the_run(photos: Path, tmp_path: Path) -> None:
    broken = make_detector(tmp_path / "mine.onnx", factor=float("nan"))
    with pytest.raises(ModelError, match="not finite"):
        run_prediction(settings(photos, broken))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("text", "reason"), [("int4", "no such file"), ("absent.onnx", "no such file"), ("folder", "this is a folder")]
)
def test_a_detector_that_is_not_there_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, reason: str
) -> None:
    (tmp_path / "folder").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        InputError, match=f"--detector: expected int8, float32 or the ONNX file.*'{text}', but.*{reason}"
    ):
        predict_settings("photos", "out", detector=text)


def test_settings_keep_the_detector(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = Path("mine.onnx")
    path.touch()
    for chosen in (*DetectorPrecision, path):
        given = predict_settings("photos", "out", detector=str(chosen))
        assert given.detector == chosen and type(given.detector) is type(chosen)
        assert from_values(PredictSettings, json.loads(json.dumps(to_values(given)))) == given
    assert given.with_absolute_paths().detector == tmp_path / path
    assert predict_settings("photos", "out").with_absolute_paths().detector is DetectorPrecision.INT8


@pytest.mark.slow
def test_shards_with_a_relative_path_merge_to_one_run(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    detector = make_detector(tmp_path / "mine.onnx", "yolov10")
    run_prediction(settings(photos, detector, "whole"))
    monkeypatch.chdir(tmp_path)
    here = settings(photos, Path("mine.onnx"))
    folders = [predict_shard(here, Shard(number, 2)).folder.absolute() for number in (1, 2)]
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    merge_shards(folders, tmp_path / "merged")
    assert (tmp_path / "merged/distances.csv").read_bytes() == (tmp_path / "whole/distances.csv").read_bytes()


def test_the_file_is_not_needed_where_boxes_come_from_a_table(photos: Path, tmp_path: Path) -> None:
    table = tmp_path / "boxes.csv"
    table.write_text("video_id,time,x1,y1,x2,y2,probability,park,site_id\nanimal.png,0,0.4,0.4,0.6,0.7,0.9,park,s\n")
    detector = tmp_path / "mine.onnx"
    detector.write_bytes(b"never opened")
    run = run_prediction(settings(photos, detector, boxes=table))
    assert "detector" not in run.facts["models"]
    assert not any("detector" in note for note in run.facts["notes"])


def test_a_slow_detector_gets_more_time(tmp_path: Path) -> None:
    detector = OnnxDetector.load(make_detector(tmp_path / "mine.onnx"), min_score=0.2)
    usual = TimeLimits()
    fast, slow = (time_limits_with(replace(detector, picture_s=seconds)) for seconds in (0.01, 10.0))
    assert fast == time_limits_with(None) == usual
    # A minute of video, at a picture each second.
    assert slow.limit_s(1_000_000) > 2 * 60 * 10.0
