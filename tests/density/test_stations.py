from __future__ import annotations

import math

import pytest

from trapmeter.density.stations import Station, count_by_station
from trapmeter.errors import InputError

EFFORT = {"a": 100.0, "b": 50.0, "c": 10.0}


def test_stations_without_detections_are_kept():
    stations = count_by_station(
        ["a", "b", "a", "b"], [2.0, 1.9, 15.0, 15.1], EFFORT, left_m=2, right_m=15, weights=[1, 1, 0.25, 1]
    )
    assert stations == [Station("a", 100, 1.25), Station("b", 50, 0), Station("c", 10, 0)]
    assert count_by_station([], [], EFFORT, right_m=15) == [Station(name, effort, 0) for name, effort in EFFORT.items()]


def test_strata_are_told():
    stations = count_by_station(["a"], [3.0], EFFORT, right_m=15, strata={"a": "north", "b": "south", "c": "south"})
    assert [station.stratum for station in stations] == ["north", "south", "south"]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: count_by_station(["d"], [3.0], EFFORT, right_m=15), "no effort is given for station 'd'"),
        (lambda: count_by_station(["a"], [3.0, 4.0], EFFORT, right_m=15), "got 1 for 2 distances"),
        (lambda: count_by_station(["a"], [-3.0], EFFORT, right_m=15), "got 1 others, as -3"),
        (lambda: count_by_station(["a"], [3.0], EFFORT, left_m=15, right_m=15), "left < right"),
        (
            lambda: count_by_station(["a"], [3.0], EFFORT, right_m=15, strata={"a": "x", "c": "x"}),
            "station 'b' has no stratum",
        ),
        (lambda: count_by_station(["a"], [3.0], {"a": 0.0}, right_m=15), "station 'a' has an effort of 0 snapshots"),
        (lambda: Station("a", -1, 0), "expected more than 0"),
        (lambda: Station("a", math.nan, 0), "expected more than 0"),
        (lambda: Station("a", 1, -1), "-1 detections"),
    ],
)
def test_bad_stations_are_refused(make, message):
    with pytest.raises(InputError, match=message):
        make()
