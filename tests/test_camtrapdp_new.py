"""A Camtrap DP made from results alone: valid, complete, and with the same density as the results."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from packages import NAMES, frictionless_problems
from photo_world import LEFT, RIGHT, Photo, photo_settings
from terminal import call
from trapmeter.density.run import run_density
from trapmeter.errors import InputError, RunError
from trapmeter.export import ExportFormat, NewPackageOptions, export_results
from trapmeter.prediction.run import run_prediction
from trapmeter.records import Box, Distance, Estimate, Observation, Status
from trapmeter.tables.camtrapdp.descriptor import CaptureMethod, ObservationLevel, SamplingDesign, parse_contributor
from trapmeter.tables.camtrapdp.new_deployments import COLUMNS as DEPLOYMENT_COLUMNS
from trapmeter.tables.camtrapdp.new_package import MEDIA_COLUMNS
from trapmeter.tables.camtrapdp.observations import COLUMNS as OBSERVATION_COLUMNS
from trapmeter.tables.camtrapdp.package import read_package
from trapmeter.tables.distances import write_distances
from trapmeter.tables.medium_times import MediumTime, TimeSource, write_media

START = datetime(2024, 5, 1, 6, tzinfo=UTC)
BOX = Box(0.1, 0.2, 0.4, 0.6, 0.9)
OPTIONS = {
    "title": "Forest 2024",
    "contributors": ("Ada Example <ada@example.org>", "Institute of Examples"),
    "sampling_design": SamplingDesign.SYSTEMATIC_RANDOM,
}
PLACES = "site_id,latitude,longitude\nA,50.5,5.25\nB,-50.6,5.35\nC,50.7,5\n"
DEPLOYMENTS = (
    "site_id,start,end,theta_deg,snapshot_s,stratum,latitude,longitude,cameraModel,cameraTilt,detectionDistance,baitUse\n"
    "A,2024-05-01T00:00:00Z,2024-05-11T00:00:00Z,42,2,north,50.5,5.25,Reconyx-PC800,-9.6,15,no\n"
    "B,2024-05-01T00:00:00Z,2024-05-06T00:00:00Z,42,2,south,-50.6,5.35,,,,\n"
    "B,2024-05-06T00:00:00Z,2024-05-11T00:00:00Z,42,2,south,-50.6,5.35,,,,\n"
    "C,2024-05-01T00:00:00Z,2024-05-11T00:00:00Z,42,2,north,50.7,5,,,,\n"
)
WITH_PLACES = {"places": PLACES}

Export = Callable[..., list[str]]


def measured(media_id: str, time_s: float, metres: float, animal: int = 1, **known: Any) -> Estimate:
    reason, angle = known.pop("reason", ""), known.pop("angle", None)
    observation = Observation(media_id, time_s, known.pop("box", BOX), animal, media_id[0], **known)
    distance = Distance(metres, metres - 0.5, metres + 1)
    return Estimate(observation, Status.MEASURED, distance, angle, reason, "boxes-3")


def without(media_id: str, status: Status = Status.NO_ANIMAL, **known: Any) -> Estimate:
    observation = Observation(media_id, 0.0, site_id=media_id[0], **known)
    return Estimate(observation, status, reason="" if status is Status.NO_ANIMAL else "damaged")


ESTIMATES = [
    measured("A/a.mp4", 0, 4.0, species="Vulpes vulpes", species_score=0.8, event_id="A@1", angle=-30.0),
    measured("A/a.mp4", 2, 4.0, species="Vulpes vulpes", species_score=0.8, event_id="A@1", angle=30.0),
    measured("A/a.mp4", 2, 7.0, 2, event_id="A@1", species="some duiker"),
    measured("A/b.mp4", 0, 6.0, reason="static: a box like this is there for hours"),
    without("A/c.mp4", box=BOX, species="Homo sapiens"),
    without("A/d.mp4", box=BOX, species="vehicle"),
    without("B/a.jpg"),
    without("B/b.jpg", Status.FAILED),
    measured("B/c.jpg", 0, 8.0, event_id="B@1"),
]
NAMES_OF_MEDIA = dict.fromkeys(row.observation.media_id for row in ESTIMATES)
TIMES = {name: START + timedelta(days=3, hours=n) for n, name in enumerate(NAMES_OF_MEDIA)}
TIMES["B/c.jpg"] = START + timedelta(days=8)


@pytest.fixture
def export(tmp_path: Path) -> Export:
    """Writes results and exports them; tables are given as texts."""

    def run(
        estimates: list[Estimate] = ESTIMATES,
        times: dict[str, datetime | None] = TIMES,
        places: str | None = None,
        timezone: str | None = None,
        out: str = "dp",
        notes: dict[str, str] | None = None,
        **options: Any,
    ) -> list[str]:
        results = tmp_path / "results"
        results.mkdir(exist_ok=True)
        write_distances(results / "distances.csv", estimates)
        write_media(
            results / "media.csv",
            [
                MediumTime(name, name[0], time, TimeSource.EXIF if time else None, note=(notes or {}).get(name, ""))
                for name, time in times.items()
            ],
        )
        (results / "run.json").write_text('{"finished": "2024-06-01T10:00:00+02:00"}')
        for name in ("deployments", "cameras"):
            if isinstance(options.get(name), str):
                (tmp_path / f"{name}.csv").write_text(options[name])
                options[name] = tmp_path / f"{name}.csv"
        if places is not None:
            (tmp_path / "places.csv").write_text(places)
        return export_results(
            results,
            tmp_path / out,
            ExportFormat.CAMTRAP_DP,
            None if places is None else tmp_path / "places.csv",
            timezone=timezone,
            new_package=NewPackageOptions(**{**OPTIONS, **options}),
        )

    return run


def rows_of(folder: Path, table: str) -> list[dict[str, str]]:
    with (folder / f"{table}.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_columns_are_those_of_the_standard_in_its_order() -> None:
    assert list(DEPLOYMENT_COLUMNS) == NAMES["deployments"]
    assert list(MEDIA_COLUMNS) == NAMES["media"]
    assert list(OBSERVATION_COLUMNS) == NAMES["observations"]


@pytest.mark.parametrize("level", ObservationLevel)
@pytest.mark.parametrize("tables", [WITH_PLACES, {"deployments": DEPLOYMENTS}])
def test_a_new_package_is_valid(
    export: Export, tmp_path: Path, level: ObservationLevel, tables: dict[str, str]
) -> None:
    notes = export(level=level, **tables)
    assert frictionless_problems(tmp_path / "dp") == []
    check_rules_of_readers(tmp_path / "dp")
    assert notes[-1].endswith(f"7 media, {9 if level is ObservationLevel.MEDIA else 8} observations")


def check_rules_of_readers(folder: Path) -> None:
    """What R's camtrapdp expects beyond the schemas: keys, times with a zone, events that end after their start."""
    tables = {name: rows_of(folder, name) for name in NAMES}
    ids = {name: [row[key] for row in tables[name]] for name, key in zip(NAMES, KEYS, strict=True)}
    assert all(len(set(found)) == len(found) and all(found) for found in ids.values())
    assert {row["deploymentID"] for row in (*tables["media"], *tables["observations"])} <= set(ids["deployments"])
    assert {row["mediaID"] for row in tables["observations"]} - {""} <= set(ids["media"])
    for row in tables["observations"]:
        start, end = (datetime.fromisoformat(row[name]) for name in ("eventStart", "eventEnd"))
        assert start <= end
        assert start.tzinfo is not None
        assert bool(row["mediaID"]) == (row["observationLevel"] == "media")
    package = read_package(folder)
    assert len(package.observations) == len(ids["observations"])


KEYS = ("deploymentID", "mediaID", "observationID")


def test_the_descriptor_has_what_the_profile_requires(export: Export, tmp_path: Path) -> None:
    export(deployments=DEPLOYMENTS, capture_method=CaptureMethod.TIME_LAPSE)
    found = json.loads((tmp_path / "dp" / "datapackage.json").read_text())
    address = "https://raw.githubusercontent.com/tdwg/camtrap-dp/1.0.2"
    assert found["profile"] == f"{address}/camtrap-dp-profile.json"
    assert [row["schema"] for row in found["resources"]] == [f"{address}/{name}-table-schema.json" for name in NAMES]
    assert all(row["path"] == f"{row['name']}.csv" for row in found["resources"])
    assert re.fullmatch(r"[-a-z0-9._/]+", found["name"])
    assert datetime.fromisoformat(found["created"]).tzinfo is not None
    assert found["contributors"] == [
        {"title": "Ada Example", "email": "ada@example.org"},
        {"title": "Institute of Examples"},
    ]
    assert found["project"] == {
        "title": "Forest 2024",
        "samplingDesign": "systematicRandom",
        "captureMethod": ["timeLapse"],
        "individualAnimals": False,
        "observationLevel": ["media"],
    }
    assert found["temporal"] == {"start": "2024-05-01", "end": "2024-05-11"}
    assert found["spatial"]["bbox"] == [5.0, -50.6, 5.35, 50.7]
    assert found["spatial"]["coordinates"][0][0] == found["spatial"]["coordinates"][0][-1]
    assert found["taxonomic"] == [{"scientificName": "Homo sapiens"}, {"scientificName": "Vulpes vulpes"}]


def test_observations_say_what_was_seen(export: Export, tmp_path: Path) -> None:
    export(deployments=DEPLOYMENTS)
    rows = rows_of(tmp_path / "dp", "observations")
    assert [(row["mediaID"], row["observationType"], row["individualPositionRadius"]) for row in rows] == [
        ("A/a.mp4", "animal", "4.00"),
        ("A/a.mp4", "animal", "4.00"),
        ("A/a.mp4", "animal", "7.00"),
        ("A/b.mp4", "unknown", ""),
        ("A/c.mp4", "human", ""),
        ("A/d.mp4", "vehicle", ""),
        ("B/a.jpg", "blank", ""),
        ("B/b.jpg", "unclassified", ""),
        ("B/c.jpg", "animal", "8.00"),
    ]
    fox, later, duiker = rows[:3]
    assert (fox["scientificName"], fox["eventID"], fox["individualID"], fox["count"]) == (
        "Vulpes vulpes",
        "A@1",
        "A@1:1",
        "1",
    )
    assert (fox["individualPositionAngle"], fox["classificationProbability"]) == ("-30.0", "0.800")
    assert (fox["bboxX"], fox["bboxWidth"], fox["classificationTimestamp"]) == (
        "0.1000",
        "0.3000",
        "2024-06-01T08:00:00Z",
    )
    # 4 m at 60 degrees from each other, in 2 s.
    assert fox["individualSpeed"] == later["individualSpeed"] == "2.00"
    assert (later["eventStart"], duiker["individualSpeed"]) == ("2024-05-04T06:00:02Z", "")
    assert (duiker["scientificName"], duiker["observationComments"]) == ("", "species: some duiker")
    assert rows[7]["classificationMethod"] == ""


def test_events_have_a_row_for_each_animal(export: Export, tmp_path: Path) -> None:
    export(deployments=DEPLOYMENTS, level=ObservationLevel.EVENT)
    rows = rows_of(tmp_path / "dp", "observations")
    assert [(row["eventID"], row["observationType"], row["individualID"]) for row in rows] == [
        ("A@1", "animal", "A@1:1"),
        ("A@1", "animal", "A@1:2"),
        ("A/b.mp4", "unknown", ""),
        ("A/c.mp4", "human", ""),
        ("A/d.mp4", "vehicle", ""),
        ("B/a.jpg", "blank", ""),
        ("B/b.jpg", "unclassified", ""),
        ("B@1", "animal", "B@1:1"),
    ]
    assert {(row["eventStart"], row["eventEnd"]) for row in rows[:2]} == {
        ("2024-05-04T06:00:00Z", "2024-05-04T06:00:02Z")
    }


def test_deployments_have_the_columns_of_the_standard(export: Export, tmp_path: Path) -> None:
    cameras = "site_id,hfov_deg,height_m,pitch_deg\nA,42,0.8,-20\nC,42,0.7,-5.4\n"
    export(deployments=DEPLOYMENTS, cameras=cameras, notes={"B/a.jpg": "the clock was not set"})
    a, b, later, c = rows_of(tmp_path / "dp", "deployments")
    assert (a["deploymentID"], a["locationID"], a["latitude"], a["longitude"]) == ("A", "A", "50.5", "5.25")
    assert (a["cameraModel"], a["cameraTilt"], a["cameraHeight"]) == ("Reconyx-PC800", "-10", "0.8")
    assert (a["detectionDistance"], a["baitUse"], a["timestampIssues"]) == ("15", "false", "false")
    assert (a["deploymentGroups"], c["cameraHeight"], c["cameraTilt"]) == ("stratum:north", "0.7", "-5")
    assert (b["deploymentID"], later["deploymentID"]) == ("B@20240501T000000", "B@20240506T000000")
    assert (b["timestampIssues"], b["deploymentEnd"]) == ("true", "2024-05-06T00:00:00Z")
    media = {row["mediaID"]: row["deploymentID"] for row in rows_of(tmp_path / "dp", "media")}
    assert (media["B/a.jpg"], media["B/c.jpg"]) == ("B@20240501T000000", "B@20240506T000000")


def test_without_deployments_they_last_from_the_first_to_the_last_medium(export: Export, tmp_path: Path) -> None:
    (note, _) = export(places=PLACES)
    assert note.startswith("deployments last from the first to the last medium of each site")
    rows = rows_of(tmp_path / "dp", "deployments")
    assert [row["deploymentID"] for row in rows] == ["A", "B"]
    assert rows[0]["deploymentStart"] == "2024-05-04T06:00:00Z"
    assert rows[1]["deploymentEnd"] == "2024-05-09T06:00:00Z"


def test_media_without_a_usable_time_are_named_and_left_out(export: Export, tmp_path: Path) -> None:
    times = {**TIMES, "A/a.mp4": None, "A/b.mp4": datetime(2000, 1, 1, tzinfo=UTC), "A/e..jpg": START}
    times.pop("B/a.jpg")
    notes = export(times=times, deployments=DEPLOYMENTS)
    assert notes[:3] == [
        "left out: 2 media (A/a.mp4, B/a.jpg) without a known time",
        "left out: 1 media (A/b.mp4) of a camera whose clock was not set",
        "left out: 1 media (A/e..jpg) whose path starts with . or ~ or contains .., which Camtrap DP doesn't allow",
    ]
    assert frictionless_problems(tmp_path / "dp") == []


def test_media_outside_of_deployments_are_counted(export: Export) -> None:
    times = {**TIMES, "B/c.jpg": START + timedelta(days=100)}
    notes = export(times=times, deployments=DEPLOYMENTS)
    assert notes[0] == "1 media (B/c.jpg) lie outside of their site's deployments, and got the nearest one"


def test_times_get_the_zone_that_is_given(export: Export, tmp_path: Path) -> None:
    times = {name: time.replace(tzinfo=None) for name, time in TIMES.items()}
    with pytest.raises(InputError, match=r"A/a\.mp4 was taken at 2024-05-04T06:00:00, without a zone.*--timezone"):
        export(times=times, places=PLACES)
    export(times=times, places=PLACES, timezone="Europe/Berlin")
    assert frictionless_problems(tmp_path / "dp") == []
    assert rows_of(tmp_path / "dp", "media")[0]["timestamp"] == "2024-05-04T06:00:00+02:00"
    local = DEPLOYMENTS.replace("Z", "")
    with pytest.raises(InputError, match=r"deployments\.csv, line 2: Camtrap DP requires times with a zone"):
        export(deployments=local, out="other")
    in_zone = {name: time.astimezone(timezone(timedelta(hours=2))) for name, time in TIMES.items()}
    export(times=in_zone, deployments=local, timezone="+02:00", out="local")
    assert rows_of(tmp_path / "local", "deployments")[0]["deploymentStart"] == "2024-05-01T00:00:00+02:00"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "location of every site, and that of 'A' isn't known; give --places"),
        ({"places": PLACES.replace("B,", "X,")}, "that of 'B' isn't known (those of 'A', 'X', 'C' are)"),
        ({**WITH_PLACES, "title": None}, "a new Camtrap DP needs --title, --contributor and --sampling-design"),
        ({**WITH_PLACES, "contributors": ("<a@b>",)}, "--contributor: expected a name"),
        (
            {"deployments": "\n".join(DEPLOYMENTS.splitlines()[:2])},
            "--deployments has no row for the site 'B' of B/a.jpg; it has 'A'",
        ),
        ({"deployments": DEPLOYMENTS.replace(",no", ",maybe")}, "column 'baitUse': expected true, false or nothing"),
        (
            {"deployments": DEPLOYMENTS.replace(",-9.6,", ",-99,")},
            "column 'cameraTilt': expected a whole number from -90 to 90",
        ),
        ({"deployments": DEPLOYMENTS.replace(",15,", ",-15,")}, "column 'detectionDistance': expected metres >= 0"),
        ({**WITH_PLACES, "times": dict.fromkeys(TIMES)}, "none of the 7 media has a known time"),
    ],
)
def test_what_is_missing_or_wrong_is_named(export: Export, options: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=re.escape(words)):
        export(**options)


def test_a_package_is_not_overwritten(export: Export, tmp_path: Path) -> None:
    export(places=PLACES)
    with pytest.raises(RunError, match="exists already"):
        export(places=PLACES)


def test_an_archive_is_written_and_can_be_filled_again(export: Export, tmp_path: Path) -> None:
    export(deployments=DEPLOYMENTS, out="dp.zip")
    package = read_package(tmp_path / "dp.zip")
    assert len(package.observations) == len(ESTIMATES)
    export_results(tmp_path / "results", tmp_path / "again.zip", ExportFormat.CAMTRAP_DP, package=tmp_path / "dp.zip")
    again = read_package(tmp_path / "again.zip")
    before = {row.observation_id: row.row.cells for row in package.observations}
    after = {row.observation_id: row.row.cells for row in again.observations}
    assert {name: after[name] for name in before} == before
    # The copy gets distances of all boxes, those that are probably things too.
    assert len(after) == len(before) + 1


def test_options_of_a_new_package_are_for_nothing_else(export: Export, tmp_path: Path) -> None:
    export(places=PLACES)
    for form, package in ((ExportFormat.TIMELAPSE, None), (ExportFormat.CAMTRAP_DP, tmp_path / "dp")):
        with pytest.raises(InputError, match="--title goes with --format camtrap-dp without --package"):
            export_results(
                tmp_path / "results",
                tmp_path / "t.csv",
                form,
                package=package,
                new_package=NewPackageOptions(title="a"),
            )


@pytest.mark.parametrize("text", ["", "<a@b.org>", "Ada <ada>", "Ada <a@b.org> more"])
def test_contributors_are_names(text: str) -> None:
    with pytest.raises(InputError, match="--contributor"):
        parse_contributor(text)


def survey_estimates() -> tuple[list[Estimate], dict[str, datetime]]:
    """Videos of three sites with animals at distances as a half-normal function gives them, some boxes of things."""
    random = np.random.default_rng(1)
    estimates, times = [], {}
    for site in "ABC":
        for number in range(40):
            name = f"{site}/{number:02}.mp4"
            times[name] = START + timedelta(hours=5 * number)
            for second in range(0, 2 * int(random.integers(1, 6)), 2):
                metres = float(random.uniform(1.5, 9.5))
                reason = "static: a box like this is there for hours" if number % 10 == 9 else ""
                estimates.append(measured(name, second, round(metres, 2), reason=reason, species="Vulpes vulpes"))
        estimates.append(without(f"{site}/empty.mp4"))
        times[f"{site}/empty.mp4"] = START + timedelta(hours=201)
    return estimates, times


def test_density_of_the_package_is_that_of_the_results(export: Export, tmp_path: Path) -> None:
    estimates, times = survey_estimates()
    deployments = DEPLOYMENTS.replace("2024-05-06T00", "2024-05-06T01")
    export(estimates, times, deployments=deployments)
    choices: dict[str, Any] = {"key": "half-normal", "adjust": "none", "cutpoints": "0,2,4,6,8,10", "bootstrap": 0}
    choices["strata"] = False
    table = tmp_path / "deployments.csv"
    of_results = run_density(tmp_path / "results" / "distances.csv", deployments=table, points=True, **choices)
    with_table = run_density(tmp_path / "dp", deployments=table, **choices)
    alone = run_density(tmp_path / "dp", theta_deg=42, snapshot_s=2, **choices)
    for run in (with_table, alone):
        assert run.analysis.best.density == of_results.analysis.best.density


def test_a_wildlife_insights_download_becomes_a_package(tmp_path: Path) -> None:
    photos = {"D1/a.jpg": Photo(None, [LEFT]), "D1/b.jpg": Photo(None), "D2/a.jpg": Photo(None, [RIGHT])}
    (tmp_path / "deployments.csv").write_text(
        "project_id,deployment_id,placename,longitude,latitude,start_date,end_date\n"
        "20,D1,north,-62.9,-8.5,2021-08-26 00:00:00,2021-09-19 00:00:00\n"
        "20,D2,north,-62.9,-8.5,2021-09-19 00:00:00,2021-10-19 00:00:00\n"
    )
    (tmp_path / "images.csv").write_text(
        "project_id,deployment_id,image_id,filename,is_blank,genus,species,common_name,timestamp\n"
        "20,D1,i1,a.jpg,0,Panthera,onca,Jaguar,2021-08-27 10:00:00\n"
        "20,D1,i2,b.jpg,1,,,Blank,2021-08-27 11:00:00\n"
        "20,D2,i3,a.jpg,0,Mazama,,Brocket,2021-09-27 12:00:00\n"
    )
    images, deployments = tmp_path / "images.csv", tmp_path / "deployments.csv"
    told = {"media_times": images, "species": str(images), "site": f"csv:{images}", "timezone": "-04:00"}
    run_prediction(photo_settings(tmp_path, photos, deployments=deployments, places=deployments, **told))
    new_package = NewPackageOptions(**OPTIONS, deployments=deployments)
    made = tmp_path / "dp"
    export_results(tmp_path / "out", made, ExportFormat.CAMTRAP_DP, timezone="-04:00", new_package=new_package)
    assert frictionless_problems(made) == []
    assert [row["deploymentID"] for row in rows_of(made, "deployments")] == ["D1", "D2"]
    assert [(row["mediaID"], row["deploymentID"], row["timestamp"]) for row in rows_of(made, "media")] == [
        ("D1/a.jpg", "D1", "2021-08-27T10:00:00-04:00"),
        ("D1/b.jpg", "D1", "2021-08-27T11:00:00-04:00"),
        ("D2/a.jpg", "D2", "2021-09-27T12:00:00-04:00"),
    ]
    observed = [(row["observationType"], row["scientificName"]) for row in rows_of(made, "observations")]
    assert observed == [("animal", "Panthera onca"), ("blank", ""), ("animal", "Mazama")]


def test_the_command_writes_a_package(export: Export, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    export(deployments=DEPLOYMENTS)
    status, printed, errors = call(
        capsys, "export", tmp_path / "results", "--format", "camtrap-dp", "--deployments", tmp_path / "deployments.csv",
        "--title", "Forest", "--contributor", "Ada", "--contributor", "Bea <b@example.org>",
        "--sampling-design", "simple-random", "--level", "event", "--out", tmp_path / "made",
    )  # fmt: skip
    assert (status, errors) == (0, "")
    assert "7 media, 8 observations" in printed
    assert len(json.loads((tmp_path / "made" / "datapackage.json").read_text())["contributors"]) == 2
