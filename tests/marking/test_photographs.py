"""Which photographs are marked, at which site and in which deployment."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from conftest import MakeClip
from trapmeter.errors import InputError
from trapmeter.marking.photographs import Photograph, check_dates, find_photographs, parse_date, with_known_dates
from trapmeter.records import Medium, MediumKind
from trapmeter.tables.reference_marks import Mark, MarkedDeployment, Upright

MAY, JUNE = datetime(2024, 5, 1), datetime(2024, 6, 1)


def test_photos_of_several_sites_are_sorted_and_a_damaged_one_stays(setup: Path) -> None:
    found = find_photographs([setup], "folder:1")
    assert [(one.number, one.site_id, one.name, bool(one.problem)) for one in found] == [
        (0, "S01", "S01/a.png", False),
        (1, "S01", "S01/b.png", False),
        (2, "S02", "S02/bad.jpg", True),
        (3, "S02", "S02/c.png", False),
    ]
    assert (found[0].width, found[0].height) == (640, 360)
    assert "not a picture" in found[2].problem


def test_a_name_is_the_site_of_all_and_a_pattern_finds_it(setup: Path) -> None:
    assert {one.site_id for one in find_photographs([setup], " hill 3 ")} == {"hill 3"}
    assert {one.site_id for one in find_photographs([setup], "regex:(S[0-9]+)/")} == {"S01", "S02"}


def test_a_table_gives_sites_and_dates(setup: Path, tmp_path: Path) -> None:
    table = tmp_path / "sites.csv"
    table.write_text("folder,site_id,start,end\nS01,north,2024-05-01,2024-06-01\n")
    found = find_photographs([setup], str(table), dates=(None, JUNE))
    assert [(one.site_id, one.dates) for one in found[:2]] == [("north", (MAY, JUNE))] * 2
    # A photograph that the table doesn't name is listed last, with the reason.
    assert all(one.problem for one in found[2:])
    assert "gives this photograph none" in found[3].problem
    table.write_text("folder,site_id,start\nS01,north,soon\n")
    assert find_photographs([setup], str(table))[0].dates == (None, None)
    table.write_text("folder,site_id,start,end\nS01,north,soon,\n")
    with pytest.raises(InputError, match=r"sites.csv, S01/a.png: expected a date"):
        find_photographs([setup], str(table))


def test_a_video_shows_the_given_seconds_or_some_that_are_spread(make_clip: MakeClip) -> None:
    clip = make_clip("walk.mp4", n=100, rate=10)
    assert [(one.name, one.problem) for one in find_photographs([clip], "S1", (2.5, 0.0, 12.0))] == [
        ("walk.mp4#t=0", ""),
        ("walk.mp4#t=2.5", ""),
        ("walk.mp4#t=12", "the video ends at 10.00 s"),
    ]
    assert [one.time_s for one in find_photographs([clip], "S1")] == [0.8, 2.5, 4.2, 5.8, 7.5, 9.2]


@pytest.mark.parametrize(
    ("site", "message"),
    [
        ("", "--site needs the name"),
        ("folder:7", "gives none of the 4 photographs a site"),
        ("folder:x", "is not a rule"),
    ],
)
def test_sites_that_lead_nowhere_are_refused(setup: Path, site: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        find_photographs([setup], site)


def test_no_photographs_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no video or photo found"):
        find_photographs([tmp_path], "S01")


def test_dates_are_read_and_checked() -> None:
    assert parse_date("", "--start") is None
    assert parse_date("2024-05-01", "--start") == MAY
    with pytest.raises(InputError, match="--start: expected a date such as"):
        parse_date("1.5.2024", "--start")
    with pytest.raises(InputError, match="expected an end after the start"):
        check_dates((JUNE, MAY), "--start, --end")
    with pytest.raises(InputError, match="time zone"):
        check_dates((MAY, datetime(2024, 6, 1, tzinfo=UTC)), "--start, --end")


def test_dates_come_from_the_table_of_marks_if_none_were_given() -> None:
    photograph = Photograph(0, "a.jpg", Medium("a.jpg", Path("a.jpg"), MediumKind.PHOTO, "S1"), 0.0, (None, None))
    marked = Upright((Mark(0.5, 0.5),), 4.0, photo="a.jpg")
    may = MarkedDeployment("S1", MAY, JUNE, ())
    later = MarkedDeployment("S1", JUNE, None, (marked,))
    assert with_known_dates(photograph, []).dates == (None, None)
    assert with_known_dates(photograph, [may]).dates == (MAY, JUNE)
    assert with_known_dates(photograph, [may, later]).dates == (JUNE, None)
    undecided = with_known_dates(photograph, [may, MarkedDeployment("S1", JUNE, None, ())])
    assert "say with --start and --end" in undecided.problem
