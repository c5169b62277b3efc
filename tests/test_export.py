"""Exports to the formats of other tools."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trapmeter.errors import InputError, RunError
from trapmeter.export import ExportFormat, export_results
from trapmeter.records import Box, Distance, Estimate, Observation, Status
from trapmeter.tables.distances import read_distances, write_distances
from trapmeter.tables.drivendata import read_labels
from trapmeter.tables.megadetector import read_megadetector, write_megadetector

BOX = Box(0.1, 0.2, 0.4, 0.6, 0.9)


def measured(media_id: str, time_s: float, metres: float, animal: int = 1, site: str = "A") -> Estimate:
    observation = Observation(media_id, time_s, BOX, animal, site)
    return Estimate(observation, Status.MEASURED, Distance(metres, metres - 1, metres + 2))


ROWS = [
    measured("A/one.mp4", 0, 5.0),
    measured("A/one.mp4", 0, 3.0, 2),
    measured("A/one.mp4", 1.5, 8.0),
    Estimate(Observation("A/one.mp4", 2.5, site_id="A"), Status.NO_ANIMAL),
    Estimate(Observation("B/b.avi", 0, site_id="B"), Status.FAILED, reason="moov atom not found"),
    measured("c.jpg", 0, 7.0, site="C"),
    Estimate(Observation("d.jpg", 0, site_id="C"), Status.NO_ANIMAL),
]


@pytest.fixture
def results(tmp_path: Path) -> Path:
    folder = tmp_path / "results"
    folder.mkdir()
    write_distances(folder / "distances.csv", ROWS)
    return folder


def test_megadetector_json_has_boxes_with_distances_and_failures(results: Path, tmp_path: Path) -> None:
    notes = export_results(results, tmp_path / "md.json", ExportFormat.MEGADETECTOR)
    assert notes == ["1 videos are missing here: their frame numbers count milliseconds"]
    video, broken, photo, empty = read_megadetector(tmp_path / "md.json")
    assert [d.frame_number for d in video.detections] == [0, 0, 1500]
    assert video.processed_frames == (0, 1500, 2500)
    assert broken.failure == "moov atom not found"
    assert photo.frame_rate is None
    assert photo.detections[0].box.xyxy == pytest.approx(BOX.xyxy)
    assert (empty.detections, empty.failure) == ((), "")
    document = json.loads((tmp_path / "md.json").read_text())
    assert document["images"][0]["detections"][0]["distance_m"] == 5.0


def test_frames_are_numbered_by_the_frame_rate_of_the_video(make_clip, tmp_path: Path) -> None:
    clip = make_clip("numbered.mp4", n=25, rate=10)
    rows = [measured(clip.name, 1.05, 5.0), measured("../outside.mp4", 0, 5.0)]
    write_distances(tmp_path / "distances.csv", rows)
    (tmp_path / "run.json").write_text(
        json.dumps({"root": str(clip.parent), "models": {"detector": {"model_id": "bright"}}})
    )
    export_results(tmp_path, tmp_path / "md.json", ExportFormat.MEGADETECTOR)
    document = json.loads((tmp_path / "md.json").read_text())
    outside, inside = document["images"]
    assert inside["frame_rate"] == pytest.approx(10)
    assert inside["detections"][0]["frame_number"] == 10
    assert outside["frame_rate"] == 1000
    assert document["info"]["detector"] == "bright"


def test_species_survive_megadetector_json_and_distances(tmp_path: Path) -> None:
    named = [("Vulpes vulpes", 0.75), ("Sus scrofa", None), ("", None)]
    rows = [
        replace(row, observation=replace(row.observation, species=species, species_score=score))
        for (species, score), row in zip(named, (measured("v.mp4", second, 4.0) for second in range(3)), strict=True)
    ]
    write_distances(tmp_path / "distances.csv", rows)
    again = [row.observation for row in read_distances(tmp_path / "distances.csv")]
    assert [(row.species, row.species_score) for row in again] == named
    write_megadetector(tmp_path / "md.json", rows, {"v.mp4": 10.0}, "bright")
    (video,) = read_megadetector(tmp_path / "md.json")
    # A species that a person named is certain.
    expected = [("Vulpes vulpes", 0.75), ("Sus scrofa", 1.0), ("", None)]
    assert [(found.box.species, found.box.species_score) for found in video.detections] == expected


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(
    times=st.lists(st.integers(0, 600), min_size=1, max_size=5, unique=True), rate=st.sampled_from([10, 25, 29.97, 30])
)
def test_times_survive_megadetector_json_to_within_a_frame(tmp_path: Path, times: list[int], rate: float) -> None:
    rows = [measured("v.mp4", time_s, 4.0) for time_s in sorted(times)]
    write_megadetector(tmp_path / "md.json", rows, {"v.mp4": rate}, "bright")
    (video,) = read_megadetector(tmp_path / "md.json")
    for time_s, detection in zip(sorted(times), video.detections, strict=True):
        assert detection.frame_number is not None
        assert 0 <= time_s - detection.frame_number / rate + 1e-6 <= 1 / rate + 2e-6


def test_timelapse_has_a_row_for_each_file(results: Path, tmp_path: Path) -> None:
    assert export_results(results, tmp_path / "t.csv", ExportFormat.TIMELAPSE) == []
    rows = list(csv.reader((tmp_path / "t.csv").open()))
    assert rows[1:] == [
        ["one.mp4", "A", "2", "3.00", "2.00", "5.00", "5.00", ""],
        ["b.avi", "B", "", "", "", "", "", "moov atom not found"],
        ["c.jpg", "", "1", "7.00", "6.00", "9.00", "7.00", ""],
        ["d.jpg", "", "0", "", "", "", "", ""],
    ]


def test_timelapse_folders_have_backslashes(tmp_path: Path) -> None:
    write_distances(tmp_path / "distances.csv", [measured("S 1/card/=one.mp4", 0, 5.0)])
    export_results(tmp_path / "distances.csv", tmp_path / "t.csv", ExportFormat.TIMELAPSE)
    assert next(csv.DictReader((tmp_path / "t.csv").open()))["RelativePath"] == "S 1\\card"


def test_drivendata_table_has_the_nearest_animal(results: Path, tmp_path: Path) -> None:
    notes = export_results(results, tmp_path / "d.csv", ExportFormat.DRIVENDATA)
    assert notes == ["1 seconds show several animals: only the nearest is written"]
    assert [(row.video_id, row.time_s, row.distance_m) for row in read_labels(tmp_path / "d.csv")] == [
        ("A/one.mp4", 0, 3.0),
        ("A/one.mp4", 1.5, 8.0),
        ("c.jpg", 0, 7.0),
    ]


@pytest.mark.parametrize("column", ["site_id", "locationID"])
def test_geojson_has_the_distances_of_each_site(results: Path, tmp_path: Path, column: str) -> None:
    places = tmp_path / "places.csv"
    places.write_text(f"{column},latitude,longitude\nA,-6.5,12.25\nA,0,0\nC,1,2\n")
    notes = export_results(results, tmp_path / "s.geojson", ExportFormat.GEOJSON, places)
    assert notes == ["1 sites have no location and were left out: B"]
    document = json.loads((tmp_path / "s.geojson").read_text())
    assert document["features"][0] == {
        "type": "Feature",
        "geometry": {"type": "Point", "coordinates": [12.25, -6.5]},
        "properties": {"site_id": "A", "media": 1, "measured": 3, "mean_distance_m": 5.33, "median_distance_m": 5.0},
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("site_id,latitude,longitude\nA,91,0\n", "line 2, column 'latitude': expected degrees from -90 to 90"),
        ("site_id,latitude,longitude\nZ,9,0\n", "none of the 3 sites has a location; the results have 'A', 'B', 'C'"),
        ("site_id,latitude\nA,9\n", "longitude is missing"),
    ],
)
def test_a_wrong_table_of_locations_is_refused(results: Path, tmp_path: Path, text: str, message: str) -> None:
    places = tmp_path / "places.csv"
    places.write_text(text)
    with pytest.raises(InputError, match=message):
        export_results(results, tmp_path / "s.geojson", ExportFormat.GEOJSON, places)


def test_a_wrong_call_is_refused_and_nothing_is_lost(results: Path, tmp_path: Path) -> None:
    table = results / "distances.csv"
    before = table.read_bytes()
    with pytest.raises(InputError, match="contains the results themselves"):
        export_results(results, table, ExportFormat.TIMELAPSE)
    assert table.read_bytes() == before
    with pytest.raises(RunError, match="there is no folder"):
        export_results(results, tmp_path / "nowhere/x.csv", ExportFormat.TIMELAPSE)
    with pytest.raises(InputError, match="--places"):
        export_results(results, tmp_path / "x", ExportFormat.GEOJSON)
    with pytest.raises(InputError, match="--places"):
        export_results(results, tmp_path / "x", ExportFormat.TIMELAPSE, tmp_path / "p")
    with pytest.raises(InputError, match="does not exist; give the folder"):
        export_results(tmp_path, tmp_path / "x", ExportFormat.TIMELAPSE)
    write_distances(tmp_path / "distances.csv", [])
    with pytest.raises(InputError, match="no rows"):
        export_results(tmp_path, tmp_path / "x", ExportFormat.TIMELAPSE)
