"""Which fitted camera saw a medium."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fitted_world import fitted, write_cameras
from trapmeter.camera.medium_cameras import MediumCameras, read_medium_cameras
from trapmeter.errors import InputError
from trapmeter.tables.distances import JOURNAL, write_distances
from trapmeter.tables.medium_times import (
    MEDIA_CSV,
    MediumTime,
    TimeSource,
    copy_media,
    read_medium_times,
    write_media,
)

MARCH, APRIL, MAY, JUNE = (datetime(2024, month, 1) for month in (3, 4, 5, 6))  # noqa: DTZ001 - a camera's clock
ALWAYS = fitted("S1")
SPRING, SUMMER = fitted("S2", MARCH, MAY), fitted("S2", MAY, None)


def test_without_a_fitted_camera_there_is_nothing_to_say() -> None:
    for site_id in ("", "S1"):
        assert MediumCameras().find("a.mp4", site_id) is None
        assert MediumCameras().why_none("a.mp4", site_id) == ""
    assert MediumCameras((ALWAYS,)).find("a.mp4", "") is None


@pytest.mark.parametrize(("time", "expected"), [(APRIL, SPRING), (MARCH, SPRING), (JUNE, SUMMER)])
def test_the_camera_of_the_time_is_used(time: datetime, expected: object) -> None:
    cameras = MediumCameras((ALWAYS, SPRING, SUMMER), {"a.mp4": time})
    assert cameras.find("a.mp4", "S2") is expected
    assert cameras.why_none("a.mp4", "S2") == ""
    assert cameras.find("a.mp4", "S1") is ALWAYS


def test_a_single_camera_needs_no_time_unless_it_is_known() -> None:
    assert MediumCameras((SPRING,)).find("a.mp4", "S2") is SPRING
    later = MediumCameras((SPRING,), {"a.mp4": JUNE})
    assert later.find("a.mp4", "S2") is None
    assert later.why_none("a.mp4", "S2") == "no fitted camera of site S2 stood there at 2024-06-01 00:00:00"


def test_it_is_said_why_no_camera_of_several_is_used() -> None:
    assert MediumCameras((SPRING, SUMMER)).why_none("a.mp4", "S2") == (
        "site S2 has 2 fitted cameras, and nothing says when a.mp4 was recorded"
    )
    with_zone = MediumCameras((SPRING, SUMMER), {"a.mp4": JUNE.replace(tzinfo=UTC)})
    assert with_zone.find("a.mp4", "S2") is None
    assert with_zone.why_none("a.mp4", "S2") == (
        "the time of a.mp4 has a zone, and start and end of the cameras of site S2 have none"
    )


def test_the_fits_of_many_media_come_with_each_reason_once() -> None:
    cameras = MediumCameras((ALWAYS, SPRING, SUMMER), {"b.mp4": JUNE})
    media = [("a.mp4", "S1"), ("b.mp4", "S2"), ("c.mp4", "S2"), ("c.mp4", "S2"), ("d.mp4", "")]
    fits, notes = cameras.fits(media)
    assert fits == {"a.mp4": ALWAYS.fit, "b.mp4": SUMMER.fit}
    assert notes == ("site S2 has 2 fitted cameras, and nothing says when c.mp4 was recorded",)


def test_times_come_from_media_csv_or_the_journal_of_an_earlier_version(tmp_path: Path) -> None:
    write_distances(tmp_path / "distances.csv", [])
    assert read_medium_times(tmp_path) == {}
    entries = [
        {"header": 1},
        {"media_id": "a.jpg", "recorded": "2024-04-01T00:00:00"},
        {"media_id": "b.jpg", "recorded": ""},
    ]
    entries += [{"media_id": "c.jpg", "recorded": "2024-06-01T00:00:00"}]
    (tmp_path / JOURNAL).write_text("\n".join([*map(json.dumps, entries), '{"media_id": "d']))
    assert read_medium_times(tmp_path) == {"a.jpg": APRIL, "c.jpg": JUNE}
    reset = datetime(2000, 1, 1)  # noqa: DTZ001 - a camera's clock
    known = [MediumTime("c.jpg", "S2", MAY, TimeSource.TABLE), MediumTime("d.jpg", "S2", reset, TimeSource.EXIF)]
    write_media(tmp_path / MEDIA_CSV, [*known, MediumTime("e.jpg")])
    assert read_medium_times(tmp_path / "distances.csv") == {"c.jpg": MAY}


def test_corrected_results_know_the_times_of_those_that_were_measured(tmp_path: Path) -> None:
    for folder in ("measured", "calibrated"):
        (tmp_path / folder).mkdir()
        write_distances(tmp_path / folder / "distances.csv", [])
    write_media(tmp_path / "measured" / MEDIA_CSV, [MediumTime("a.mp4", "S2", APRIL, TimeSource.EXIF)])
    copy_media(tmp_path / "measured/distances.csv", tmp_path / "calibrated")
    write_cameras(tmp_path / "calibrated", SPRING, SUMMER)
    cameras = read_medium_cameras(tmp_path / "calibrated")
    found = cameras.find("a.mp4", "S2")
    assert found is not None
    assert found.end == MAY
    (tmp_path / "measured" / MEDIA_CSV).unlink()
    copy_media(tmp_path / "measured/distances.csv", tmp_path / "calibrated")
    assert read_medium_times(tmp_path / "calibrated") == {}


def test_results_that_do_not_exist_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"distances\.csv does not exist"):
        read_medium_cameras(tmp_path)
