from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from density.surveys import flat_text
from trapmeter.density.survey.flat_file import availability_from_rows, rows_from_survey, survey_from_rows
from trapmeter.density.survey.survey import Availability, Station, Survey
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


def test_stations_without_detections_are_kept(flat):
    survey = flat(flat_text(n_stations=5))
    assert [station.station_id for station in survey.stations] == ["s0", "s1", "s2", "s3", "s4"]
    assert [station.n > 0 for station in survey.count_detections(0, 10)] == [True, True, True, True, False]
    assert survey.multiplier == 1
    assert "assumed to cover a full circle" in survey.notes[0]
    assert flat(flat_text(), multiplier=0.1).multiplier == pytest.approx(0.1)


def test_rows_of_other_species_still_count_for_their_station(flat):
    text = HEADER + "n,1,0.1,a,10,3,fox\nn,1,0.1,b,10,4,cat\nn,1,0.1,b,10,5,fox\n"
    survey = flat(text, "species", species="cat")
    assert [(station.station_id, station.n) for station in survey.count_detections(0, 10)] == [("a", 0), ("b", 1)]
    assert len(flat(text, "species", species="all").distance_m) == 3


def test_one_label_in_two_regions_is_two_stations_unless_strata_are_merged(flat):
    text = HEADER + "n,1,0.1,1,10,3,\ns,1,0.1,1,10,4,\n"
    assert [station.station_id for station in flat(text).stations] == ["n/1", "s/1"]
    together = flat(text, has_strata=False)
    assert [(station.station_id, station.stratum) for station in together.stations] == [("1", "")]
    assert "2 stations of all regions share 1 labels" in together.notes[0]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("n,1,0.1,a,10,3,\nn,1,0.1,a,11,4,\n", r"line 3, column 'Effort': .*station 'a', got 11 after 10 in .*line 2"),
        ("n,1,0.1,a,10,3,\nn,1,0.2,a,10,4,\n", r"line 3, column 'multiplier': .*got 0.2 after 0.1"),
        ("n,1,0.1,a,10,3,\nn,2,0.1,b,10,4,\n", r"line 3, column 'Area': .*rows of stratum 'n', got 2 after 1"),
        ("n,1,0.1,a,10,NA,\nn,1,0.1,b,10,NA,\n", r"flat.csv has no detection in 2 rows"),
        ("", r"has no rows"),
    ],
)
def test_rows_that_contradict_each_other_are_refused_with_both_lines(flat, rows, message):
    with pytest.raises(InputError, match=message):
        flat(HEADER + rows)


def test_a_survey_survives_its_flat_file(flat, tmp_path):
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
    assert [station.multiplier for station in survey.stations] == [0.1, 0.1, 0.1]
    assert survey.notes == ("rows without a multiplier take that of all others",)
    assert [station.multiplier for station in flat(text, multiplier=0.2).stations] == [0.1, 0.1, 0.2]
    with pytest.raises(
        InputError, match=r"line 4, column 'multiplier'.* got NA, and other rows differ, such as 0.1 and 0.2"
    ):
        flat(text.replace("0.1,t", "0.2,t"))


@pytest.mark.parametrize(("multiplier", "has_note"), [(0.733 / 360, True), (42 / 360, False), (1, False)])
def test_radians_instead_of_degrees_are_noted(flat, multiplier, has_note):
    survey = flat(HEADER + f"a,1,{multiplier},s,10,3,\na,1,{multiplier},t,10,4,\n")
    assert ("is an angle of 0.733 degrees, which looks like radians" in " ".join(survey.notes)) == has_note


def test_areas_are_written_only_if_all_are_known():
    stations = (Station("a", 100, stratum="n"), Station("b", 100, stratum="s"))
    survey = Survey(stations, np.array([0, 1]), np.array([[2.0], [3.0]]), {"n": 5.0})
    assert [row.area for row in rows_from_survey(survey)] == [0, 0]
    assert [row.area for row in rows_from_survey(replace(survey, areas={"n": 5.0, "s": 2.0}))] == [5, 2]


@pytest.mark.parametrize(("cells", "availability"), [(("", ""), None), (("0.4", "0.4"), Availability(0.4))])
def test_availability_is_one_number_for_all_rows(tmp_path, cells, availability):
    path = tmp_path / "flat.csv"
    path.write_text("Sample.Label,Effort,distance,availability\n" + "".join(f"s,10,3,{cell}\n" for cell in cells))
    assert availability_from_rows(read_flat_file(path, None)) == availability


def test_different_availabilities_are_refused(tmp_path):
    path = tmp_path / "flat.csv"
    path.write_text("Sample.Label,Effort,distance,availability\ns,10,3,0.4\ns,10,3,0.5\n")
    with pytest.raises(InputError, match=r"line 3, column 'availability': .* got 0.4 and 0.5"):
        availability_from_rows(read_flat_file(path, None))
