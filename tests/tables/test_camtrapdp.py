from __future__ import annotations

import json
import re
import zipfile
from datetime import datetime

import pytest

from packages import bbox, medium, observation, write_package
from trapmeter.errors import InputError
from trapmeter.tables.camtrapdp.container import is_package
from trapmeter.tables.camtrapdp.media_observations import boxes_by_medium
from trapmeter.tables.camtrapdp.package import read_package

DEPLOYMENTS = "deploymentID,locationID,deploymentStart,deploymentEnd\nd1,S1,2024-05-01T00:00:00Z,2024-05-11T00:00:00Z\n"
MEDIA = "mediaID,deploymentID,timestamp,filePath\nm1,d1,2024-05-02T06:00:00Z,S1/a.jpg\n"
OBSERVATIONS = (
    "observationID,deploymentID,mediaID,eventID,eventStart,observationLevel,observationType,scientificName,count,behavior,"
    "individualID,individualPositionRadius,individualPositionAngle,bboxX,bboxY,bboxWidth,bboxHeight,observationTags\n"
    "o1,d1,m1,e1,2024-05-02T06:00:00Z,media,animal,Vulpes vulpes,1,foraging|running,fox1,4.5,-3,0.1,0.2,0.3,0.4,odd\n"
    # Empty cells at the end of a row may be left out.
    "o2,d1,,e2,2024-05-02T07:00:00+02:00,event,blank,,,\n"
)
RESOURCES = [{"name": name, "path": f"{name}.csv"} for name in ("deployments", "media", "observations")]


def package(folder, resources=RESOURCES, **tables):
    folder.mkdir(exist_ok=True)
    (folder / "datapackage.json").write_text(json.dumps({"resources": resources}))
    texts = {"deployments": DEPLOYMENTS, "media": MEDIA, "observations": OBSERVATIONS, **tables}
    for name, text in texts.items():
        (folder / f"{name}.csv").write_text(text)
    return folder


def zipped(folder, path, root=""):
    with zipfile.ZipFile(path, "w") as archive:
        for one in folder.iterdir():
            archive.write(one, root + one.name)
    return path


def same(found):
    media = [(one.media_id, one.time, one.file_path, one.kind) for one in found.media]
    return found.deployments[0].site_id, media, [(one.observation_id, one.radius_m) for one in found.observations]


def test_folder_descriptor_and_archive_are_the_same(tmp_path):
    folder = package(tmp_path / "dp")
    paths = [
        folder,
        folder / "datapackage.json",
        zipped(folder, tmp_path / "a.zip"),
        zipped(folder, tmp_path / "b.zip", "dp/"),
    ]
    assert all(is_package(path) for path in paths)
    assert not is_package(folder / "media.csv")
    tables = [read_package(path) for path in paths]
    assert all(same(one) == same(tables[0]) for one in tables)
    fox, blank = tables[0].observations
    assert fox.tags == ("foraging", "running", "odd")
    assert (fox.individual_id, fox.radius_m, fox.angle_deg, fox.bbox) == ("fox1", 4.5, -3, (0.1, 0.2, 0.3, 0.4))
    assert (blank.kind, blank.radius_m, blank.count, blank.bbox) == ("blank", None, None, None)
    assert blank.start == datetime(2024, 5, 2, 7)
    assert tables[0].media[0].file_path == "S1/a.jpg"


def test_a_real_package(shared):
    found = read_package(shared("camtrap-dp"))
    assert (len(found.deployments), len(found.media), len(found.observations)) == (2, 5, 7)
    assert {one.site_id for one in found.deployments} == {"loc1", "loc2"}
    assert sum(one.bbox is not None for one in found.observations) == 5


def path_of(name):
    return [{**one, "path": name} if one["name"] == "media" else one for one in RESOURCES]


@pytest.mark.parametrize(
    ("resources", "words"),
    [
        (path_of("../secret.csv"), "'../secret.csv' leads out of the package"),
        (path_of("/etc/secret.csv"), "leads out of the package"),
        (path_of("C:/secret.csv"), "leads out of the package"),
        (path_of("..\\secret.csv"), "leads out of the package"),
        (path_of("https://example.org/media.csv"), "expected the path of one CSV file"),
        (path_of(["a.csv", "b.csv"]), "got a.csv, b.csv"),
        (path_of("media.csv.gz"), "expected the path of one CSV file"),
        (path_of("gone.csv"), "gone.csv does not exist"),
        (RESOURCES[:2], "but observations is missing"),
        ([{"name": "media"}], "expected JSON with 'resources'"),
        (None, "expected JSON with 'resources'"),
    ],
)
def test_descriptors_that_cannot_be_followed(tmp_path, resources, words):
    with pytest.raises(InputError, match=words.replace("\\", "\\\\")):
        read_package(package(tmp_path / "dp", resources))


def test_a_link_out_of_the_package_is_not_followed(tmp_path):
    folder = package(tmp_path / "dp")
    (tmp_path / "outside.csv").write_text(MEDIA)
    (folder / "media.csv").unlink()
    (folder / "media.csv").symlink_to(tmp_path / "outside.csv")
    with pytest.raises(InputError, match="leads out of the package"):
        read_package(folder)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("o1,d1,", "o1,d9,", "observations.csv, line 2, column 'deploymentID': expected a deployment of"),
        (",4.5,", ",-4,", "line 2, column 'individualPositionRadius': expected metres >= 0"),
        (",4.5,", ",near,", "column 'individualPositionRadius': expected a number, got 'near'"),
        ("vulpes,1,", "vulpes,0,", "column 'count': expected a whole number >= 1"),
        (",media,", ",individual,", "column 'observationLevel': expected one of media, event"),
        ("0.3,0.4", "1.3,0.4", "as shares of the picture"),
        ("2024-05-02T06", "2024-05-32T06", "column 'eventStart': expected a date and time"),
        ("observationLevel", "level", "observationLevel is missing"),
    ],
)
def test_cells_that_are_wrong_are_named(tmp_path, old, new, words):
    with pytest.raises(InputError, match=words.replace("(", "\\(")):
        read_package(package(tmp_path / "dp", observations=OBSERVATIONS.replace(old, new, 1)))


@pytest.mark.parametrize(
    ("table", "text", "words"),
    [
        (
            "deployments",
            DEPLOYMENTS,
            "line 3, column 'deploymentID': expected another name than that of line 2 (remove",
        ),
        ("media", MEDIA, "media.csv, line 3, column 'mediaID'"),
        ("observations", OBSERVATIONS, "line 4, column 'observationID': expected another name than that of line 3"),
    ],
)
def test_rows_of_one_name_are_refused(tmp_path, table, text, words):
    twice = text + text.splitlines()[-1] + "\n"
    with pytest.raises(InputError, match=re.escape(words)):
        read_package(package(tmp_path / "dp", **{table: twice}))


@pytest.mark.parametrize(("method", "told"), [("machine", 0.25), ("human", 1.0), ("machine", None)])
def test_scores_of_boxes(tmp_path, method, told):
    cells = {"classificationMethod": method, "classificationProbability": "25" if told is None else "0.25"}
    row = observation("o1", "m1", **bbox(0.1, 0.2, 0.3, 0.4), **cells)
    read = read_package(write_package(tmp_path / "dp", media=[medium("m1", "a.jpg")], observations=[row]))
    if told is None:
        with pytest.raises(InputError, match=r"line 2, column 'classificationProbability': expected.*got '25'"):
            boxes_by_medium(read)
    else:
        assert boxes_by_medium(read)["m1"].untimed[0].score == told


def test_what_is_no_package(tmp_path):
    with pytest.raises(InputError, match=r"has no datapackage\.json"):
        read_package(tmp_path)
    with pytest.raises(InputError, match="does not exist"):
        read_package(tmp_path / "gone.zip")
    (tmp_path / "text.zip").write_text("text")
    with pytest.raises(InputError, match="can't be read as a zip archive"):
        read_package(tmp_path / "text.zip")
    folder = package(tmp_path / "dp")
    (folder / "media.csv").unlink()
    with pytest.raises(InputError, match=r"has no file media\.csv"):
        read_package(zipped(folder, tmp_path / "part.zip"))
    (folder / "datapackage.json").unlink()
    with pytest.raises(InputError, match=r"part2\.zip has no datapackage\.json"):
        read_package(zipped(folder, tmp_path / "part2.zip"))
