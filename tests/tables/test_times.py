"""Times are compared as instants, whatever their zones, and never guessed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trapmeter.errors import InputError
from trapmeter.tables.csvfile import read_rows
from trapmeter.tables.density_inputs import read_activity_times, read_media_starts
from trapmeter.tables.deployments import read_deployments
from trapmeter.tables.times import TimeReader, hour_of_day, in_zone, parse_zone, to_instant

BERLIN = ZoneInfo("Europe/Berlin")
DEPLOYMENTS = "site_id,start,end,theta_deg,snapshot_s,hours\n"
OFFSETS = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
INSTANTS = st.datetimes(datetime(1990, 1, 1), datetime(2060, 1, 1), timezones=OFFSETS)


def read_all(path, reader):
    return [reader.read(row, "time") for row in read_rows(path, required=("time",))]


def test_times_of_different_zones_are_the_same_instant(write):
    texts = ["2024-05-01T06:00:00+02:00", "2024-05-01T04:00:00Z", "2024-04-30T22:00:00-06:00", "20240501T0400Z"]
    assert len(set(read_all(write("\n".join(["time", *texts])), TimeReader()))) == 1


@pytest.mark.parametrize(
    ("first", "second"), [("2024-05-01T06:00:00", "2024-05-01T06:00:00Z"), ("2024-05-01T06:00:00+02:00", "2024-05-01")]
)
def test_times_with_and_without_a_zone_are_refused_together_or_get_the_zone_that_is_named(write, first, second):
    path = write(f"time\n{first}\n{second}\n")
    with pytest.raises(InputError, match=r"line 3, column 'time': .* zone, .* line 2, .* --timezone Europe/Berlin"):
        read_all(path, TimeReader())
    times = read_all(path, TimeReader(BERLIN))
    assert all(time.tzinfo for time in times)


def test_a_zone_is_added_to_each_table_that_is_compared(write, tmp_path):
    reader = TimeReader()
    read_deployments(write(DEPLOYMENTS + "a,2024-05-01T00:00:00Z,2024-05-02T00:00:00Z,42,2,\n"), reader)
    starts = tmp_path / "starts.csv"
    starts.write_text("media_id,start\na.mp4,2024-05-01T06:00:00\n")
    with pytest.raises(InputError, match=r"starts\.csv, line 2, column 'start': .* has no zone"):
        read_media_starts(starts, reader)


@pytest.mark.parametrize(
    ("text", "offset_h"),
    [("+02:00", 2), ("-0330", -3.5), ("UTC", 0), ("Z", 0), ("Europe/Berlin", 1), ("UTC+05:45", 5.75)],
)
def test_zones_are_named_by_offset_or_by_place(text, offset_h):
    zone = parse_zone(text)
    assert datetime(2024, 1, 1, tzinfo=zone).utcoffset() == timedelta(hours=offset_h)
    assert parse_zone(str(zone)) == zone


@pytest.mark.parametrize("text", ["Europe/Berln", "+25:00", "../etc/passwd", "", "local"])
def test_an_unknown_zone_is_refused(text):
    with pytest.raises(InputError, match="--timezone: expected a name such as Europe/Berlin or an offset"):
        parse_zone(text)


@given(INSTANTS, INSTANTS, OFFSETS)
def test_the_zone_in_which_a_time_is_written_changes_nothing(first, second, zone):
    moved = to_instant(first.astimezone(zone), None)
    assert moved == first
    assert (second - moved) == (second - first)
    assert hour_of_day(moved, UTC) == hour_of_day(first, UTC)
    assert in_zone(moved, zone) == in_zone(first, zone)


@pytest.mark.parametrize(
    ("hours", "expected_h"),
    # In the night to 31 March 2024 clocks in Berlin go from 2 to 3.
    [("", 47), ("00:00-06:00", 11), ("12:00-18:00", 12), ("22:00-04:00", 11)],
)
def test_effort_across_daylight_saving_is_in_real_hours(write, hours, expected_h):
    path = write(DEPLOYMENTS + f"a,2024-03-30,2024-04-01,42,2,{hours}\n")
    assert read_deployments(path, TimeReader(BERLIN))[0].working_s() == expected_h * 3600
    if not hours:
        path = write(DEPLOYMENTS + "a,2024-03-30T00:00:00+01:00,2024-04-01T00:00:00+02:00,42,2,\n")
        assert read_deployments(path)[0].working_s() == 47 * 3600


def test_operating_hours_are_those_of_the_deployments_zone(write):
    (row,) = read_deployments(
        write(DEPLOYMENTS + "a,2024-05-01T00:00:00+10:00,2024-05-03T00:00:00+10:00,42,2,06:00-18:00\n")
    )
    assert row.working_s() == 24 * 3600
    assert row.is_working_at(datetime(2024, 5, 1, 20, 30, tzinfo=UTC))
    assert not row.is_working_at(datetime(2024, 5, 1, 12, 0, tzinfo=UTC))


def test_the_first_and_last_instant_belong_to_a_deployment(write):
    (row,) = read_deployments(write(DEPLOYMENTS + "a,2024-05-01T00:00:00Z,2024-05-03T00:00:00Z,42,2,\n"))
    assert row.is_working_at(datetime(2024, 5, 1, 2, tzinfo=timezone(timedelta(hours=2))))
    assert row.is_working_at(datetime(2024, 5, 3, tzinfo=UTC))
    assert not row.is_working_at(datetime(2024, 5, 3, 0, 0, 1, tzinfo=UTC))


def test_hours_of_activity_are_those_of_the_site(write):
    path = write(
        "time,site_id\n2024-05-01T20:00:00Z,east\n2024-05-01T20:00:00Z,west\n14:00,east\n2024-05-01T14:00:00,west\n"
    )
    zones = {"east": parse_zone("+10:00"), "west": parse_zone("-06:00")}
    assert [time.hour for time in read_activity_times(path, zones=zones)] == [6, 14, 14, 14]
    assert [time.hour for time in read_activity_times(path, zones=zones, zone=UTC)] == [20, 20, 14, 14]


def test_activity_without_a_common_zone_is_refused(write):
    for other in ("2024-05-01T20:00:00Z", "14:00", "2024-05-01T14:00:00"):
        path = write(f"time\n2024-05-02T06:00:00+10:00\n{other}\n")
        with pytest.raises(InputError, match=r"line 3, column 'time': .* another zone than the time in .*line 2"):
            read_activity_times(path)
    same = write("time\n2024-05-02T06:00:00+10:00\n2024-05-02T07:00:00+10:00\n")
    assert [time.hour for time in read_activity_times(same)] == [6, 7]
    # A single zone of all deployments is that of times without a site.
    assert [time.hour for time in read_activity_times(same, zones={"a": UTC, "b": UTC})] == [20, 21]
