"""Distances come back in the package that was measured, which keeps all else, and calibrate from there."""

from __future__ import annotations

import hashlib
import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conftest import MakeClip
from package_world import MEDIA, OBSERVATIONS, make_package, measure, photo
from packages import (
    SCHEMAS,
    SITE,
    contents,
    frictionless_problems,
    medium,
    observation,
    observations_in,
    packed,
    table_text,
    write_package,
)
from terminal import inside
from trapmeter.calibration.run import calibrate
from trapmeter.density.settings import DensitySettings
from trapmeter.density.survey.camtrap_dp import read_camtrap_survey
from trapmeter.errors import InputError, RunError
from trapmeter.export import ExportFormat, export_results
from trapmeter.review.decisions import DecisionKind, open_log
from trapmeter.review.results import read_results
from trapmeter.review.session import ReviewSession
from trapmeter.tables.distances import read_distances

Validate = Callable[[Path], list[list[str]]]
AGAINST_PATTERN = r'constraint "pattern" is "^(?=^[^./~])(^((?!\.{2}).)*$).*$"'


@pytest.fixture
def package(tmp_path: Path, make_clip: MakeClip) -> Path:
    return make_package(tmp_path, make_clip)


@pytest.fixture
def problems() -> Validate:
    """The problems that frictionless finds in a package, by the columns of the standard.

    Of deployments and media, which trapmeter doesn't write, only the columns that the tables have.
    """
    return lambda folder: frictionless_problems(folder, ["observations"])


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
    assert (observations["o1"]["individualID"], observations["o2"]["count"]) == ("e1:1", "NA")
    assert problems(tmp_path / "new") == problems(package)


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
    survey = read_camtrap_survey(DensitySettings(tmp_path / "new", theta_deg=42.0, snapshot_s=1.0, species="all"))
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
    too_far = [
        {**row, "individualPositionRadius": "420"} if row["observationID"] == "o3" else row for row in OBSERVATIONS
    ]
    with pytest.raises(
        InputError, match=r"line \d+, column 'individualPositionRadius': .* up to 200 \(probably 42.0 with"
    ):
        calibrate(
            tmp_path / "out",
            tmp_path / "none",
            labels=write_package(tmp_path / "far", media=MEDIA, observations=too_far),
        )
