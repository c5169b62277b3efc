"""Surveys from flat files of R and from distances.csv: what counts, what is refused, and in which words."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from density.surveys import deployments_text, distances_rows, flat_text, write_distances_rows
from trapmeter.density.survey.flat_file import rows_from_survey, survey_from_rows
from trapmeter.density.survey.measured_distances import MeasuredDistancesSettings, read_measured_survey
from trapmeter.density.survey.survey import Station, Survey
from trapmeter.errors import InputError
from trapmeter.tables.flatfile import read_flat_file, write_flat_file

HEADER = "Region.Label,Area,multiplier,Sample.Label,Effort,distance,species\n"


@pytest.fixture
def flat(tmp_path):
    def read(text, species_column=None, **options):
        path = tmp_path / "flat.csv"
        path.write_text(text)
        return survey_from_rows(read_flat_file(path, species_column), **options)

    return read


def test_stations_without_detections_stay(flat):
    survey = flat(flat_text(n_stations=5))
    assert [camera.station_id for camera in survey.stations] == ["s0", "s1", "s2", "s3", "s4"]
    assert [station.n > 0 for station in survey.count_detections(0, 10)] == [True, True, True, True, False]
    assert survey.multiplier == 1
    assert "taken to see a full circle" in survey.notes[0]
    assert flat(flat_text(), multiplier=0.1).multiplier == pytest.approx(0.1)


def test_other_species_rows_still_tell_of_their_station(flat):
    text = HEADER + "n,1,0.1,a,10,3,fox\nn,1,0.1,b,10,4,cat\nn,1,0.1,b,10,5,fox\n"
    survey = flat(text, "species", species="cat")
    assert [(one.station_id, one.n) for one in survey.count_detections(0, 10)] == [("a", 0), ("b", 1)]
    assert len(flat(text, "species", species="all").distance_m) == 3


def test_one_label_in_two_regions_is_two_stations_unless_strata_are_put_together(flat):
    text = HEADER + "n,1,0.1,1,10,3,\ns,1,0.1,1,10,4,\n"
    assert [camera.station_id for camera in flat(text).stations] == ["n/1", "s/1"]
    together = flat(text, has_strata=False)
    assert [(camera.station_id, camera.stratum) for camera in together.stations] == [("1", "")]
    assert "2 stations of all regions share 1 labels" in together.notes[0]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("n,1,0.1,a,10,3,\nn,1,0.1,a,11,4,\n", r"line 3, column 'Effort': .*station 'a', got 11 after 10 in .*line 2"),
        ("n,1,0.1,a,10,3,\nn,1,0.2,a,10,4,\n", r"line 3, column 'multiplier': .*got 0.2 after 0.1"),
        ("n,1,0.1,a,10,3,\nn,2,0.1,b,10,4,\n", r"line 3, column 'Area': .*rows of 'n', got 2 after 1"),
        ("n,1,0.1,a,10,NA,\nn,1,0.1,b,10,NA,\n", r"flat.csv has no detection in 2 rows"),
        ("", r"has no rows"),
    ],
)
def test_rows_that_contradict_each_other_are_named(flat, rows, message):
    with pytest.raises(InputError, match=message):
        flat(HEADER + rows)


def test_a_survey_comes_back_from_its_flat_file(flat, tmp_path):
    survey = flat(flat_text())
    write_flat_file(tmp_path / "again.csv", rows_from_survey(survey))
    again = survey_from_rows(read_flat_file(tmp_path / "again.csv"))
    assert again.stations == survey.stations
    assert again.notes == ()
    assert sorted(again.distance_m.ravel()) == sorted(survey.distance_m.ravel())
    assert again.areas == survey.areas


def test_rows_without_a_multiplier_take_that_of_all_others(flat):
    text = HEADER + "a,1,0.1,s,10,3,\na,1,0.1,t,10,4,\na,1,NA,u,10,NA,\n"
    survey = flat(text)
    assert [camera.multiplier for camera in survey.stations] == [0.1, 0.1, 0.1]
    assert survey.notes == ("rows without a multiplier take that of all others",)
    assert [camera.multiplier for camera in flat(text, multiplier=0.2).stations] == [0.1, 0.1, 0.2]
    with pytest.raises(
        InputError, match=r"line 4, column 'multiplier'.* got NA, and other rows tell several, as 0.1 and 0.2"
    ):
        flat(text.replace("0.1,t", "0.2,t"))


@pytest.mark.parametrize(("multiplier", "is_odd"), [(0.733 / 360, True), (42 / 360, False), (1, False)])
def test_radians_in_place_of_degrees_are_said(flat, multiplier, is_odd):
    survey = flat(HEADER + f"a,1,{multiplier},s,10,3,\na,1,{multiplier},t,10,4,\n")
    assert ("is an angle of 0.733 degrees, which looks like radians" in " ".join(survey.notes)) == is_odd


def test_areas_of_some_strata_alone_are_not_written():
    cameras = (Station("a", 100, stratum="n"), Station("b", 100, stratum="s"))
    survey = Survey(cameras, np.array([0, 1]), np.array([[2.0], [3.0]]), {"n": 5.0})
    assert [row.area for row in rows_from_survey(survey)] == [0, 0]
    assert [row.area for row in rows_from_survey(replace(survey, areas={"n": 5.0, "s": 2.0}))] == [5, 2]


def test_a_wider_camera_counts_as_more_effort():
    survey = Survey((Station("a", 100, 0.1), Station("b", 100, 0.3)), np.array([0, 1]), np.array([[2.0], [3.0]]))
    assert survey.multiplier == pytest.approx(0.2)
    assert survey.efforts().tolist() == pytest.approx([50, 150])


@pytest.fixture
def measured(tmp_path):
    def read(rows, deployments, **options):
        path = write_distances_rows(tmp_path / "distances.csv", rows)
        (tmp_path / "deployments.csv").write_text(deployments)
        return read_measured_survey(
            path, MeasuredDistancesSettings(deployments=tmp_path / "deployments.csv", **options)
        )

    return read


def test_effort_comes_from_deployments_and_draws_from_distances(measured):
    survey = measured(distances_rows(), deployments_text(snapshot_s=1, hours="06:00-18:00"))
    assert len(survey.stations) == 7
    assert survey.stations[0].effort_snapshots == 10 * 12 * 3600
    assert survey.multiplier == pytest.approx(42 / 360)
    assert survey.distance_m.shape == (240, 10)
    assert survey.hours == ((6, 18),)
    assert survey.count_detections(0, 100)[6].n == 0
    points = measured(distances_rows(), deployments_text(), uses_draws=False)
    assert points.distance_m.shape == (240, 1)
    assert "distance_m is taken as if it were true" in points.notes[-1]


def test_only_snapshots_count_and_an_animal_once(measured):
    rows = distances_rows()
    survey = measured([*rows, rows[0]], deployments_text(snapshot_s=2))
    assert len(survey.distance_m) == 120
    assert "120 of 241 measured animals left out: at moments between two snapshots" in survey.notes[0]
    assert "1 of 121 measured animals left out: second rows" in survey.notes[1]


def test_animals_that_react_are_left_out_and_those_outside_of_deployments(measured, tmp_path):
    (tmp_path / "react.csv").write_text("media_id,animal_id\nS0/a.mp4,1\n")
    times = [
        "media_id,start",
        *(f"S{n}/a.mp4,2024-05-0{n + 1}T12:00:00" for n in range(1, 6)),
        "S0/a.mp4,2023-01-01T00:00:00",
    ]
    (tmp_path / "times.csv").write_text("\n".join(times))
    survey = measured(distances_rows(), deployments_text(), leave_out=tmp_path / "react.csv")
    assert len(survey.distance_m) == 200
    assert "names in react.csv" not in " ".join(survey.notes)
    survey = measured(distances_rows(), deployments_text(hours="11:00-13:00"), media_times=tmp_path / "times.csv")
    assert len(survey.distance_m) == 200
    with pytest.raises(InputError, match="no measured animal that counts"):
        measured(distances_rows(), deployments_text(hours="01:00-02:00"), media_times=tmp_path / "times.csv")


def test_photos_are_said_to_count_each(measured):
    rows = distances_rows()
    photos = [{**row, "media_id": f"{number}.jpg", "time_s": "0"} for number, row in enumerate(rows)]
    said = "every medium has one moment, as photos have"
    assert said in " ".join(measured(photos, deployments_text()).notes)
    assert said not in " ".join(measured(rows, deployments_text()).notes)


@pytest.mark.parametrize(
    ("times_s", "snapshot_s", "n"),
    [
        ([0.1 * number for number in range(31)], 0.3, 11),
        ([round(number / 3, 6) for number in range(31)], 1, 11),
        # As a table of times may give them: every frame at 30 a second, or what somebody looked up between snapshots.
        ([round(number / 30, 3) for number in range(61)], 1, 3),
        ([0, 0.7, 2, 4], 2, 3),
    ],
)
def test_moments_on_every_snapshot_are_taken(measured, times_s, snapshot_s, n):
    rows = [{**distances_rows()[0], "time_s": str(time_s)} for time_s in times_s]
    assert len(measured(rows, deployments_text(snapshot_s=snapshot_s)).distance_m) == n


def one_moment_each(suffix):
    return [
        {**row, "media_id": f"{number}{suffix}", "time_s": "0", "site_id": f"S{number % 3}"}
        for number, row in enumerate(distances_rows(3))
    ]


@pytest.mark.parametrize(
    ("arguments", "snapshot_s", "message"),
    [
        ({"every_s": 2.0, "times": None}, 1, "moments of site 'S0' lie 2 s apart, .* every 1 s; .* snapshot_s = 2"),
        ({"every_s": 2.0, "times": None}, 5, "give snapshot_s = 4 or 6"),
    ],
)
def test_videos_no_longer_than_the_spacing_are_told_by_their_run(measured, tmp_path, arguments, snapshot_s, message):
    (tmp_path / "run.json").write_text(json.dumps({"run": {"arguments": arguments}}))
    with pytest.raises(InputError, match=message):
        measured(one_moment_each(".mp4"), deployments_text(snapshot_s=snapshot_s))
    assert "once" not in " ".join(measured(one_moment_each(".mp4"), deployments_text(snapshot_s=4)).notes)
    assert len(measured(one_moment_each(".jpg"), deployments_text(snapshot_s=snapshot_s)).distance_m) == 120


@pytest.mark.parametrize("facts", [None, {"arguments": {"every_s": 2.0, "times": "times.csv"}}])
def test_videos_of_one_moment_each_are_said_where_no_run_tells(measured, tmp_path, facts):
    if facts is not None:
        (tmp_path / "run.json").write_text(json.dumps(facts))
    notes = " ".join(measured(one_moment_each(".mp4"), deployments_text(snapshot_s=1)).notes)
    assert "effort counts a snapshot every 1 s, but each video of site 'S0' and 2 others was looked at once" in notes
    assert "as photos have" not in notes


def test_names_of_animals_that_are_left_out_but_nowhere_are_said(measured, tmp_path):
    (tmp_path / "react.csv").write_text("media_id,animal_id\nS0/a.mp4,1\nS0/A.mp4,1\nS1/a.mp4,77\n")
    survey = measured(distances_rows(), deployments_text(), leave_out=tmp_path / "react.csv")
    assert len(survey.distance_m) == 200
    assert "2 of 3 names in react.csv are of no row of the distances, as S0/A.mp4, animal 1" in " ".join(survey.notes)


def test_species_by_column(measured):
    rows = [{**row, "species": "fox" if row["site_id"] == "S1" else "cat"} for row in distances_rows()]
    assert len(measured(rows, deployments_text(), species="fox").distance_m) == 40
    assert len(measured(rows, deployments_text(), species="all").distance_m) == 240
    with pytest.raises(InputError, match="there are 2 species, 'cat', 'fox'; choose one"):
        measured(rows, deployments_text())
    with pytest.raises(InputError, match="no detection of 'cow'"):
        measured(rows, deployments_text(), species="cow")
    with pytest.raises(InputError, match="has no column 'Art' for the species; there are 'media_id', "):
        measured(rows, deployments_text(), species_column="Art")


@pytest.mark.parametrize(
    ("deployments", "message"),
    [
        (deployments_text(n_sites=3), r"at site 'S3', of which .*deployments.csv has no deployment; there are 'S0'"),
        (deployments_text(snapshot_s=0.5), r"moments of site 'S0' lie 1 s apart, .* every 0.5 s"),
        (
            deployments_text(snapshot_s=1.5),
            r"lie 1 s apart, .* every 1.5 s, .* give snapshot_s = 1 or 2, multiples of 1",
        ),
        (deployments_text(theta=0.73), r"line 2, column 'theta_deg': .*looks like radians"),
        (deployments_text(theta=""), r"line 2: expected a number above 0 in the column 'theta_deg', got nothing"),
        (deployments_text(theta=400), r"up to 360 degrees, got 400"),
        (deployments_text(n_sites=0), r"has no rows"),
        (
            deployments_text() + deployments_text(1).split("\n", 1)[1],
            r"starts before the site's deployment of line 2 ends",
        ),
    ],
)
def test_deployments_that_don_t_fit_are_refused(measured, deployments, message):
    with pytest.raises(InputError, match=message):
        measured(distances_rows(), deployments)
