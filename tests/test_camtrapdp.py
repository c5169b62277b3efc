"""A Camtrap DP is measured like a folder: its media, boxes, sites and cameras."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path

import pytest

from conftest import MakeClip
from package_world import MEDIA, OBSERVATIONS, make_package, measure, photo
from packages import (
    SITE,
    bbox,
    contents,
    medium,
    observation,
    packed,
    write_package,
)
from terminal import inside
from trapmeter.errors import InputError
from trapmeter.export import ExportFormat, export_results
from trapmeter.prediction.run import PredictRun, run_prediction
from trapmeter.prediction.settings import PredictSettings
from trapmeter.records import Status
from trapmeter.tables.medium_times import read_medium_times


@pytest.fixture
def package(tmp_path: Path, make_clip: MakeClip) -> Path:
    return make_package(tmp_path, make_clip)


def rows(run: PredictRun) -> list[tuple[str, float, Status]]:
    return [(e.observation.media_id, e.observation.time_s, e.status) for e in run.estimates]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["folder", "descriptor", "zip"])
def test_a_folder_a_descriptor_and_an_archive_are_measured_alike(package: Path, tmp_path: Path, kind: str) -> None:
    source = {"folder": package, "descriptor": package / "datapackage.json", "zip": tmp_path / "dp.zip"}[kind]
    packed(package, tmp_path / "dp.zip", "dp/")
    run = measure(source, tmp_path / "out")
    failed, unknown = Status.FAILED, Status.UNKNOWN
    video = [("S1/b.mp4", t, Status.MEASURED if t == 1 else unknown) for t in (0, 1, 2, 3)]
    photos = [("S1/a.jpg", 0, Status.MEASURED), *video, ("S1/gone.jpg", 0, failed)]
    assert rows(run) == [("../secret.jpg", 0, failed), *photos, ("https://example.org/c.jpg", 0, failed)]
    (fox,) = [e for e in run.estimates if e.observation.media_id == "S1/a.jpg"]
    assert fox.observation.box is not None
    assert (fox.observation.box.xyxy, fox.observation.box.score) == (pytest.approx((0.3, 0.4, 0.6, 0.8)), 1.0)
    assert {e.observation.site_id for e in run.estimates} == {"S1"}
    # The results keep the species of the package, whose size counts as if --species named it.
    assert fox.observation.species == "Vulpes vulpes"
    assert {e.observation.species for e in run.estimates if e is not fox} == {""}
    assert fox.distance is not None
    sized = measure(source, tmp_path / "sized", species="red fox").estimates
    assert fox.distance in [e.distance for e in sized]
    heights = measure(source, tmp_path / "heights", shoulder_m=0.3).estimates
    assert fox.distance not in [e.distance for e in heights]
    reasons = dict(run.summary.failures)
    assert "leads out of the package" in reasons["../secret.jpg"]
    assert "no such file" in reasons["S1/gone.jpg"]
    assert "opens no connection" in reasons["https://example.org/c.jpg"]
    assert run.facts["other_files"] == {".wav": 1}
    # A second run resumes: only what failed is processed again.
    journal = (tmp_path / "out/seen.jsonl").read_text().splitlines()
    again = measure(source, tmp_path / "out")
    assert again.estimates == run.estimates
    more = (tmp_path / "out/seen.jsonl").read_text().splitlines()[len(journal) :]
    assert sorted(json.loads(line)["media_id"] for line in more) == sorted(reasons)
    assert read_medium_times(tmp_path / "out")["S1/b.mp4"].minute == 10


def test_media_without_boxes_are_left_to_the_detector(tmp_path: Path, make_clip: MakeClip) -> None:
    # A box at the very start of a video doesn't say when it was visible.
    media = [medium("m1", "a.jpg"), medium("m2", "b.jpg"), medium("v1", "c.mp4")]
    boxes = [observation("o1", "m1", **bbox(0.3, 0.4, 0.3, 0.4)), observation("o2", "v1", **bbox(0.1, 0.1, 0.5, 0.5))]
    folder = write_package(tmp_path / "dp", media=media, observations=boxes)
    for name in ("a.jpg", "b.jpg"):
        photo(folder / name)
    shutil.copy(make_clip("plain.mp4", n=8, rate=10), folder / "c.mp4")
    run = measure(folder, tmp_path / "out")
    assert "detector" in run.facts["models"]
    assert rows(run) == [("a.jpg", 0, Status.MEASURED), ("b.jpg", 0, Status.NO_ANIMAL), ("c.mp4", 0, Status.NO_ANIMAL)]


def test_the_site_is_the_location_else_its_name_else_the_deployment(tmp_path: Path) -> None:
    sites = [
        SITE,
        {**SITE, "deploymentID": "d2", "locationID": "", "locationName": "By the oak"},
        {**SITE, "deploymentID": "d3", "locationID": ""},
    ]
    media = [medium(f"m{i}", f"{i}.jpg", deploymentID=f"d{i}") for i in (1, 2, 3)]
    observations = [observation(f"o{i}", f"m{i}", deploymentID=f"d{i}", **bbox(0.3, 0.4, 0.3, 0.4)) for i in (1, 2, 3)]
    folder = write_package(tmp_path / "dp", deployments=sites, media=media, observations=observations)
    for i in (1, 2, 3):
        photo(folder / f"{i}.jpg")
    run = measure(folder, tmp_path / "out")
    assert [e.observation.site_id for e in run.estimates] == ["S1", "By the oak", "d3"]


def test_height_and_tilt_are_used_if_the_lens_is_known(tmp_path: Path) -> None:
    sites = [
        {**SITE, "cameraHeight": "1.2", "cameraTilt": "-12"},
        # This camera looks into the sky and shows no ground.
        {**SITE, "deploymentID": "d2", "cameraHeight": "1.2", "cameraTilt": "40"},
        {**SITE, "deploymentID": "d3", "cameraHeight": "1.2"},
    ]
    media = [medium(f"m{i}", f"{i}.jpg", deploymentID=f"d{i}") for i in (1, 2, 3)]
    observations = [observation(f"o{i}", f"m{i}", deploymentID=f"d{i}", **bbox(0.3, 0.4, 0.3, 0.4)) for i in (1, 2, 3)]
    folder = write_package(tmp_path / "dp", deployments=sites, media=media, observations=observations)
    for i in (1, 2, 3):
        photo(folder / f"{i}.jpg")
    without_lens = measure(folder, tmp_path / "out").estimates
    assert not any("height" in e.model_id for e in without_lens)
    with_lens = measure(folder, tmp_path / "with-lens", hfov_deg=45.0).estimates
    assert ["height and pitch" in e.model_id for e in with_lens] == [True, False, False]
    assert with_lens[0].distance != with_lens[1].distance


@pytest.mark.slow
def test_the_report_of_a_package_has_a_map_unless_no_map_is_requested(package: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    nowhere = {**SITE, "deploymentID": "d2", "locationID": "S2", "latitude": "NA", "longitude": "NA"}
    write_package(package, deployments=[SITE, nowhere], media=MEDIA, observations=OBSERVATIONS)
    assert inside("predict", packed(package, tmp_path / "dp.zip"), "--out", out, "--jobs", 1) == 3
    assert "The larger the circle" in (out / "report.html").read_text()
    assert inside("report", out, "--no-map", "--jobs", 1) == 0
    assert "The larger the circle" not in (out / "report.html").read_text()
    assert inside("report", out, "--jobs", 1) == 0
    assert "The larger the circle" in (out / "report.html").read_text()
    assert inside("report", out, "--no-map", "--places", package) == 2
    assert inside("export", out, "--format", "geojson", "--places", package, "--out", tmp_path / "sites.json") == 0
    (point,) = json.loads((tmp_path / "sites.json").read_text())["features"]
    assert point["geometry"]["coordinates"] == [5.25, 50.5]
    # A map that can't be drawn doesn't prevent the report.
    write_package(package, deployments=[{**SITE, "latitude": "95"}], media=MEDIA, observations=OBSERVATIONS)
    assert inside("predict", package, "--out", tmp_path / "odd", "--jobs", 1) == 3
    assert "The larger the circle" not in (tmp_path / "odd/report.html").read_text()


def test_packages_that_cannot_be_measured_say_why(package: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="must be the only path"):
        run_prediction(PredictSettings((package, tmp_path), out=tmp_path / "out"))
    only_far = write_package(tmp_path / "far", media=MEDIA[2:3])
    with pytest.raises(InputError, match=r"none of its 1 media is available; the first, https://.*opens no connection"):
        measure(only_far, tmp_path / "out")
    twice = write_package(tmp_path / "twice", media=[MEDIA[0], {**MEDIA[0], "mediaID": "m9"}])
    with pytest.raises(
        InputError, match=r"media.csv, line 3, column 'filePath': expected a file other than that of m1"
    ):
        measure(twice, tmp_path / "out")
    with pytest.raises(InputError, match="hold no photo or video"):
        measure(write_package(tmp_path / "sound", media=MEDIA[5:]), tmp_path / "out")


def test_unsafe_and_damaged_archives_do_no_harm(package: Path, tmp_path: Path) -> None:
    bomb = packed(package, tmp_path / "bomb.zip")
    with zipfile.ZipFile(bomb, "a", zipfile.ZIP_DEFLATED) as archive, archive.open("S1/zeros.jpg", "w") as file:
        for _ in range(110):
            file.write(bytes(1_000_000))
    with pytest.raises(InputError, match=r"unpacks from [\d,]+ to 110,[\d,]+ bytes"):
        measure(bomb, tmp_path / "out")
    slip = packed(package, tmp_path / "slip.zip")
    with zipfile.ZipFile(slip, "a") as archive:
        archive.writestr("../outside.txt", "x")
    results = tmp_path / "results"
    measure(slip, results)
    assert not (tmp_path / "outside.txt").exists()
    assert sorted(contents(results / "unpacked")) == ["S1/a.jpg", "S1/b.mp4"]
    with pytest.raises(InputError, match=r"'\.\./outside\.txt' leads out of the package"):
        export_results(results, tmp_path / "new.zip", ExportFormat.CAMTRAP_DP, package=slip)
    assert not list(tmp_path.glob(".new*"))
    damaged = packed(package, tmp_path / "damaged.zip")
    with zipfile.ZipFile(damaged) as archive:
        at = archive.getinfo("S1/a.jpg").header_offset + 60
    content = bytearray(damaged.read_bytes())
    content[at : at + 40] = bytes(40)
    damaged.write_bytes(content)
    run = measure(damaged, tmp_path / "of-damaged")
    assert "can't be unpacked" in dict(run.summary.failures)["S1/a.jpg"]
