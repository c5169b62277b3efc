from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trapmeter.density.survey.stays import CameraPhotographs, mean_blind_stay_s, measure_stays
from trapmeter.density.survey.triggers import Burst, TriggerTiming


def camera(*times_and_animals: tuple[float, float]) -> CameraPhotographs:
    times, animals = zip(*times_and_animals, strict=True)
    return CameraPhotographs(np.array(times, float), np.array(animals, float))


@given(st.floats(0.1, 300), st.floats(0.001, 0.999), st.floats(0, 5))
def test_the_blind_stay_lies_between_leaving_at_once_and_at_the_end(
    blind_s: float, staying: float, rate: float
) -> None:
    found = mean_blind_stay_s(blind_s, staying, rate)
    assert staying * blind_s * (1 - 1e-6) <= found <= blind_s
    assert found <= mean_blind_stay_s(blind_s, staying, 0.0) * (1 + 1e-6)


@given(st.floats(1, 200), st.floats(0.02, 2), st.floats(0.2, 20))
def test_the_curve_is_that_of_mixed_exponential_stays(blind_s: float, rate: float, shape: float) -> None:
    def staying(u: np.ndarray) -> np.ndarray:
        return (1 + rate * u / shape) ** -shape

    grid = np.linspace(0, blind_s, 20001)
    integral = float(np.sum((staying(grid)[1:] + staying(grid)[:-1]) / 2) * (grid[1] - grid[0]))
    share = float(staying(np.array(blind_s)))
    if share > 1e-3:
        assert mean_blind_stay_s(blind_s, share, rate) == pytest.approx(integral, rel=0.01)


def test_without_recovery_nothing_is_blind() -> None:
    assert mean_blind_stay_s(0.0, 0.5, 0.1) == 0.0


def test_photographs_of_a_burst_stand_for_the_gaps_between_them() -> None:
    alone = [camera((0, 1), (1, 1), (2, 0))] * 50
    stays = measure_stays(alone, TriggerTiming(Burst(3, 1), 0.0))
    assert stays.seconds[0].tolist() == pytest.approx([0.5, 1.0, 0.5])
    assert stays.lost_s == (0.0,) * 50


def test_an_animal_that_stays_is_counted_for_all_of_its_time() -> None:
    # A visit of 100 bursts: what its end stands for hardly matters.
    times = [(start + number, 1.0) for start in range(0, 1200, 12) for number in range(3)]
    stays = measure_stays([camera(*times)], TriggerTiming(Burst(3, 1), 10.0))
    assert float(stays.seconds[0].sum()) == pytest.approx(1190, rel=0.01)
    assert stays.staying == pytest.approx(0.99)


def test_time_after_triggers_without_an_animal_is_lost() -> None:
    seen = camera((0, 0), (1, 0), (2, 0), (500, 1), (501, 1), (502, 1), (900, 0), (901, 0), (902, 0), (908, 0))
    stays = measure_stays([seen], TriggerTiming(Burst(3, 1), 30.0))
    assert stays.lost_s == (32.0 + 8.0 + 32.0,)


def test_cameras_without_photographs_or_animals_are_possible() -> None:
    none = CameraPhotographs(np.zeros(0), np.zeros(0))
    stays = measure_stays([none, camera((0, 0))], TriggerTiming(Burst(1), 5.0))
    assert [len(seconds) for seconds in stays.seconds] == [0, 1]
    assert stays.lost_s == (0.0, 5.0)
    assert not math.isnan(stays.staying)
