from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import pytest

from trapmeter.density.survey.silence import SilenceRule, judge_silence, regular_gap_s
from trapmeter.tables.deployments import Deployment

START = datetime(2024, 5, 1)
HOUR = timedelta(hours=1)


def deployment(days: float = 20, snapshot_s: float | None = None) -> Deployment:
    return Deployment("t.csv, line 2", "S1", START, START + timedelta(days=days), 42, snapshot_s, (), "", None)


def judge(times: list[datetime], rule: SilenceRule = SilenceRule.CLEAR, snapshot_s: float | None = None):
    return judge_silence([deployment(snapshot_s=snapshot_s)], {"S1": times}, rule, snapshot_s=None, is_photos=True)


def days(found: list[Deployment]) -> float:
    return found[0].working_s() / 86_400


@pytest.mark.parametrize(
    ("gaps_s", "expected"),
    [
        ([], None),
        ([3600.0] * 9, None),
        ([3600.0] * 30, 3600.0),
        ([3600.0] * 30 + [90_000.0], 3600.0),
        ([3600.0, 600.0, 3000.0] * 10, 3600.0),  # one trigger in every other hour
        (np.random.default_rng(1).exponential(3600, 300).tolist(), None),
    ],
)
def test_a_rhythm_is_found_among_triggers(gaps_s: list[float], expected: float | None) -> None:
    assert regular_gap_s(gaps_s) == expected


def test_a_time_lapse_camera_that_stopped_gives_no_effort() -> None:
    times = [START + number * HOUR for number in range(1, 121)]  # five of twenty days
    found, notes = judge(times, snapshot_s=3600)
    assert days(found) == pytest.approx(5 + 1 / 24)
    assert "1 stretches without the regular pictures, 75.0% of the effort: 'S1' from 2024-05-06 01:00" in notes[0]
    found, notes = judge(times, SilenceRule.NONE, snapshot_s=3600)
    assert days(found) == 20
    assert "They count as effort" in notes[0]


def test_silence_of_a_motion_triggered_camera_is_named_and_left_out_only_if_told() -> None:
    rng = np.random.default_rng(2)
    times = [START + timedelta(days=float(day)) for day in np.sort(rng.uniform(0, 6, 60))]
    found, notes = judge(times)
    assert days(found) == 20
    assert "1 unusually long stretches without any media" in notes[0]
    assert "--silence all" in notes[0]
    assert days(judge(times, SilenceRule.ALL)[0]) == pytest.approx(6, abs=0.3)


def test_ordinary_gaps_are_not_named() -> None:
    rng = np.random.default_rng(3)
    times = [START + timedelta(days=float(day)) for day in np.sort(rng.uniform(0, 20, 60))]
    assert judge(times) == ([deployment()], ())


def test_a_site_without_media_is_named() -> None:
    found, notes = judge([])
    assert days(found) == 20
    assert "100.0% of the effort" in notes[0]


def test_photographs_farther_apart_than_snapshots_are_noted() -> None:
    times = [START + number * HOUR for number in range(1, 480)]
    assert "come every 3,600 s, as those of a time-lapse camera, but" in " ".join(judge(times, snapshot_s=2)[1])
    assert judge(times, snapshot_s=3600)[1] == ()
