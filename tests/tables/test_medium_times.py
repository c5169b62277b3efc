"""media.csv, times in file names, and clock offsets."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trapmeter.errors import InputError
from trapmeter.tables.clock_offsets import SiteOffset, format_site_offset, parse_site_offset
from trapmeter.tables.medium_times import MEDIA_CSV, MediumTime, TimeSource, read_media, write_media
from trapmeter.tables.times import format_clock_offset, is_clock_set, parse_clock_offset, time_in_name

NEW_YEAR = datetime(2024, 1, 31, 23, 59, 59)  # noqa: DTZ001 - a camera's clock


@pytest.mark.parametrize(
    "name",
    [
        *("20240131_235959.JPG", "2024-01-31 23-59-59.jpg", "IMG_20240131_235959.jpg", "20240131235959.mp4"),
        *("S1__2024.01.31T23.59.59__12C.jpg", "2024_01_31 23_59_59(2).jpg", "PICT0007_2024-01-31_23:59:59.jpg"),
        *("99999999_999999_20240131_235959.jpg",),
    ],
)
def test_a_time_in_a_name_is_found(name: str) -> None:
    assert time_in_name(f"20200101_000000/{name}") == NEW_YEAR


def test_a_phone_writes_a_fraction() -> None:
    assert time_in_name("PXL_20240131_235959123.jpg") == NEW_YEAR.replace(microsecond=123_000)


@pytest.mark.parametrize(
    "name",
    [
        *("RCNX0001.JPG", "IMG_0001.JPG", "20240131.jpg", "20240131_2359.jpg", "20241331_235959.jpg"),
        *("120240131_235959.jpg", "20240131_2359590.jpg", "2024-01-31 25-00-00.jpg", "", "20240131_235959/a.jpg"),
    ],
)
def test_other_names_have_no_time(name: str) -> None:
    assert time_in_name(name) is None


@given(st.timedeltas(min_value=timedelta(days=-20_000), max_value=timedelta(days=20_000)))
def test_an_offset_is_read_as_it_was_written(offset: timedelta) -> None:
    whole = timedelta(seconds=round(offset.total_seconds()))
    assert parse_clock_offset(format_clock_offset(whole)) == whole
    assert parse_site_offset(format_site_offset(SiteOffset("a=b", whole))) == SiteOffset("a=b", whole)


@pytest.mark.parametrize("text", ["S1", "=01:00:00", "S1=", "S1=1h", "S1=01:60:00", "S1=01:00:00.5"])
def test_other_offsets_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="--clock-offset"):
        parse_site_offset(text)


def test_hours_of_an_offset_have_no_end() -> None:
    assert parse_clock_offset("-36:00") == timedelta(hours=-36)


@pytest.mark.parametrize(
    ("year", "expected"), [(1970, False), (1989, False), (1999, True), (2000, False), (2024, True)]
)
def test_cameras_begin_in_1970_or_2000(year: int, expected: bool) -> None:
    assert is_clock_set(NEW_YEAR.replace(year=year)) is expected


def test_a_table_is_read_as_it_was_written(tmp_path: Path) -> None:
    media = [
        MediumTime("=S1/a,b.jpg", "S1", NEW_YEAR, TimeSource.FILE_NAME, timedelta(hours=-1), "S1@1", "odd; 1"),
        MediumTime(" b\n.jpg", "", NEW_YEAR.replace(tzinfo=UTC, microsecond=500), TimeSource.TABLE),
        MediumTime("c.jpg"),
    ]
    write_media(tmp_path / MEDIA_CSV, media)
    assert read_media(tmp_path / MEDIA_CSV) == {medium.media_id: medium for medium in media}
    assert [medium.is_date_known for medium in media] == [True, True, False]
    assert (tmp_path / MEDIA_CSV).read_text().splitlines()[2] == (
        "'=S1/a,b.jpg".join(['"', '"']) + ',S1,2024-01-31T23:59:59,"file name, clock offset -01:00:00",S1@1,odd; 1'
    )


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("a.jpg,,yesterday,exif,,", r"media\.csv, line 2, column 'taken_at': expected a date and time"),
        ("a.jpg,,2024-01-01,dream,,", "column 'taken_from': expected one of table, camtrap-dp, exif"),
        ('a.jpg,,2024-01-01,"exif, clock offset 1",,', "column 'taken_from'"),
        ("a.jpg,,,,,\na.jpg,,,,,", "lines 2 and 3: a.jpg appears twice"),
    ],
)
def test_a_wrong_cell_is_named(tmp_path: Path, row: str, message: str) -> None:
    (tmp_path / MEDIA_CSV).write_text(f"media_id,site_id,taken_at,taken_from,event_id,note\n{row}\n")
    with pytest.raises(InputError, match=message):
        read_media(tmp_path / MEDIA_CSV)
