from __future__ import annotations

from itertools import count

import pytest

from packages import MADE_UP_DEPLOYMENTS, write_made_up_package
from trapmeter.density.detection.held_out_errors import DEEP_CHIMPACT, read_held_out
from trapmeter.density.detection.measurement_error import PartlyKnownError, RandomError
from trapmeter.density.settings import DensitySettings
from trapmeter.density.survey.camtrap_dp import read_camtrap_survey
from trapmeter.errors import InputError

HEAD = (
    "observationID,deploymentID,mediaID,eventStart,observationLevel,observationType,scientificName,count,behavior,"
    "individualID,individualPositionRadius\n"
)
NUMBERS = count()
STATIONS = (
    MADE_UP_DEPLOYMENTS
    + "d2,S1,2024-06-01T00:00:00Z,2024-06-02T00:00:00Z\nd3,,2024-05-01T00:00:00Z,2024-05-02T00:00:00Z\n"
)


def row(
    second,
    radius,
    *,
    level="media",
    species="fox",
    n="",
    behavior="",
    individual="",
    deployment="d1",
    day="02",
    media="m",
):
    time = f"2024-05-{day}T06:{second // 60:02d}:{second % 60:02d}Z"
    return (
        f"o{next(NUMBERS)},{deployment},{media},{time},{level},animal,{species},{n},{behavior},{individual},{radius}\n"
    )


def survey(tmp_path, rows, **settings):
    path = write_made_up_package(tmp_path / "dp", deployments=STATIONS, observations=HEAD + "".join(rows))
    return read_camtrap_survey(DensitySettings(path, **{"theta_deg": 42, "snapshot_s": 2, **settings}))


def test_stations_without_detections_have_effort_too(tmp_path):
    found = survey(tmp_path, [row(0, 4), row(2, 5), row(0, 3, deployment="d3", day="01")])
    assert [(station.station_id, station.effort_snapshots) for station in found.stations] == [
        ("S1", 11 * 43200),
        ("d3", 43200),
    ]
    assert found.distance_m.ravel().tolist() == [4, 5, 3]
    assert found.station.tolist() == [0, 0, 1]
    assert ["1 unusually long stretches without any media" in note for note in found.notes] == [True]
    assert survey(tmp_path, [row(0, 4)], distance_cv=0.2).errors == RandomError(0.2)


def test_held_out_errors_exempt_distances_that_people_measured(tmp_path):
    def row_by(second, radius, tags, method):
        return row(second, radius).replace("\n", f",{tags},{method}\n")

    tags = "trapmeter:distance=4.00 | trapmeter:method={}"
    rows = [
        row_by(0, 4, tags.format("machine"), "human"),
        row_by(2, 4, tags.format("human"), "machine"),
        row_by(4, 5, "", "human"),
        row_by(6, 5, "", "machine"),
    ]
    head = HEAD.replace("\n", ",observationTags,classificationMethod\n")
    path = write_made_up_package(tmp_path / "dp", deployments=STATIONS, observations=head + "".join(rows))
    found = read_camtrap_survey(DensitySettings(path, theta_deg=42, snapshot_s=2, errors=DEEP_CHIMPACT))
    assert found.errors == PartlyKnownError(read_held_out(DEEP_CHIMPACT), 0.5)
    assert "people measured 2 of 4 distances, which count as true; the error applies to the others" in found.notes


@pytest.mark.parametrize(
    ("rows", "settings", "metres", "note"),
    [
        # Photos a second apart with a snapshot every 2 s: the first of each interval counts, with all its animals.
        ([row(second, 4 + second) for second in range(5)], {}, [4, 6, 8], "2 of 5 measured animals left out: within"),
        ([row(0, 4), row(0, 5), row(1, 6)], {}, [4, 5], "within an interval"),
        ([row(0, 4, individual="a"), row(0, 5, individual="b"), row(0, 6, individual="a")], {}, [4, 5], "1 of 3"),
        ([row(0, 4), row(2, "")], {}, [4], "1 of 2 animal observations have no individualPositionRadius"),
        ([row(0, 4), row(0, 4, level="event")], {}, [4], "1 event-based observations left out"),
        ([row(0, 4, level="event"), row(9, 5, level="event")], {}, [4, 5], "distances are event-based"),
        ([row(0, 4), row(2, 5, behavior="vigilance|Looks")], {"leave_out_tags": ("looks",)}, [4], "tagged looks"),
        ([row(0, 4), row(2, 5)], {"leave_out_tags": ("looks",)}, [4, 5], "no measured animal has the tag looks"),
        # A burst shows the same animals several times in a second.
        ([row(0, 4), row(0, 6), row(0, 5, media="m2")], {}, [4, 6], "1 of 3 measured animals left out: within"),
        ([row(0, 4), row(2, 5, day="20")], {}, [4], "outside deployments"),
    ],
)
def test_only_snapshots_of_working_cameras_count_and_a_note_says_what_was_left_out(
    tmp_path, rows, settings, metres, note
):
    found = survey(tmp_path, rows, **settings)
    assert found.distance_m.ravel().tolist() == metres
    assert any(note in given for given in found.notes)


def test_a_count_is_the_size_of_a_group_at_one_distance(tmp_path):
    found = survey(tmp_path, [row(0, 4, n="3"), row(2, 5), row(4, 6, n="1")])
    assert found.distance_m.ravel().tolist() == [4, 5, 6]
    assert found.sizes.tolist() == [3, 1, 1]
    assert survey(tmp_path, [row(0, 4), row(2, 5, n="1")]).sizes is None


def test_columns_of_observations_and_deployments_are_covariates(tmp_path):
    rows = [row(0, 4, n="3"), row(2, 5, species="deer"), row(0, 6, deployment="d3", day="01")]
    found = survey(tmp_path, rows, formula=("species + size",))
    assert found.columns["species"].values == ("fox", "deer", "fox")
    assert found.columns["size"].values == ("3", "1", "1")
    with pytest.raises(InputError, match=r"has no column 'bait', which --formula or --by names; there are"):
        survey(tmp_path, rows, by="bait", species="all")


def test_only_the_requested_species_counts(tmp_path):
    rows = [row(0, 4), row(2, 5, species="deer")]
    with pytest.raises(InputError, match="there are 2 species, 'deer', 'fox'"):
        survey(tmp_path, rows)
    assert survey(tmp_path, rows, species="deer").distance_m.ravel().tolist() == [5]
    assert survey(tmp_path, rows, species="all").distance_m.ravel().tolist() == [4, 5]


def test_a_table_of_deployments_replaces_that_of_the_package(tmp_path):
    table = tmp_path / "deployments.csv"
    text = "site_id,start,end,theta_deg,snapshot_s,hour\nS1,2024-05-01T00:00:00Z,2024-06-03T00:00:00Z,55,10,\n"
    table.write_text(text)
    with pytest.raises(InputError, match="has no deployment of site 'd3'; it has 'S1'"):
        survey(tmp_path, [row(0, 4)], deployments=table)
    table.write_text(text + "d3,2024-05-01T00:00:00Z,2024-05-02T00:00:00Z,55,10,\n")
    found = survey(tmp_path, [row(0, 4)], deployments=table)
    assert found.multiplier == pytest.approx(55 / 360)
    assert found.notes[:-1] == (
        f"{table}: the column 'hour' is ignored; rename it 'hours' if that is what you mean",
        "theta_deg = 42 was not used: deployments.csv has a value in each row",
        "snapshot_s = 2 was not used: deployments.csv has a value in each row",
    )
    assert "without any media, 2.9% of the effort: 'd3' from 2024-05-01 00:00" in found.notes[-1]


def test_repeated_observations_are_refused(tmp_path):
    rows = [row(0, 4), row(2, 5)]
    with pytest.raises(InputError, match=r"observations\.csv, lines 2 and 4: observationID 'o\d+' appears twice"):
        survey(tmp_path, [*rows, rows[0].replace("fox", "cat")])


def test_packages_without_distances_or_angle_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"no measured animal counts \(0 were measured\)"):
        survey(tmp_path, [row(0, "")])
    with pytest.raises(
        InputError, match=r"deployments\.csv, line 2: expected a number above 0 in the column 'theta_deg'"
    ):
        survey(tmp_path, [row(0, 4)], theta_deg=None)


def test_people_never_count(tmp_path):
    rows = [row(0, 4), row(2, 5, species="Homo sapiens"), row(4, 6, species="red fox")]
    assert survey(tmp_path, rows).distance_m.ravel().tolist() == [4, 6]
    assert survey(tmp_path, rows, species="Vulpes vulpes").distance_m.ravel().tolist() == [4, 6]
