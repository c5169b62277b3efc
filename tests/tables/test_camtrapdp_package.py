from __future__ import annotations

import json
import re
from datetime import UTC, datetime

import pytest

from packages import (
    MADE_UP_DEPLOYMENTS,
    MADE_UP_MEDIA,
    MADE_UP_OBSERVATIONS,
    MADE_UP_RESOURCES,
    bbox,
    medium,
    observation,
    packed,
    write_made_up_package,
    write_package,
)
from trapmeter.errors import InputError
from trapmeter.tables.camtrapdp.container import is_package
from trapmeter.tables.camtrapdp.media_observations import boxes_by_medium
from trapmeter.tables.camtrapdp.package import read_package


def content_of(found):
    media = [(medium.media_id, medium.time, medium.file_path, medium.kind) for medium in found.media]
    return found.deployments[0].site_id, media, [(row.observation_id, row.radius_m) for row in found.observations]


def test_folder_descriptor_and_archive_give_the_same_package(tmp_path):
    folder = write_made_up_package(tmp_path / "dp")
    paths = [
        folder,
        folder / "datapackage.json",
        packed(folder, tmp_path / "a.zip"),
        packed(folder, tmp_path / "b.zip", "dp/"),
    ]
    assert all(is_package(path) for path in paths)
    assert not is_package(folder / "media.csv")
    tables = [read_package(path) for path in paths]
    assert all(content_of(table) == content_of(tables[0]) for table in tables)
    fox, blank = tables[0].observations
    assert fox.tags == ("foraging", "running", "odd")
    assert (fox.individual_id, fox.radius_m, fox.angle_deg, fox.bbox) == ("fox1", 4.5, -3, (0.1, 0.2, 0.3, 0.4))
    assert (blank.kind, blank.radius_m, blank.count, blank.bbox) == ("blank", None, None, None)
    assert blank.start == datetime(2024, 5, 2, 5, tzinfo=UTC)
    assert tables[0].media[0].file_path == "S1/a.jpg"


def test_a_real_package_is_read_completely(shared_file):
    found = read_package(shared_file("camtrap-dp"))
    assert (len(found.deployments), len(found.media), len(found.observations)) == (2, 5, 7)
    assert {deployment.site_id for deployment in found.deployments} == {"loc1", "loc2"}
    assert sum(row.bbox is not None for row in found.observations) == 5


def resources_with_media_at(name):
    return [{**entry, "path": name} if entry["name"] == "media" else entry for entry in MADE_UP_RESOURCES]


@pytest.mark.parametrize(
    ("resources", "words"),
    [
        (resources_with_media_at("../secret.csv"), "'../secret.csv' leads out of the package"),
        (resources_with_media_at("/etc/secret.csv"), "leads out of the package"),
        (resources_with_media_at("C:/secret.csv"), "leads out of the package"),
        (resources_with_media_at("..\\secret.csv"), "leads out of the package"),
        (resources_with_media_at("https://example.org/media.csv"), "expected the path of one CSV file"),
        (resources_with_media_at(["a.csv", "b.csv"]), "got a.csv, b.csv"),
        (resources_with_media_at("media.csv.gz"), "expected the path of one CSV file"),
        (resources_with_media_at("gone.csv"), "gone.csv does not exist"),
        (MADE_UP_RESOURCES[:2], "but observations is missing"),
        ([{"name": "media"}], "expected JSON with 'resources'"),
        (None, "expected JSON with 'resources'"),
    ],
)
def test_bad_descriptors_are_refused(tmp_path, resources, words):
    with pytest.raises(InputError, match=words.replace("\\", "\\\\")):
        read_package(write_made_up_package(tmp_path / "dp", resources))


def test_a_link_out_of_the_package_is_not_followed(tmp_path):
    folder = write_made_up_package(tmp_path / "dp")
    (tmp_path / "outside.csv").write_text(MADE_UP_MEDIA)
    (folder / "media.csv").unlink()
    (folder / "media.csv").symlink_to(tmp_path / "outside.csv")
    with pytest.raises(InputError, match="lies outside the package"):
        read_package(folder)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("o1,d1,", "o1,d9,", "observations.csv, line 2, column 'deploymentID': expected an id of the table"),
        (",4.5,", ",-4,", "line 2, column 'individualPositionRadius': expected metres >= 0"),
        (",4.5,", ",near,", "column 'individualPositionRadius': expected a number, got 'near'"),
        ("vulpes,1,", "vulpes,0,", "column 'count': expected a whole number >= 1"),
        ("0.3,0.4", "1.3,0.4", "as fractions of the picture"),
        ("2024-05-02T06", "2024-05-32T06", "column 'eventStart': expected a date and time"),
        ("observationLevel", "level", "observationLevel is missing"),
    ],
)
def test_wrong_cells_are_named(tmp_path, old, new, words):
    with pytest.raises(InputError, match=words.replace("(", "\\(")):
        read_package(write_made_up_package(tmp_path / "dp", observations=MADE_UP_OBSERVATIONS.replace(old, new, 1)))


@pytest.mark.parametrize(
    ("table", "text", "words"),
    [
        (
            "deployments",
            MADE_UP_DEPLOYMENTS + "d1,S2,2024-05-01T00:00:00Z,2024-05-11T00:00:00Z\n",
            "deployments.csv, lines 2 and 3: deploymentID 'd1' appears twice",
        ),
        (
            "media",
            f"{MADE_UP_MEDIA}m1,d1,2024-05-02T06:00:00Z,S1/b.jpg\n",
            "media.csv, lines 2 and 3: mediaID 'm1' appears twice",
        ),
        (
            "observations",
            f"{MADE_UP_OBSERVATIONS}o2,d1,,e2,2024-05-02T08:00:00+02:00,event,blank\n",
            "observations.csv, lines 3 and 4: observationID 'o2' appears twice",
        ),
    ],
)
def test_two_rows_with_one_id_are_refused(tmp_path, table, text, words):
    with pytest.raises(InputError, match=re.escape(words)):
        read_package(write_made_up_package(tmp_path / "dp", **{table: text}))


def test_the_same_row_twice_counts_once(tmp_path):
    texts = {"deployments": MADE_UP_DEPLOYMENTS, "media": MADE_UP_MEDIA, "observations": MADE_UP_OBSERVATIONS}
    once = read_package(write_made_up_package(tmp_path / "once"))
    twice = {table: text + text.splitlines()[-1] + "\n" for table, text in texts.items()}
    assert content_of(read_package(write_made_up_package(tmp_path / "twice", **twice))) == content_of(once)


def test_levels_of_later_versions_are_passed_over(tmp_path):
    text = MADE_UP_OBSERVATIONS + "o3,d1,,e3,2024-05-02T08:00:00Z,deployment,animal\n"
    package = read_package(write_made_up_package(tmp_path / "dp", observations=text))
    assert len(package.observations) == 2
    assert package.notes == (
        "1 observations with the observationLevel 'deployment' were passed over; media and event are read",
    )


@pytest.mark.parametrize("version", ["0.1.6", "0.6"])
def test_versions_before_1_are_recognised(tmp_path, version):
    folder = write_made_up_package(tmp_path / "dp")
    descriptor = json.loads((folder / "datapackage.json").read_text())
    address = f"https://raw.githubusercontent.com/tdwg/camtrap-dp/{version}/camtrap-dp-profile.json"
    (folder / "datapackage.json").write_text(json.dumps({**descriptor, "profile": address}))
    with pytest.raises(InputError, match=rf"this is Camtrap DP {version}, and only versions from 1\.0 on"):
        read_package(folder)
    for supported in ("1.0", "1.0.2"):
        (folder / "datapackage.json").write_text(
            json.dumps({**descriptor, "profile": address.replace(version, supported)})
        )
        assert len(read_package(folder).media) == 1


@pytest.mark.parametrize(
    ("file_path", "file_name", "expected"),
    [
        ("media/", "a.jpg", "media/a.jpg"),
        ("media", "a.jpg", "media/a.jpg"),
        ("media\\", "a.jpg", "media/a.jpg"),
        ("media/a.jpg", "a.jpg", "media/a.jpg"),
        ("media/a.jpg", "", "media/a.jpg"),
        ("https://example.org/files/media/a.jpg?key=1", "", "media/a.jpg"),
        ("https://example.org/download/123", "media/a.jpg", "media/a.jpg"),
        ("https://example.org/files/gone.jpg", "", "https://example.org/files/gone.jpg"),
        ("https://example.org/../../secret.jpg", "../secret.jpg", "https://example.org/../../secret.jpg"),
    ],
)
@pytest.mark.parametrize("is_zip", [False, True])
def test_a_file_path_may_be_a_folder_or_an_address_of_a_file_in_the_package(
    tmp_path, file_path, file_name, expected, is_zip
):
    text = f"mediaID,deploymentID,timestamp,filePath,fileName\nm1,d1,2024-05-02T06:00:00Z,{file_path},{file_name}\n"
    folder = write_made_up_package(tmp_path / "dp", media=text)
    (folder / "media").mkdir()
    (folder / "media/a.jpg").write_bytes(b"x")
    (tmp_path / "secret.jpg").write_bytes(b"x")
    source = packed(folder, tmp_path / "dp.zip") if is_zip else folder
    assert read_package(source).media[0].file_path.replace("\\", "/") == expected


@pytest.mark.parametrize(("method", "score"), [("machine", 0.25), ("human", 1.0), ("machine", None)])
def test_the_score_of_a_box_is_the_probability_or_1_for_a_person(tmp_path, method, score):
    cells = {"classificationMethod": method, "classificationProbability": "25" if score is None else "0.25"}
    row = observation("o1", "m1", **bbox(0.1, 0.2, 0.3, 0.4), **cells)
    read = read_package(write_package(tmp_path / "dp", media=[medium("m1", "a.jpg")], observations=[row]))
    if score is None:
        with pytest.raises(InputError, match=r"line 2, column 'classificationProbability': expected.*got '25'"):
            boxes_by_medium(read)
    else:
        assert boxes_by_medium(read)["m1"].untimed[0].score == score


def test_other_folders_and_files_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"has no datapackage\.json"):
        read_package(tmp_path)
    with pytest.raises(InputError, match="does not exist"):
        read_package(tmp_path / "gone.zip")
    (tmp_path / "text.zip").write_text("text")
    with pytest.raises(InputError, match="can't be read as a zip archive"):
        read_package(tmp_path / "text.zip")
    folder = write_made_up_package(tmp_path / "dp")
    (folder / "media.csv").unlink()
    with pytest.raises(InputError, match=r"has no file media\.csv"):
        read_package(packed(folder, tmp_path / "part.zip"))
    (folder / "datapackage.json").unlink()
    with pytest.raises(InputError, match=r"part2\.zip has no datapackage\.json"):
        read_package(packed(folder, tmp_path / "part2.zip"))
