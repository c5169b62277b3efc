"""The hours of the day that effort and availability count."""

from __future__ import annotations

import numpy as np
import pytest

from density.surveys import deployments_text, write_distances_survey, write_flat
from trapmeter.density.run import run_density
from trapmeter.errors import InputError

CHOICES = {"cutpoints": [0, 2, 4, 6, 8, 10], "key": "half-normal", "adjust": "none", "bootstrap": 0}


@pytest.fixture
def times(tmp_path):
    """Times of day from 6:30 to 18:00."""
    path = tmp_path / "times.csv"
    hours = np.random.default_rng(5).uniform(6.5, 18, 300)
    path.write_text("time\n" + "".join(f"{int(hour):02d}:{int(hour % 1 * 60):02d}\n" for hour in hours))
    return path


def density(run):
    return run.analysis.best.density.density_km2


def test_a_flat_file_is_told_its_hours(tmp_path, times):
    flat = write_flat(tmp_path)
    all_day = run_density(flat, activity=times, **CHOICES)
    told = run_density(flat, activity=times, hours="06:30-18:00", **CHOICES)
    assert density(all_day) == pytest.approx(density(told) * 24 / 11.5)
    (note,) = [note for note in all_day.warnings if "--hours" in note]
    assert "taken over 24 hours a day; all times of day lie between 06:3" in note
    assert not any("hours" in note for note in told.warnings)


def test_times_outside_the_told_hours_are_noted_or_refused(tmp_path, times):
    flat = write_flat(tmp_path)
    noted = run_density(flat, activity=times, hours=["07:00-18:00", "20:00-21:00"], **CHOICES)
    assert any("of 300 times of day lie outside the hours" in note for note in noted.warnings)
    with pytest.raises(InputError, match="times of day lie outside the hours"):
        run_density(flat, activity=times, hours="18:00-07:00", **CHOICES)


def test_deployments_tell_their_own_hours(tmp_path, times):
    def estimate(hours):
        table = write_distances_survey(tmp_path, deployments=deployments_text(hours=hours))
        return run_density(table, deployments=tmp_path / "deployments.csv", activity=times, points=True, **CHOICES)

    all_day, day = estimate(""), estimate("06:30-18:00")
    # Half of the snapshots, and about twice the share of them in which animals are active.
    assert density(day) == pytest.approx(density(all_day), rel=1e-6)
    assert any("give their hours in the deployments" in note for note in all_day.warnings)
    with pytest.raises(InputError, match="The column hours of the deployments"):
        run_density(
            tmp_path / "distances.csv",
            deployments=tmp_path / "deployments.csv",
            activity=times,
            hours="06:00-18:00",
            **CHOICES,
        )


@pytest.mark.parametrize(
    ("hours", "message"),
    [("6-18", "--hours: expected ranges"), (["06:00-12:00", "11:00-13:00"], "--hours: .* don't overlap")],
)
def test_hours_that_are_no_ranges_are_refused(tmp_path, times, hours, message):
    with pytest.raises(InputError, match=message):
        run_density(write_flat(tmp_path), activity=times, hours=hours, **CHOICES)


@pytest.mark.parametrize("option", ["availability", "activity"])
def test_two_availabilities_of_one_survey_are_noted(tmp_path, times, option):
    flat = write_flat(tmp_path)
    rows = flat.read_text().splitlines()
    flat.write_text("\n".join([rows[0] + ",availability", *(row + ",0.4" for row in rows[1:])]) + "\n")
    value = {"availability": 0.5, "activity": times}[option]
    run = run_density(flat, **{option: value}, **CHOICES)
    assert f"the column 'availability' (0.4) was not used, because --{option} is given" in run.warnings
    assert not any("was not used" in note for note in run_density(flat, **CHOICES).warnings)


def test_hours_need_times(tmp_path):
    with pytest.raises(InputError, match="--hours needs --activity"):
        run_density(write_flat(tmp_path), hours="06:00-18:00", **CHOICES)
