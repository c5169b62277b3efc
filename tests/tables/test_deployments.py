from __future__ import annotations

from datetime import datetime

import pytest

from trapmeter.errors import InputError
from trapmeter.tables.deployments import read_deployments

HEADER = "site_id,start,end,theta_deg,snapshot_s,hours\n"


def test_a_deployment_of_one_day_works_86400_seconds(write):
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
def test_only_working_hours_count(write, hours, seconds):
    (row,) = read_deployments(write(HEADER + f"a,2024-05-01T00:00:00,2024-05-03T00:00:00,42,2,{hours}\n"))
    assert row.working_s() == pytest.approx(seconds)


def test_a_deployment_may_start_within_its_working_hours(write):
    (row,) = read_deployments(write(HEADER + "a,2024-05-01T12:00:00,2024-05-02T07:00:00,42,2,06:00-18:00\n"))
    assert row.working_s() == 7 * 3600
    assert row.is_working_at(datetime(2024, 5, 1, 17, 59))
    assert not row.is_working_at(datetime(2024, 5, 1, 18, 0))
    assert not row.is_working_at(datetime(2024, 5, 1, 11, 0))


def test_camtrap_dps_deployments_are_read(write):
    text = (
        "deploymentID,locationID,deploymentStart,deploymentEnd\nd,loc1,2020-01-01T00:00:00Z,2020-01-02T00:00:00+0200\n"
    )
    (row,) = read_deployments(write(text.replace("+0200", "+02:00")))
    assert (row.site_id, row.working_s(), row.theta_deg) == ("loc1", 22 * 3600, None)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("a,2024-05-02,2024-05-01,42,2,", r"line 2, column 'end': expected a time after the start"),
        ("a,2024-05-01,2024-05-01,42,2,", r"leave out a camera that never worked"),
        ("a,yesterday,2024-05-01,42,2,", r"column 'start': expected a date and time"),
        (
            "a,2024-05-01,2024-05-02,42,0,",
            r"column 'snapshot_s': expected the seconds from one snapshot",
        ),
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


def test_periods_may_be_named_from_and_to_and_gaps_are_cut_out(tmp_path):
    from trapmeter.tables.deployments import read_gaps

    path = tmp_path / "d.csv"
    path.write_text("site_id,from,to,hours\nS1,2024-05-01,2024-05-11,06:00-18:00\n")
    (deployment,) = read_deployments(path)
    assert deployment.working_s() == 10 * 12 * 3600
    (tmp_path / "g.csv").write_text(
        "site_id,start,end\nS1,2024-05-02T12:00:00,2024-05-03T12:00:00\nS1,2024-05-03,2024-05-04\nS1,2024-05-10,2024-06-01\n"
    )
    gaps = read_gaps(tmp_path / "g.csv")
    shorter = deployment.with_gaps(gaps["S1"])
    assert len(shorter.gaps) == 2
    assert shorter.working_s() == (10 * 12 - 18 - 12) * 3600
    assert not shorter.is_working_at(datetime.fromisoformat("2024-05-03T10:00:00"))
    assert shorter.is_working_at(datetime.fromisoformat("2024-05-04T10:00:00"))
    (tmp_path / "g.csv").write_text("site_id,from,to\nS1,2024-05-02,2024-05-02\n")
    with pytest.raises(InputError, match="line 2, column 'to': expected a time after the start of the gap"):
        read_gaps(tmp_path / "g.csv")
