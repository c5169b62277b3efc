"""Camtrap DP end to end: a package is measured, calibrates results, and comes back with distances in it."""

from __future__ import annotations

import hashlib
import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from conftest import MakeClip
from packages import (
    SCHEMAS,
    SITE,
    bbox,
    contents,
    medium,
    observation,
    observations_in,
    packed,
    table_text,
    write_package,
)
from terminal import inside
from trapmeter.calibration.run import calibrate
from trapmeter.density.survey.camtrap_dp import CamtrapDpSettings, read_camtrap_survey
from trapmeter.errors import InputError, RunError
from trapmeter.export import ExportFormat, export_results
from trapmeter.prediction.run import PredictRun, run_prediction
from trapmeter.prediction.settings import PredictSettings
from trapmeter.records import Status
from trapmeter.review.decisions import DecisionKind, open_log
from trapmeter.review.results import read_results
from trapmeter.review.session import ReviewSession
from trapmeter.tables.density_inputs import read_media_starts
from trapmeter.tables.distances import read_distances

MEDIA = [
    medium("m1", "S1/a.jpg"),
    medium("m2", "S1/b.mp4", "2024-05-02T06:10:00Z"),
    medium("m3", "https://example.org/c.jpg"),
    medium("m4", "S1/gone.jpg"),
    medium("m5", "../secret.jpg"),
    medium("m6", "S1/sound.wav", fileMediatype="audio/wav"),
]
OBSERVATIONS = [
    observation("o1", "m1", scientificName="Vulpes vulpes", eventID="e1", **bbox(0.3, 0.4, 0.3, 0.4)),
    # The same animal, by a machine.
    observation(
        "o2", "m1", classificationMethod="machine", classificationProbability="0.7", **bbox(0.3, 0.4, 0.3, 0.4)
    ),
    observation("o3", "m2", eventStart="2024-05-02T06:10:01Z", **bbox(0.1, 0.5, 0.2, 0.3)),
    observation("o4", "", observationLevel="event", observationComments='=1+1, "odd"\nline'),
]


def photo(path: Path, size: tuple[int, int] = (320, 180)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (90, 120, 60)).save(path)


@pytest.fixture
def package(tmp_path: Path, make_clip: MakeClip) -> Path:
    folder = write_package(tmp_path / "dp", media=MEDIA, observations=OBSERVATIONS)
    photo(folder / "S1/a.jpg")
    photo(tmp_path / "secret.jpg")
    shutil.copy(make_clip("package.mp4", n=40, rate=10), folder / "S1/b.mp4")
    return folder


def measure(package: Path, out: Path, **changes: Any) -> PredictRun:
    return run_prediction(PredictSettings((package,), out=out, **changes))


def rows(run: PredictRun) -> list[tuple[str, float, Status]]:
    return [(e.observation.media_id, e.observation.time_s, e.status) for e in run.estimates]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["folder", "descriptor", "zip"])
def test_a_folder_a_descriptor_and_an_archive_are_measured_alike(package: Path, tmp_path: Path, kind: str) -> None:
    source = {"folder": package, "descriptor": package / "datapackage.json", "zip": tmp_path / "dp.zip"}[kind]
    packed(package, tmp_path / "dp.zip", "dp/")
    run = measure(source, tmp_path / "out")
    failed, no_animal = Status.FAILED, Status.NO_ANIMAL
    video = [("S1/b.mp4", t, Status.MEASURED if t == 1 else no_animal) for t in (0, 1, 2, 3)]
    photos = [("S1/a.jpg", 0, Status.MEASURED), *video, ("S1/gone.jpg", 0, failed)]
    assert rows(run) == [("../secret.jpg", 0, failed), *photos, ("https://example.org/c.jpg", 0, failed)]
    (fox,) = [e for e in run.estimates if e.observation.media_id == "S1/a.jpg"]
    assert fox.observation.box is not None
    assert (fox.observation.box.xyxy, fox.observation.box.score) == (pytest.approx((0.3, 0.4, 0.6, 0.8)), 1.0)
    assert {e.observation.site_id for e in run.estimates} == {"S1"}
    # The results keep the species of the package; its size counts only if --species names it.
    assert fox.observation.species == "Vulpes vulpes"
    assert {e.observation.species for e in run.estimates if e is not fox} == {""}
    assert fox.distance is not None
    sized = measure(source, tmp_path / "sized", species="red fox").estimates
    assert fox.distance not in [e.distance for e in sized]
    reasons = dict(run.summary.failures)
    assert "leads out of the package" in reasons["../secret.jpg"]
    assert "no such file" in reasons["S1/gone.jpg"]
    assert "opens no connection" in reasons["https://example.org/c.jpg"]
    assert run.facts["other_files"] == 1
    # A second run resumes: only what failed is processed again.
    journal = (tmp_path / "out/seen.jsonl").read_text().splitlines()
    again = measure(source, tmp_path / "out")
    assert again.estimates == run.estimates
    more = (tmp_path / "out/seen.jsonl").read_text().splitlines()[len(journal) :]
    assert sorted(json.loads(line)["media_id"] for line in more) == sorted(reasons)
    assert read_media_starts(tmp_path / "out/media-times.csv")["S1/b.mp4"].minute == 10


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


def test_missing_values_of_the_standard_count_as_empty_cells(package: Path, tmp_path: Path, problems: Validate) -> None:
    # As R writes them. Results are the same, and export leaves these cells as they are.
    site = {**SITE, "locationName": "NA", "cameraHeight": "NA", "cameraTilt": "NaN"}
    blank = dict.fromkeys(("individualPositionRadius", "individualPositionAngle", "count", "individualID"), "NA")
    unboxed = dict.fromkeys(("bboxX", "bboxY", "bboxWidth", "bboxHeight", "classificationProbability"), "nan")
    observations = [{**unboxed, **blank, **row} for row in OBSERVATIONS]
    write_package(package, deployments=[site], media=MEDIA, observations=observations)
    run = measure(package, tmp_path / "out", hfov_deg=45.0)
    assert {e.observation.site_id for e in run.estimates} == {"S1"}
    assert run.summary.n_measured == 2
    export_results(tmp_path / "out", tmp_path / "new", ExportFormat.CAMTRAP_DP, package=package)
    observations = observations_in(tmp_path / "new")
    assert [observations[name]["individualPositionRadius"] == "NA" for name in observations] == [
        False,
        True,
        False,
        True,
    ]
    assert (observations["o1"]["individualID"], observations["o2"]["count"]) == ("m1:1", "NA")
    assert problems(tmp_path / "new") == problems(package)


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


Validate = Callable[[Path], list[list[str]]]
AGAINST_PATTERN = r'constraint "pattern" is "^(?=^[^./~])(^((?!\.{2}).)*$).*$"'


@pytest.fixture
def problems() -> Validate:
    """The problems that frictionless finds in a package, by the columns of the standard.

    Of deployments and media, which trapmeter doesn't write, only the columns that the tables have.
    """
    frictionless = pytest.importorskip("frictionless", reason="frictionless is not installed")

    def validate(folder: Path) -> list[list[str]]:
        resources = json.loads((folder / "datapackage.json").read_text())["resources"]
        for resource in resources:
            schema = SCHEMAS[resource["name"]]
            if resource["name"] != "observations":
                head = (folder / resource["path"]).read_text().splitlines()[0].split(",")
                schema = {**schema, "fields": [field for field in schema["fields"] if field["name"] in head]}
            resource["schema"] = schema
            del resource["profile"]
        package = frictionless.Package.from_descriptor({"name": "a", "resources": resources}, basepath=str(folder))
        return package.validate().flatten(["type", "note"])

    return validate


def test_distances_go_into_the_users_own_package(package: Path, tmp_path: Path, problems: Validate) -> None:
    before = contents(package)
    measure(package, tmp_path / "out")
    notes = export_results(tmp_path / "out", tmp_path / "new", ExportFormat.CAMTRAP_DP, package=package)
    assert notes[0] == "2 of the package's own observations filled in"
    after = contents(tmp_path / "new")
    assert {name for name in before if before[name] != after[name]} == {"observations.csv"}
    assert contents(package) == before
    # A filePath that leads out of the package violates the standard.
    assert problems(tmp_path / "new") == problems(package) == [["constraint-error", AGAINST_PATTERN]]
    observations = observations_in(tmp_path / "new")
    assert list(observations) == ["o1", "o2", "o3", "o4"]
    filled = [name for name, row in observations.items() if row["individualPositionRadius"]]
    assert filled == ["o1", "o3"]
    (fox,) = [e for e in read_distances(tmp_path / "out/distances.csv") if e.observation.media_id == "S1/a.jpg"]
    assert fox.distance is not None
    assert float(observations["o1"]["individualPositionRadius"]) == fox.distance.distance_m
    # The box is left of the middle, so the angle is negative.
    assert float(observations["o1"]["individualPositionAngle"]) < 0
    assert observations["o1"]["classificationMethod"] == "human"
    lines = after["observations.csv"].splitlines(keepends=True)
    assert before["observations.csv"].splitlines(keepends=True)[4:] == lines[4:]
    # A second export of the copy gives the same bytes, as a folder and as an archive.
    export_results(
        tmp_path / "out", tmp_path / "twice", ExportFormat.CAMTRAP_DP, package=tmp_path / "new/datapackage.json"
    )
    assert contents(tmp_path / "twice") == after
    archive = packed(package, tmp_path / "dp.zip", "dp/")
    for name in ("one.zip", "two.zip"):
        export_results(tmp_path / "out", tmp_path / name, ExportFormat.CAMTRAP_DP, package=archive)
    assert contents(tmp_path / "one.zip") == {f"dp/{name}": content for name, content in after.items()}
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
    with zipfile.ZipFile(archive) as old, zipfile.ZipFile(tmp_path / "one.zip") as new:
        for before_entry, after_entry in zip(old.infolist(), new.infolist(), strict=True):
            assert (before_entry.filename, before_entry.date_time, before_entry.compress_type) == (
                after_entry.filename,
                after_entry.date_time,
                after_entry.compress_type,
            )


@pytest.mark.slow
def test_a_measured_package_is_a_survey_and_measures_the_same_again(package: Path, tmp_path: Path) -> None:
    first = measure(package, tmp_path / "out")
    export_results(tmp_path / "out", tmp_path / "new", ExportFormat.CAMTRAP_DP, package=package)
    survey = read_camtrap_survey(tmp_path / "new", CamtrapDpSettings(theta_deg=42.0, snapshot_s=1.0, species="all"))
    metres = sorted(e.distance.distance_m for e in first.estimates if e.distance)
    assert sorted(survey.distance_m[:, 0]) == pytest.approx(metres, abs=0.005)
    again = measure(tmp_path / "new", tmp_path / "again")
    assert [e.distance for e in again.estimates] == [e.distance for e in first.estimates]


@pytest.mark.slow
def test_the_shared_package_keeps_its_rows(shared: Path, tmp_path: Path, problems: Validate) -> None:
    source = shared / "camtrap-dp"
    if not source.is_dir():
        pytest.skip(f"no package at {source}")
    folder = tmp_path / "dp"
    shutil.copytree(source, folder)
    folder.chmod(0o755)
    for name in ("small_cat.jpg", "wild_dog_jackal.jpg", "chimpanzee_bonobo.jpeg"):
        photo(folder / name)
    run = measure(folder, tmp_path / "out")
    assert sorted(name for name, _ in run.summary.failures) == ["https://example.com/remote.jpg", "skip_me.mp4"]
    assert {e.observation.site_id for e in run.estimates} == {"loc1", "loc2"}
    export_results(tmp_path / "out", tmp_path / "new", ExportFormat.CAMTRAP_DP, package=folder)
    before, after = contents(folder), contents(tmp_path / "new")
    assert {name for name in before if before[name] != after[name]} == {"observations.csv"}
    # Two rows of its deployments lack cells at their end.
    assert problems(tmp_path / "new") == problems(folder) == [["missing-cell", ""]] * 2
    old, new = observations_in(folder), observations_in(tmp_path / "new")
    assert list(new) == list(old)
    assert [name for name in new if new[name]["individualPositionRadius"]] == ["obs1", "obs2", "obs3"]
    raw, written = (files["observations.csv"].splitlines() for files in (before, after))
    assert [raw[0], *raw[4:]] == [written[0], *written[4:]]
    export_results(tmp_path / "out", tmp_path / "twice", ExportFormat.CAMTRAP_DP, package=tmp_path / "new")
    assert contents(tmp_path / "twice") == after


def test_the_descriptors_figures_of_the_table_are_updated(package: Path, tmp_path: Path) -> None:
    measure(package, tmp_path / "out")
    columns = [name for name in (f["name"] for f in SCHEMAS["observations"]["fields"]) if "Position" not in name]
    schema = {"fields": [field for field in SCHEMAS["observations"]["fields"] if field["name"] in columns]}
    text = table_text("observations", OBSERVATIONS, columns=columns)
    stated: dict[str, Any] = {
        "bytes": len(text),
        "hash": "sha256:" + 64 * "0",
        "stats": {"rows": 4, "fields": len(columns)},
    }
    folder = write_package(tmp_path / "stated", media=MEDIA, observations=text, schema=schema, **stated)
    notes = export_results(tmp_path / "out", tmp_path / "new", ExportFormat.CAMTRAP_DP, package=folder)
    assert notes[-1].endswith("gained the columns individualPositionRadius, individualPositionAngle")
    resource = json.loads((tmp_path / "new/datapackage.json").read_text())["resources"][2]
    content = (tmp_path / "new/observations.csv").read_bytes()
    assert resource["bytes"] == len(content)
    assert resource["stats"] == {"rows": 4, "fields": len(columns) + 2}
    header = content.decode().splitlines()[0].split(",")
    assert [field["name"] for field in resource["schema"]["fields"]] == header
    assert resource["hash"] == f"sha256:{hashlib.sha256(content).hexdigest()}"
    stated["hash"] = "crc:00"
    odd = write_package(tmp_path / "odd", media=MEDIA, observations=text, **stated)
    with pytest.raises(InputError, match="'crc:00' of observations can't be updated"):
        export_results(tmp_path / "out", tmp_path / "no", ExportFormat.CAMTRAP_DP, package=odd)


def test_impossible_exports_are_refused_and_nothing_is_lost(package: Path, tmp_path: Path) -> None:
    measure(package, tmp_path / "out")
    before = contents(package)

    def refused(error: type[Exception], words: str, out: Path, of: Path | None = package) -> None:
        with pytest.raises(error, match=words):
            export_results(tmp_path / "out", out, ExportFormat.CAMTRAP_DP, package=of)

    refused(InputError, "--package", tmp_path / "new", None)
    refused(RunError, "is a folder: give a folder as --out", tmp_path / "new.zip")
    refused(RunError, "is a zip archive: let", tmp_path / "new", packed(package, tmp_path / "dp.zip"))
    refused(RunError, "the package itself", tmp_path / "dp.zip", tmp_path / "dp.zip")
    refused(RunError, "exists already", package)
    refused(RunError, "lies in the package", package / "new")
    refused(RunError, "there is no folder", tmp_path / "nowhere/new")
    refused(InputError, "gone does not exist", tmp_path / "new", tmp_path / "gone")
    refused(
        InputError,
        "none of its 1 media is in the results",
        tmp_path / "new",
        write_package(tmp_path / "x", media=[medium("m1", "other.jpg")]),
    )
    assert contents(package) == before
    assert not (tmp_path / "new").exists()


def test_results_of_the_media_without_the_package_match_it(package: Path, tmp_path: Path) -> None:
    (tmp_path / "boxes.csv").write_text(
        "video_id,time,x1,y1,x2,y2,probability,park,site_id\na.jpg,0,0.3,0.4,0.6,0.8,0.9,,\nb.mp4,2,0.1,0.1,0.2,0.2,0.8,,\n"
    )
    measure(package / "S1", tmp_path / "out", boxes=tmp_path / "boxes.csv")
    notes = export_results(tmp_path / "out", tmp_path / "new", ExportFormat.CAMTRAP_DP, package=package)
    assert notes == ["1 observations added", "1 of the package's own observations filled in"]
    added = list(observations_in(tmp_path / "new").values())[-1]
    assert (added["mediaID"], added["eventStart"]) == ("m2", "2024-05-02T06:10:02Z")


def test_distances_that_people_measured_calibrate(package: Path, tmp_path: Path) -> None:
    measure(package, tmp_path / "out")
    with pytest.raises(InputError, match="no observation of a medium has an individualPositionRadius by a person"):
        calibrate(tmp_path / "out", tmp_path / "none", labels=package)
    of_event = observation("o9", "", observationLevel="event", individualPositionRadius="5")
    with_event = write_package(tmp_path / "event", media=MEDIA, observations=[*OBSERVATIONS, of_event])
    with pytest.raises(InputError, match=r"; 1 observations of events have one, but no single second; fill in"):
        calibrate(tmp_path / "out", tmp_path / "none", labels=with_event)
    # Distances that trapmeter wrote into a person's row are not labels either,
    export_results(tmp_path / "out", tmp_path / "exported", ExportFormat.CAMTRAP_DP, package=package)
    with pytest.raises(InputError, match="by a person"):
        calibrate(tmp_path / "out", tmp_path / "none", labels=tmp_path / "exported")
    # unless a person gave them in a review.
    with open_log(tmp_path / "out/distances.csv") as log:
        results = read_results(tmp_path / "out")
        session = ReviewSession(results, log)
        number = next(i for i, e in enumerate(results.rows) if e.observation.media_id == "S1/b.mp4" and e.distance)
        session.decide(DecisionKind.DISTANCE, number, 0, distance_m=9.25)
    assert inside("review", "export", tmp_path / "out", "--out", tmp_path / "reviewed") == 0
    export_results(tmp_path / "reviewed", tmp_path / "with-review", ExportFormat.CAMTRAP_DP, package=package)
    done = calibrate(tmp_path / "out", tmp_path / "by-review", labels=tmp_path / "with-review")
    assert (done.n_labels, done.n_labels_unused) == (1, 0)
    by_hand = [
        {**row, "individualPositionRadius": "9.5"} if row["observationID"] == "o3" else row for row in OBSERVATIONS
    ]
    labelled = write_package(tmp_path / "by-hand", media=MEDIA, observations=by_hand)
    for number, source in enumerate((labelled, packed(labelled, tmp_path / "by-hand.zip"))):
        done = calibrate(tmp_path / "out", tmp_path / f"calibrated{number}", labels=source)
        assert (done.n_labels, done.n_labels_unused) == (1, 0)
        assert done.n_moved > 0
