"""The tables of a Wildlife Insights download serve as tables of species, times, sites, deployments and locations."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from trapmeter.density.settings import DensitySettings
from trapmeter.density.survey.measured_distances import read_measured_survey
from trapmeter.errors import InputError
from trapmeter.records import Distance, Estimate, Medium, MediumKind, Observation, Status
from trapmeter.tables.density_inputs import read_media_starts
from trapmeter.tables.deployments import read_deployments
from trapmeter.tables.distances import write_distances
from trapmeter.tables.site_locations import SiteLocation, read_site_locations
from trapmeter.tables.site_rules import CsvSite, assign_sites
from trapmeter.tables.species_table import read_species_table

DEPLOYMENTS = (
    "project_id,deployment_id,placename,longitude,latitude,start_date,end_date,camera_id,quiet_period,remarks\n"
    "20,D1,north,-62.94,-8.57,2021-08-26 00:00:00,2021-09-19 00:00:00,8,0,\n"
    "20,D2,north,-62.94,-8.57,2021-09-19 00:00:00,2021-10-19 00:00:00,8,0,\n"
    "20,D3,,-62.96,-8.55,2021-08-25 00:00:00,2021-11-04 00:00:00,9,3,\n"
)
IMAGES = (
    "project_id,deployment_id,image_id,filename,location,is_blank,identified_by,class,order,family,genus,species,common_name,"
    "timestamp,number_of_objects,cv_confidence\n"
    "20,D1,i1,IMG_1.JPG,gs://b/1.JPG,0,Ada,Mammalia,Carnivora,Felidae,Panthera,onca,Jaguar,2021-08-27 10:00:00,1,\n"
    "20,D1,i2,IMG_2.JPG,gs://b/2.JPG,1,Ada,,,,,,Blank,2021-08-27 11:00:00,0,\n"
    "20,D2,i3,IMG_1.JPG,gs://b/3.JPG,0,Computer Vision,Mammalia,,Cervidae,Mazama,,Brocket,2021-09-27 12:00:00,1,0.92\n"
    "20,D3,i4,,gs://b/four.JPG,0,Ada,Mammalia,Primates,Hominidae,Homo,sapiens,Human,2021-08-27 13:00:00,1,\n"
    "20,D3,i5,IMG_5.JPG,gs://b/5.JPG,0,Ada,Mammalia,,,,,Vehicle,2021-08-27 14:00:00,1,\n"
    "20,D3,i6,IMG_6.JPG,gs://b/6.JPG,0,Computer Vision,,,Cervidae,,,Deer,2021-08-27 15:00:00,1,92\n"
    "20,D3,i6,IMG_6.JPG,gs://b/6.JPG,0,Computer Vision,,,Cervidae,,,Deer,2021-08-27 15:00:00,1,92\n"
)
MEDIA = (
    "a/D1/IMG_1.JPG",
    "a/D1/IMG_2.JPG",
    "a/D2/IMG_1.JPG",
    "x/four.JPG",
    "x/IMG_5.JPG",
    "x/IMG_6.JPG",
    "x/IMG_7.JPG",
)


@pytest.fixture
def download(tmp_path: Path) -> Path:
    (tmp_path / "deployments.csv").write_text(DEPLOYMENTS)
    (tmp_path / "images.csv").write_text(IMAGES)
    return tmp_path


def test_images_name_the_species(download: Path) -> None:
    table = read_species_table(download / "images.csv", [(name, "") for name in MEDIA])
    found = {name: table.find(name, 0.0, None) for name in MEDIA}
    named = {name: animal.identification for name, animal in found.items() if animal is not None}
    assert {name: (animal.species, animal.score) for name, animal in named.items()} == {
        "a/D1/IMG_1.JPG": ("Panthera onca", None),
        "a/D2/IMG_1.JPG": ("Mazama", 0.92),
        "x/four.JPG": ("Homo sapiens", None),
        "x/IMG_5.JPG": ("vehicle", None),
        "x/IMG_6.JPG": ("Cervidae", 0.92),
    }


def test_images_state_times(download: Path) -> None:
    starts = read_media_starts(download / "images.csv")
    assert {name: time.isoformat() for name, time in starts.items()} == {
        "D1/IMG_1.JPG": "2021-08-27T10:00:00",
        "IMG_2.JPG": "2021-08-27T11:00:00",
        "D2/IMG_1.JPG": "2021-09-27T12:00:00",
        "four.JPG": "2021-08-27T13:00:00",
        "IMG_5.JPG": "2021-08-27T14:00:00",
        "IMG_6.JPG": "2021-08-27T15:00:00",
    }


def test_images_give_sites(download: Path) -> None:
    media = [Medium(name, Path(name), MediumKind.PHOTO) for name in MEDIA]
    sites = {row.media_id: row.site_id for row in assign_sites(media, CsvSite(download / "images.csv"))}
    assert sites == dict(zip(MEDIA, ("north", "north", "north", "D3", "D3", "D3", ""), strict=True))
    (download / "deployments.csv").unlink()
    sites = {row.media_id: row.site_id for row in assign_sites(media, CsvSite(download / "images.csv"))}
    assert list(sites.values())[:3] == ["D1", "D1", "D2"]


def test_deployments_have_sites_times_and_places(download: Path) -> None:
    rows = read_deployments(download / "deployments.csv")
    assert [(row.site_id, row.row.text("deploymentID")) for row in rows] == [
        ("north", "D1"),
        ("north", "D2"),
        ("D3", "D3"),
    ]
    assert rows[0].end - rows[0].start == timedelta(days=24)
    assert read_site_locations(download / "deployments.csv") == {
        "north": SiteLocation(-8.57, -62.94),
        "D3": SiteLocation(-8.55, -62.96),
    }


def test_density_takes_effort_and_times_from_a_download(download: Path) -> None:
    estimates = [
        Estimate(
            Observation(name, 0.0, animal_id=1, site_id=site),
            Status.MEASURED,
            Distance(4.0, 3.0, 5.0),
        )
        for name, site in zip(MEDIA, ("north", "north", "north", "D3", "D3", "D3"), strict=False)
    ]
    write_distances(download / "distances.csv", estimates)
    survey = read_measured_survey(
        DensitySettings(
            download / "distances.csv",
            deployments=download / "deployments.csv",
            media_times=download / "images.csv",
            theta_deg=42,
            snapshot_s=2,
        )
    )
    assert [station.effort_snapshots for station in survey.stations] == [54 * 43200, 71 * 43200]
    assert len(survey.distance_m) == 6
    assert not any("ignored" in note for note in survey.notes)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (IMAGES.replace("20,D2", "20,D9"), "images.csv, line 4, column 'deployment_id': expected a deployment of"),
        (
            IMAGES.replace("IMG_2.JPG,gs://b/2.JPG", ","),
            "images.csv, line 3: expected the name of a file in filename or",
        ),
        (
            IMAGES.replace("2021-08-27 11:00:00", "soon"),
            "images.csv, line 3, column 'timestamp': expected a date and time",
        ),
    ],
)
def test_what_is_wrong_is_named(download: Path, text: str, words: str) -> None:
    (download / "images.csv").write_text(text)
    with pytest.raises(InputError, match=re.escape(words)):
        read_media_starts(download / "images.csv")


def test_a_photo_that_could_be_of_two_deployments_is_refused(download: Path) -> None:
    starts = read_media_starts(download / "images.csv")
    assert isinstance(starts["IMG_2.JPG"], datetime)
    media = [(name, "") for name in ("IMG_1.JPG", "four.JPG")]
    with pytest.raises(InputError, match=r"IMG_1\.JPG could be any of D[12]/IMG_1\.JPG, D[12]/IMG_1\.JPG"):
        read_species_table(download / "images.csv", media)
