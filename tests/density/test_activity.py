from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import i0

from trapmeter.density.activity import N_GRID, activity_curve, fit_activity, kernel_concentration
from trapmeter.errors import InputError


def von_mises_hours(kappa, n, seed=0):
    return np.random.default_rng(seed).vonmises(0, kappa, n) / (2 * np.pi) * 24 % 24


def test_the_active_share_of_a_known_curve_is_recovered():
    # A von Mises density of concentration k has the mean 1 / (2 pi) and the peak exp(k) / (2 pi I0(k)).
    for kappa in (0.5, 2.0):
        found = fit_activity(von_mises_hours(kappa, 4000))
        assert found.share == pytest.approx(i0(kappa) / math.exp(kappa), rel=0.06)
    assert 0.005 < found.se < 0.05
    assert found.n == 4000


@pytest.mark.parametrize("dusk", [18.0, 19.0, 22.0])
def test_crepuscular_animals_have_two_peaks(dusk):
    # Peaks on opposite sides of the day have no mean direction, but must not look like animals active all day.
    rng = np.random.default_rng(3)
    hours = np.where(rng.random(2000) < 0.5, rng.normal(7, 1.5, 2000), rng.normal(dusk, 2, 2000)) % 24
    peak = 0.5 / (1.5 * math.sqrt(2 * math.pi))
    assert fit_activity(hours, replicates=2).share == pytest.approx(1 / 24 / peak, rel=0.1)


def test_animals_active_all_day_have_a_share_near_1():
    assert fit_activity(np.random.default_rng(1).uniform(0, 24, 2000)).share > 0.9


def test_operating_only_in_busy_hours_raises_the_share():
    hours = von_mises_hours(2.0, 2000)
    all_day, busy = fit_activity(hours), fit_activity(hours, operating_hours={((21.0, 3.0),): 1.0})
    assert busy.share > 1.5 * all_day.share


def test_times_from_few_stations_are_less_certain_than_independent_times():
    rng = np.random.default_rng(2)
    peaks = rng.uniform(0, 24, 8)
    hours = (np.repeat(peaks, 50) + rng.normal(0, 1, 400)) % 24
    stations = [str(number) for number in np.repeat(np.arange(8), 50)]
    assert fit_activity(hours, stations).se > 1.5 * fit_activity(hours).se


@settings(max_examples=25)
@given(st.lists(st.floats(0, 23.99), min_size=20, max_size=60))
def test_any_times_give_a_density(hours):
    found = fit_activity(hours, replicates=2)
    assert found.density.mean() * 24 == pytest.approx(1)
    assert (found.density >= 0).all()
    assert 0 < found.share <= 1


def test_more_times_give_narrower_kernels():
    angle = 2 * np.pi * np.arange(N_GRID) / N_GRID
    counts = np.exp(np.cos(angle))
    assert kernel_concentration(angle, 100 * counts) > kernel_concentration(angle, counts)
    assert activity_curve(counts).argmax() == 0


@pytest.mark.parametrize(
    ("hours", "message"),
    [([1.0] * 5, "5 times of day are too few"), ([25.0] * 30, "up to 24 hours, got 25"), ([math.nan] * 30, "up to 24")],
)
def test_invalid_times_are_refused(hours, message):
    with pytest.raises(InputError, match=message):
        fit_activity(hours)


DAY = ((6.5, 18.0),)


def day_hours(n=400, seed=5):
    """Times of animals that are active alike from 6:30 to 18:00, and never else."""
    return np.random.default_rng(seed).uniform(6.5, 18, n)


def test_availability_is_relative_to_the_hours_of_the_effort():
    all_day, day = fit_activity(day_hours()), fit_activity(day_hours(), operating_hours={DAY: 1.0})
    # As R's activity: its share of the day, divided by the share of the day in which cameras work.
    assert day.share == pytest.approx(all_day.share * 24 / 11.5)
    assert day.se == pytest.approx(all_day.se * 24 / 11.5, rel=0.2)


def test_cameras_with_different_hours_count_by_their_snapshots():
    alone = [fit_activity(day_hours(), operating_hours={hours: 7.0}).share for hours in (DAY, ())]
    both = fit_activity(day_hours(), operating_hours={DAY: 3.0, (): 1.0})
    assert both.share == pytest.approx(0.75 * alone[0] + 0.25 * alone[1])


def test_times_outside_the_hours_are_counted_and_refused_if_they_are_most():
    times = [*day_hours(), *[20.5] * 30]
    assert fit_activity(times, operating_hours={DAY: 1.0}).n_outside == 30
    assert fit_activity(times).n_outside == 0
    with pytest.raises(InputError, match="400 of 430 times of day lie outside the hours"):
        fit_activity(times, operating_hours={((20.0, 4.0),): 1.0})


def test_a_long_part_of_the_day_without_times_is_told():
    first, last = fit_activity(day_hours()).seen
    assert (first, last) == pytest.approx((6.5, 18), abs=0.2)
    night = fit_activity((day_hours() + 12) % 24).seen
    assert night == pytest.approx((18.5, 6), abs=0.2)
    assert fit_activity(np.linspace(0, 23.9, 100)).seen is None
