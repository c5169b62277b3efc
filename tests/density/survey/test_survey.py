from __future__ import annotations

import math

import numpy as np
import pytest

from trapmeter.density.survey.survey import (
    Availability,
    Station,
    StationCounts,
    Survey,
    check_effort_of_detections,
    circle_share,
)
from trapmeter.errors import InputError


@pytest.mark.parametrize(("theta_deg", "share"), [(42, 42 / 360), (360, 1), (7, 7 / 360)])
def test_the_circle_share_is_the_angle_over_360(theta_deg, share):
    assert circle_share(theta_deg) == pytest.approx(share)


def test_a_wider_camera_counts_as_more_effort():
    survey = Survey((Station("a", 100, 0.1), Station("b", 100, 0.3)), np.array([0, 1]), np.array([[2.0], [3.0]]))
    assert survey.multiplier == pytest.approx(0.2)
    assert survey.efforts().tolist() == pytest.approx([50, 150])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: StationCounts("a", -1, 0), "expected more than 0"),
        (lambda: StationCounts("a", math.nan, 0), "expected more than 0"),
        (lambda: StationCounts("a", 1, -1), "-1 detections"),
        (lambda: Station("a", 0), "station 'a' has an effort of 0 snapshots"),
        (lambda: Station("a", 1, 42), "station 'a' covers 42 of a circle"),
        (lambda: circle_share(0.733), r"in degrees, got 0.733, which looks like radians; give 42 if so"),
        (lambda: circle_share(0), "above 0 and up to 360"),
        (lambda: circle_share(-42), "above 0 and up to 360"),
        (lambda: circle_share(361), "above 0 and up to 360"),
        (lambda: Availability(0), "an availability above 0"),
        (lambda: Availability(0.5, -0.1), "standard error"),
    ],
)
def test_invalid_stations_angles_and_availabilities_are_refused(make, message):
    with pytest.raises(InputError, match=message):
        make()


@pytest.mark.parametrize(
    ("effort", "multiplier", "message"),
    [
        (10, 0.1, "has 25 detections in an effort of 10 snapshots.* days become 432,000 .* hours 18,000"),
        (24.99, 0.1, "has 25 detections"),
        (240, 0.1, None),
        (499, 0.1, None),
    ],
)
def test_effort_in_days_or_hours_is_refused_or_noted(effort, multiplier, message):
    survey = Survey((Station("C1", effort, multiplier),), np.zeros(25, np.intp), np.full((25, 1), 3.0))
    if message is None:
        (note,) = check_effort_of_detections(survey, "flat.csv")
        assert f"flat.csv: station 'C1' has 25 detections in an effort of {effort:g} snapshots" in note
    else:
        with pytest.raises(InputError, match=message):
            check_effort_of_detections(survey, "flat.csv")


def test_usual_effort_and_visits_to_points_say_nothing():
    for effort, multiplier in ((500, 0.1), (432_000, 0.1), (1, 1.0)):
        survey = Survey((Station("C1", effort, multiplier),), np.zeros(25, np.intp), np.full((25, 1), 3.0))
        assert check_effort_of_detections(survey, "flat.csv") == ()
