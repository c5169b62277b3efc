from __future__ import annotations

from datetime import datetime

import pytest

from trapmeter.errors import InputError
from trapmeter.tables.density_inputs import read_activity_times, read_excluded_animals, read_media_starts
from trapmeter.tables.deployments import read_deployments

HEADER = "site_id,start,end,theta_deg,snapshot_s,hours\n"


def test_a_day_has_its_seconds(write):
    (row,) = read_deployments(write(HEADER + "a,2024-05-01,2024-05-02,42,2,\n"))
    assert (row.site_id, row.theta_deg, row.snapshot_s, row.hours, row.working_s()) == ("a", 42, 2, (), 86400)


@pytest.mark.parametrize(
    ("hours", "seconds"),
    [
        ("06:00-18:00", 2 * 12 * 3600),
        ("06:00-07:30 17:00-18:00", 2 * 2.5 * 3600),
        ("22:00-02:00", 2 * 4 * 3600),
        ("00:00-24:00", 2 * 86400),
        ("22:00-02:00 02:00-03:00 20:00-22:00", 2 * 7 * 3600),
    ],
)
def test_only_hours_of_work_count(write, hours, seconds):
    (row,) = read_deployments(write(HEADER + f"a,2024-05-01T00:00:00,2024-05-03T00:00:00,42,2,{hours}\n"))
    assert row.working_s() == pytest.approx(seconds)


def test_a_start_within_the_hours(write):
    (row,) = read_deployments(write(HEADER + "a,2024-05-01T12:00:00,2024-05-02T07:00:00,42,2,06:00-18:00\n"))
    assert row.working_s() == 7 * 3600
    assert row.is_working_at(datetime(2024, 5, 1, 17, 59))
    assert not row.is_working_at(datetime(2024, 5, 1, 18, 0))
    assert not row.is_working_at(datetime(2024, 5, 1, 11, 0))


def test_camtrap_dp(write):
    text = (
        "deploymentID,locationID,deploymentStart,deploymentEnd\nd,loc1,2020-01-01T00:00:00Z,2020-01-02T00:00:00+0200\n"
    )
    (row,) = read_deployments(write(text.replace("+0200", "+02:00")))
    assert (row.site_id, row.working_s(), row.theta_deg) == ("loc1", 86400, None)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("a,2024-05-02,2024-05-01,42,2,", r"line 2, column 'end': expected a time after the start"),
        ("a,2024-05-01,2024-05-01,42,2,", r"an effort of 0"),
        ("a,yesterday,2024-05-01,42,2,", r"column 'start': expected a date and time"),
        ("a,2024-05-01,2024-05-02,42,0,", r"column 'snapshot_s': expected seconds above 0"),
        ("a,2024-05-01,2024-05-02,42,2,6-18", r"column 'hours': expected ranges"),
        ("a,2024-05-01,2024-05-02,42,2,06:00-06:00", r"column 'hours'"),
        ("a,2024-05-01,2024-05-02,42,2,06:00-12:00 10:00-14:00", r"line 2, column 'hours': .* don't overlap"),
        ("a,2024-05-01,2024-05-02,42,2,22:00-02:00 01:00-03:00", r"don't overlap"),
        ("a,2024-05-01,2024-05-02,42,2,20:00-23:00 22:00-02:00", r"don't overlap"),
        ("a,2024-05-01,2024-05-02,42,2,22:00-02:00 23:00-01:00", r"don't overlap"),
        (",2024-05-01,2024-05-02,42,2,", r"column 'site_id'"),
    ],
)
def test_wrong_cells_are_named(write, row, message):
    with pytest.raises(InputError, match=message):
        read_deployments(write(HEADER + row + "\n"))


def test_times_of_day(write):
    times = read_activity_times(write("time,site_id\n06:30,a\n23:59:30,b\n2024-05-01T14:15:00Z,a\n"))
    assert [time.hour for time in times] == pytest.approx([6.5, 23 + 59.5 / 60, 14.25])
    assert [time.site_id for time in times] == ["a", "b", "a"]
    chosen = read_activity_times(write("time,species\n06:30,fox\n07:30,cat\n"), species="fox", species_column="species")
    assert [time.hour for time in chosen] == [6.5]


@pytest.mark.parametrize("text", ["24:00", "12:60", "noon", "2024-05-01", "-1:00"])
def test_no_time_of_day(write, text):
    with pytest.raises(InputError, match="line 2, column 'time': expected a time of day"):
        read_activity_times(write(f"time\n{text}\n"))


def test_starts_of_media_and_animals_left_out(write):
    assert read_media_starts(write("media_id,start\na.mp4,2024-05-01 06:00:00\n")) == {"a.mp4": datetime(2024, 5, 1, 6)}
    assert read_excluded_animals(write("media_id,animal_id\na.mp4,2\nb.mp4,\n")) == {("a.mp4", 2), ("b.mp4", None)}
    with pytest.raises(InputError, match="column 'animal_id': expected a whole number"):
        read_excluded_animals(write("media_id,animal_id\na.mp4,0\n"))
    with pytest.raises(InputError, match="each medium once"):
        read_media_starts(write("media_id,start\na.mp4,2024-05-01\na.mp4,2024-05-02\n"))
