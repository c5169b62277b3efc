"""The zone in which a table writes its times changes no result."""

from __future__ import annotations

import shutil
from datetime import datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest

from conftest import MakeClip
from packages import SITE, bbox, medium, observation, write_package
from terminal import inside
from trapmeter.density.run import read_survey
from trapmeter.density.settings import density_settings
from trapmeter.density.survey.survey import Survey
from trapmeter.prediction.run import run_prediction
from trapmeter.prediction.settings import PredictSettings
from trapmeter.tables.medium_times import read_medium_times
from trapmeter.tables.times import to_instant

START = datetime(2024, 5, 1, 6, tzinfo=timezone(timedelta(hours=2)))
EAST, WEST, UTC = "+02:00", "-06:00", "+00:00"


def at(hours: float, zone: str) -> str:
    """The instant so many hours after the start of the survey, as a clock of the zone shows it; without zone for ''."""
    if not zone:
        return (START + timedelta(hours=hours)).replace(tzinfo=None).isoformat()
    offset = timezone(timedelta(hours=int(zone[:3])))
    return (START + timedelta(hours=hours)).astimezone(offset).isoformat()


def package_survey(folder: Path, deployments: str, observations: str, **settings: object) -> Survey:
    site = {**SITE, "deploymentStart": at(0, deployments), "deploymentEnd": at(240, deployments)}
    # One is before, one after the deployment; those of its first and last instant belong to it.
    hours = (-0.5, 0, 1, 2, 30, 240, 240.5)
    rows = [
        observation(f"o{number}", "", eventStart=at(hour, observations), individualPositionRadius=f"{2 + number}")
        for number, hour in enumerate(hours)
    ]
    path = write_package(folder, deployments=[site], observations=rows)
    return read_survey(density_settings(path, theta_deg=42, snapshot_s=2, **settings))[0]


@pytest.mark.parametrize("observations", [EAST, UTC, WEST])
@pytest.mark.parametrize("deployments", [EAST, WEST])
def test_a_package_may_mix_zones(tmp_path: Path, deployments: str, observations: str) -> None:
    survey = package_survey(tmp_path / "dp", deployments, observations)
    assert survey.distance_m.ravel().tolist() == [3, 4, 5, 6, 7]
    assert any("2 of 7 measured animals left out: outside deployments" in note for note in survey.notes)


def test_times_without_a_zone_take_the_one_that_is_named(tmp_path: Path) -> None:
    survey = package_survey(tmp_path / "dp", "", UTC, timezone="Europe/Berlin")
    assert survey.distance_m.ravel().tolist() == [3, 4, 5, 6, 7]


def measured_survey(folder: Path, deployments: str, starts: str, names: list[str], **settings: object) -> Survey:
    """distances.csv of media an hour apart, the first an hour after the camera began."""
    header = (
        "media_id,time_s,animal_id,x1,y1,x2,y2,score,distance_m,low_m,high_m,angle_deg,site_id,status,reason,model_id"
    )
    (folder / "distances.csv").write_text(
        "\n".join(
            [header, *(f"{name},0,1,0.4,0.4,0.5,0.6,0.9,{3 + n},1,20,1,S1,measured,,m" for n, name in enumerate(names))]
        )
    )
    (folder / "deployments.csv").write_text(
        f"site_id,start,end,theta_deg,snapshot_s\nS1,{at(0, deployments)},{at(3, deployments)},42,2\n"
    )
    (folder / "times.csv").write_text(
        "\n".join(["media_id,start", *(f"{name},{at(n + 1, starts)}" for n, name in enumerate(names))])
    )
    tables = {"deployments": folder / "deployments.csv", "media_times": folder / "times.csv"}
    return read_survey(density_settings(folder / "distances.csv", **tables, **settings))[0]


@pytest.mark.parametrize("starts", [EAST, UTC, WEST])
def test_starts_of_media_may_have_another_zone_than_deployments(tmp_path: Path, starts: str) -> None:
    survey = measured_survey(tmp_path, EAST, starts, ["a.mp4", "b.mp4", "c.mp4", "d.mp4"])
    assert survey.distance_m.ravel().tolist() == [3, 4, 5]


def test_the_command_line_says_how_to_name_the_zone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    measured_survey(tmp_path, "", "", ["a.mp4"])
    (tmp_path / "times.csv").write_text(f"media_id,start\na.mp4,{at(1, UTC)}\n")
    arguments = ["density", tmp_path / "distances.csv", "--deployments", tmp_path / "deployments.csv"]
    arguments += ["--media-times", tmp_path / "times.csv"]
    assert inside(*arguments) == 2
    assert "times.csv, line 2, column 'start'" in (text := capsys.readouterr().err)
    assert "--timezone Europe/Berlin" in text


def test_of_a_burst_of_photos_the_first_counts(tmp_path: Path) -> None:
    names = ["a.jpg", "b.jpg", "c.jpg"]
    assert measured_survey(tmp_path, EAST, EAST, names).distance_m.ravel().tolist() == [3, 4, 5]
    burst = [f"{name},{(START + timedelta(hours=1, seconds=0.7 * n)).isoformat()}" for n, name in enumerate(names)]
    (tmp_path / "times.csv").write_text("\n".join(["media_id,start", *burst]))
    settings = density_settings(
        tmp_path / "distances.csv", deployments=tmp_path / "deployments.csv", media_times=tmp_path / "times.csv"
    )
    survey = read_survey(settings)[0]
    assert survey.distance_m.ravel().tolist() == [3]
    assert "2 of 3 measured animals left out: in photos within an interval of an earlier one" in survey.notes


@pytest.mark.parametrize(("media", "events"), [(UTC, UTC), (EAST, UTC), (WEST, UTC), (WEST, EAST)])
def test_boxes_of_events_are_at_their_second_whatever_the_zone(
    tmp_path: Path, make_clip: MakeClip, media: str, events: str
) -> None:
    boxes = bbox(0.1, 0.5, 0.2, 0.3)
    observations = [observation(f"o{n}", "m1", eventStart=at((60 + n) / 3600, events), **boxes) for n in (1, 3)]
    path = write_package(
        tmp_path / "dp", media=[medium("m1", "S1/b.mp4", at(60 / 3600, media))], observations=observations
    )
    (path / "S1").mkdir()
    shutil.copy(make_clip("zones.mp4", n=50, rate=10), path / "S1/b.mp4")
    run = run_prediction(PredictSettings((path,), out=tmp_path / "out"))
    measured = [row.observation.time_s for row in run.estimates if row.distance is not None]
    assert measured == [1, 3]
    starts = read_medium_times(tmp_path / "out")
    assert starts["S1/b.mp4"] == to_instant(START + timedelta(seconds=60), None)
    assert np.isclose(starts["S1/b.mp4"].timestamp(), START.timestamp() + 60)
