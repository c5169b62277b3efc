from __future__ import annotations

import math

import pytest

from trapmeter.density.survey.survey import StationCounts
from trapmeter.errors import InputError


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: StationCounts("a", -1, 0), "expected more than 0"),
        (lambda: StationCounts("a", math.nan, 0), "expected more than 0"),
        (lambda: StationCounts("a", 1, -1), "-1 detections"),
    ],
)
def test_bad_stations_are_refused(make, message):
    with pytest.raises(InputError, match=message):
        make()
