from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from trapmeter.density.detection.distances import bin_distances
from trapmeter.density.detection.fit import fit_detection
from trapmeter.density.detection.function import detection_function
from trapmeter.density.estimate import estimate_density, estimate_encounter_rate, lognormal_interval
from trapmeter.density.survey.survey import Availability, StationCounts
from trapmeter.errors import InputError

R = np.array([1.0, 2.5, 2.6, 3.0, 4.0, 4.5, 6.0, 7.0, 9.0, 3.3])
FIT = fit_detection(detection_function("half-normal"), bin_distances(R, [0, 2, 4, 6, 10]))
STATIONS = [StationCounts("a", 1000, 7), StationCounts("b", 2000, 3), StationCounts("c", 3000, 0)]


def test_density_agrees_with_the_formulas():
    found = estimate_density(FIT, STATIONS, multiplier=42 / 360)
    # Howe et al. (2017): 2 t sum(n) / (theta w^2 sum(T) Pa), theta in radians and T / t snapshots.
    expected = 2 * 10 / (math.radians(42) * 10**2 * 6000 * FIT.pa) * 1e6
    assert found.density_km2 == pytest.approx(expected, rel=1e-12)
    assert (found.n, found.n_stations, found.effort_snapshots) == (10, 3, 6000)
    rates = np.array([7 / 1000, 3 / 2000, 0])
    assert found.encounter_cv == pytest.approx(rates.std(ddof=1) / math.sqrt(3) / (10 / 6000))
    assert found.detection_cv == pytest.approx(FIT.pa_se / FIT.pa)
    assert found.cv == pytest.approx(math.hypot(found.encounter_cv, found.detection_cv))
    assert found.se_km2 == pytest.approx(found.cv * expected)
    df = found.cv**4 / (found.encounter_cv**4 / 2 + found.detection_cv**4 / 9)
    assert found.df == pytest.approx(df)
    c = math.exp(stats.t.ppf(0.975, df) * math.sqrt(math.log(1 + found.cv**2)))
    assert (found.low_km2, found.high_km2) == pytest.approx((expected / c, expected * c))


def test_stations_without_detections_lower_the_density():
    more = [*STATIONS, StationCounts("d", 6000, 0)]
    assert estimate_density(FIT, more).density_km2 == pytest.approx(estimate_density(FIT, STATIONS).density_km2 / 2)


def test_the_rate_of_stations_with_equal_effort_has_the_variance_of_their_mean():
    rate = estimate_encounter_rate([StationCounts("a", 10, 4), StationCounts("b", 10, 1), StationCounts("c", 10, 1)])
    assert rate.rate == pytest.approx(0.2)
    assert rate.variance == pytest.approx(np.var([0.4, 0.1, 0.1], ddof=1) / 3)
    assert rate.df == 2


def test_availability_divides_density_and_adds_its_variance():
    plain = estimate_density(FIT, STATIONS)
    found = estimate_density(FIT, STATIONS, availability=Availability(0.4, 0.1))
    assert found.density_km2 == pytest.approx(plain.density_km2 / 0.4)
    assert found.availability_cv == pytest.approx(0.25)
    assert found.cv == pytest.approx(math.hypot(plain.cv, 0.25))
    assert found.df > plain.df


def test_strata_are_weighted_by_area():
    north = [StationCounts("a", 1000, 4, "north"), StationCounts("b", 2000, 1, "north")]
    south = [StationCounts("c", 500, 2, "south"), StationCounts("d", 500, 3, "south")]
    alone = [estimate_density(FIT, stations) for stations in (north, south)]
    areas = {"north": 30.0, "south": 10.0}
    found = estimate_density(FIT, north + south, areas_km2=areas)
    assert found.density_km2 == pytest.approx(0.75 * alone[0].density_km2 + 0.25 * alone[1].density_km2)
    parts = [share * part.density_km2 * part.encounter_cv for share, part in zip((0.75, 0.25), alone, strict=True)]
    assert found.encounter_cv == pytest.approx(math.hypot(*parts) / found.density_km2)
    assert found.cv == pytest.approx(math.hypot(found.encounter_cv, FIT.pa_cv))
    # Both share one detection function, so its uncertainty doesn't average out.
    assert found.detection_cv == pytest.approx(alone[0].detection_cv)
    with pytest.raises(InputError, match="got none above 0 for 'south'"):
        estimate_density(FIT, north + south, areas_km2={"north": 30.0})
    with pytest.raises(InputError, match="got none above 0 for 'north'"):
        estimate_density(FIT, north + south)


def test_a_lower_level_gives_a_narrower_interval():
    wide, narrow = estimate_density(FIT, STATIONS, level=0.95), estimate_density(FIT, STATIONS, level=0.5)
    assert wide.low_km2 < narrow.low_km2 < narrow.density_km2 < narrow.high_km2 < wide.high_km2
    assert lognormal_interval(10.0, 0.2, math.inf)[1] == pytest.approx(
        10 * math.exp(1.959964 * math.sqrt(math.log(1.04)))
    )


def test_an_unknown_detection_function_gives_an_unbounded_interval():
    found = estimate_density(replace(FIT, information=np.zeros((1, 1))), STATIONS)
    assert (found.low_km2, found.high_km2, found.df) == (0, math.inf, 0)
    assert found.density_km2 == estimate_density(FIT, STATIONS).density_km2


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: estimate_density(FIT, STATIONS[:1]), "needs at least 2 of them, got 1"),
        (lambda: estimate_density(FIT, []), "none of the 0 stations has a detection"),
        (lambda: estimate_density(FIT, STATIONS[2:]), "none of the 1 stations has a detection"),
        (lambda: estimate_density(FIT, STATIONS, multiplier=42), "divide degrees by 360"),
        (lambda: estimate_density(FIT, STATIONS, multiplier=0), "the multiplier covers 0 of a circle"),
        (lambda: estimate_density(FIT, STATIONS, level=95), "between 0 and 1"),
        (lambda: estimate_density(FIT, [*STATIONS, StationCounts("a", 1, 0)]), "station 'a' appears twice"),
        (
            lambda: estimate_density(FIT, [*STATIONS, StationCounts("d", 1, 1)]),
            "11 detections, but the detection function was fitted to 10",
        ),
    ],
)
def test_invalid_input_is_refused(make, message):
    with pytest.raises(InputError, match=message):
        make()
