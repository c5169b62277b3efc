from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trapmeter.density.survey.triggers import Burst, find_timing, group_bursts, parse_burst
from trapmeter.errors import InputError


def visits(burst: Burst, retrigger_s: float, n_visits: int = 40, seed: int = 1) -> list[float]:
    """Times of a camera that an animal visits every few hours, triggering it again and again."""
    rng = np.random.default_rng(seed)
    times, start = [], 0.0
    for _ in range(n_visits):
        start += rng.exponential(3 * 3600) + 600
        at = start
        for _ in range(1 + rng.geometric(0.4)):
            times += [at + number * burst.spacing_s for number in range(burst.n)]
            at += burst.length_s + retrigger_s + rng.exponential(2.0)
    return times


@pytest.mark.parametrize(
    ("text", "burst"),
    [
        ("3 x 1", Burst(3, 1)),
        ("3x0.5", Burst(3, 0.5)),
        (" 10 × 2 s ", Burst(10, 2)),
        ("1", Burst(1)),
        ("1 x 5", Burst(1)),
    ],
)
def test_bursts_are_read(text: str, burst: Burst) -> None:
    assert parse_burst(text) == burst
    assert parse_burst(str(burst)) == burst


@pytest.mark.parametrize("text", ["", "three", "3", "0 x 1", "3 x 0", "3 x -1", "3 x 1 x 2", "-3 x 1"])
def test_what_is_no_burst_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="expected the number of photographs of a trigger"):
        parse_burst(text)


@pytest.mark.parametrize("burst", [Burst(3, 1), Burst(5, 2), Burst(2, 0.5), Burst(1)], ids=str)
@pytest.mark.parametrize("retrigger_s", [5.0, 15.0, 60.0])
@pytest.mark.parametrize("in_whole_seconds", [False, True])
def test_the_timing_is_learnt_from_gaps(burst: Burst, retrigger_s: float, in_whole_seconds: bool) -> None:
    times = np.array(visits(burst, retrigger_s))
    timing, notes = find_timing([np.floor(times) if in_whole_seconds else times])
    assert timing.burst.n == burst.n
    assert timing.burst.spacing_s == pytest.approx(burst.spacing_s, abs=0.2)
    assert timing.retrigger_s == pytest.approx(retrigger_s, abs=1.2)
    assert notes == ()
    assert "learnt" in str(timing)


def test_what_is_told_is_not_learnt() -> None:
    timing, notes = find_timing([np.array(visits(Burst(3, 1), 5))], burst=Burst(3, 1), retrigger_s=5)
    assert "learnt" not in str(timing)
    assert timing.busy_s == 7
    assert notes == ()


def test_too_few_triggers_teach_nothing() -> None:
    with pytest.raises(InputError, match=r"have 0 triggers within 300 s of another.*give that .* --retrigger 5"):
        find_timing([np.arange(20) * 4000.0])
    assert find_timing([], burst=Burst(1), retrigger_s=5)[0].retrigger_s == 5


def test_a_recovery_time_that_triggers_contradict_is_refused() -> None:
    times = np.array(visits(Burst(3, 1), 5))
    with pytest.raises(InputError, match=r"--retrigger 60: \d+% of \d+ triggers come sooner .*the median gap is"):
        find_timing([times], burst=Burst(3, 1), retrigger_s=60)
    _, notes = find_timing([times], retrigger_s=7)
    assert "come sooner than 7 s" in " ".join(notes)


def test_a_burst_that_photographs_contradict_is_noted() -> None:
    times = np.array(visits(Burst(1), 20))
    _, notes = find_timing([times], burst=Burst(3, 1))
    assert "triggers have 3 photographs: give the times of all photographs" in " ".join(notes)


@given(
    st.lists(st.floats(0, 1e5, allow_nan=False), max_size=60),
    st.integers(1, 5),
    st.floats(0.1, 5),
)
def test_every_photograph_is_of_one_burst(times: list[float], n: int, spacing_s: float) -> None:
    burst = Burst(n, spacing_s if n > 1 else 0.0)
    starts = group_bursts(np.array(sorted(times)), burst)
    assert starts[:1] == [0][: len(times)]
    assert all(0 < after - before <= n for before, after in pairwise([*starts, len(times)]))
