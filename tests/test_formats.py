"""Formats of other tools: a table that is read comes back from an export with the same content and distances."""

import csv
import json
import shutil
from pathlib import Path

import pytest
from PIL import Image

from conftest import MakeClip
from trapmeter.export import ExportFormat, export_results
from trapmeter.prediction.run import run_prediction
from trapmeter.prediction.settings import PredictSettings
from trapmeter.tables.drivendata import read_labels
from trapmeter.tables.flatfile import FlatRow, read_flat_file, write_flat_file
from trapmeter.tables.megadetector import read_megadetector
from trapmeter.tables.site_rules import FolderSite


@pytest.fixture
def media(tmp_path: Path, make_clip: MakeClip) -> Path:
    folder = tmp_path / "media"
    (folder / "S1").mkdir(parents=True)
    shutil.copy(make_clip("formats.mp4", n=40, rate=10), folder / "S1/v.mp4")
    (folder / "S1/broken.avi").write_bytes(b"RIFF" + bytes(500))
    Image.new("RGB", (320, 180), (90, 120, 60)).save(folder / "p.jpg")
    Image.new("RGB", (320, 180), (90, 120, 60)).save(folder / "empty.jpg")
    return folder


def detection(conf: float, bbox: list[float], frame: int | None = None) -> dict[str, object]:
    found: dict[str, object] = {"category": "1", "conf": conf, "bbox": bbox}
    return found if frame is None else {**found, "frame_number": frame}


DOCUMENT = {
    "info": {"format_version": "1.4", "detector": "md_v5a.0.0.pt"},
    "detection_categories": {"1": "animal", "2": "person"},
    "images": [
        {
            "file": "S1/v.mp4",
            "frame_rate": 10,
            "frames_processed": [0, 10, 20, 30],
            "detections": [
                detection(0.9, [0.1, 0.2, 0.3, 0.4], 10),
                detection(0.6, [0.6, 0.2, 0.2, 0.3], 10),
                detection(0.8, [0.15, 0.2, 0.3, 0.4], 20),
                {**detection(0.95, [0.1, 0.1, 0.5, 0.5], 0), "category": "2"},
            ],
        },
        {"file": "S1/broken.avi", "failure": "Failure video open", "detections": None},
        {"file": "p.jpg", "detections": [detection(0.7, [0.25, 0.5, 0.25, 0.25])]},
        {"file": "empty.jpg", "detections": []},
    ],
}


def test_videos_photos_and_failures_of_megadetector_come_back(media: Path, tmp_path: Path) -> None:
    (tmp_path / "md.json").write_text(json.dumps(DOCUMENT))
    run_prediction(PredictSettings((media,), out=tmp_path / "out", boxes=tmp_path / "md.json", site=FolderSite(1)))
    assert export_results(tmp_path / "out", tmp_path / "back.json", ExportFormat.MEGADETECTOR) == []
    before = {file.file: file for file in read_megadetector(tmp_path / "md.json")}
    after = {file.file: file for file in read_megadetector(tmp_path / "back.json")}
    assert after.keys() == before.keys()
    for name, file in before.items():
        back = after[name]
        assert (back.failure, back.frame_rate) == (file.failure, file.frame_rate)
        assert back.processed_frames == file.processed_frames
        boxes = [(found.frame_number, *found.box.xyxy, found.box.score) for found in file.detections]
        assert [(found.frame_number, *found.box.xyxy, found.box.score) for found in back.detections] == [
            pytest.approx(box, abs=1e-4) for box in sorted(boxes, key=lambda box: (box[0] or 0, -box[-1]))
        ]
    detections = [
        d for image in json.loads((tmp_path / "back.json").read_text())["images"] for d in image["detections"] or ()
    ]
    assert [found["category"] for found in detections] == ["2", "1", "1", "1", "1"]
    assert all(d["low_m"] <= d["distance_m"] <= d["high_m"] for d in detections[1:])


def test_drivendatas_tables_come_back(media: Path, tmp_path: Path) -> None:
    (tmp_path / "format.csv").write_text("video_id,time,distance\nv.mp4,1,0\nv.mp4,3,0\n")
    (tmp_path / "metadata.csv").write_text(
        "video_id,time,x1,y1,x2,y2,probability,park,site_id\nv.mp4,1,0.1,0.2,0.4,0.6,0.9,park,s1\nv.mp4,3,,,,,,park,s1\n"
    )
    settings = PredictSettings(
        (media,), out=tmp_path / "out", boxes=tmp_path / "metadata.csv", times=tmp_path / "format.csv"
    )
    (measured,) = [one.distance for one in run_prediction(settings).estimates if one.distance]
    export_results(tmp_path / "out", tmp_path / "labels.csv", ExportFormat.DRIVENDATA)
    (label,) = read_labels(tmp_path / "labels.csv")
    assert (label.video_id, label.time_s) == ("S1/v.mp4", 1)
    assert label.distance_m == pytest.approx(measured.distance_m, abs=0.005)


def test_r_distances_flat_file_comes_back(tmp_path: Path) -> None:
    rows = [
        FlatRow("", "Tai", 40.37, 0.125, 0.5, "A1", 1000, 4.5, "duiker"),
        FlatRow("", "Tai", 40.37, 0.125, 0.5, "A1", 1000, 9, "duiker"),
        FlatRow("", "Tai", 40.37, 0.125, 0.5, "=B7", 500, None, "duiker"),
    ]
    write_flat_file(tmp_path / "flat.csv", rows)
    back = read_flat_file(tmp_path / "flat.csv", "species")
    assert [[getattr(row, name) for name in FlatRow.__slots__[1:]] for row in back] == [
        [getattr(row, name) for name in FlatRow.__slots__[1:]] for row in rows
    ]
    with (tmp_path / "flat.csv").open() as file:
        assert [row["object"] for row in csv.DictReader(file)] == ["1", "2", "NA"]


def test_boxes_and_times_from_another_machine_say_which_folder_they_name(tmp_path: Path) -> None:
    names = ["S1/a.jpg", "S1/b.jpg", "S2/a.jpg"]
    for name in names:
        (tmp_path / "card" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (320, 180), (90, 120, 60)).save(tmp_path / "card" / name)
    images = [
        {"file": "D:\\survey 2024\\" + name.replace("/", "\\"), "detections": [detection(0.9, [0.2, 0.3, 0.3, 0.4])]}
        for name in names
    ]
    (tmp_path / "md.json").write_text(json.dumps({"detection_categories": {"1": "animal"}, "images": images}))
    (tmp_path / "times.csv").write_text("".join(["video_id,time\n", *(f"/mnt/old/{name},0\n" for name in names)]))
    run = run_prediction(
        PredictSettings(
            (tmp_path / "card",), out=tmp_path / "out", boxes=tmp_path / "md.json", times=tmp_path / "times.csv"
        )
    )
    assert [row.observation.media_id for row in run.estimates if row.distance is not None] == names
    assert run.facts["notes"][:2] == [
        "md.json names the media in another folder, D:/survey 2024: 3 names match below it",
        "times.csv names the media in another folder, mnt/old: 3 names match below it",
    ]
