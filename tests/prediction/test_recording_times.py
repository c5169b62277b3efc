"""When media were taken, and what is said of wrong clocks."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from trapmeter.prediction.clock_checks import check_clocks
from trapmeter.prediction.medium_result import MediumResult
from trapmeter.prediction.recording_times import Stay, TimeInputs, find_times
from trapmeter.tables.medium_times import MediumTime, TimeSource

NOW = datetime(2026, 6, 1, tzinfo=UTC)
MAY = datetime(2024, 5, 1, 6)  # noqa: DTZ001 - a camera's clock
HOUR = timedelta(hours=1)


def result(media_id: str, recorded: datetime | str = "") -> MediumResult:
    text = recorded if isinstance(recorded, str) else recorded.isoformat()
    return MediumResult(media_id, 0, 0, (), recorded=text)


def found(medium: MediumResult, site_id: str = "S1", **known: object) -> MediumTime:
    return find_times([medium], {medium.media_id: site_id}, TimeInputs(**known))[0]  # type: ignore[arg-type]


def said(
    media: Mapping[str, datetime], cameras: Mapping[str, str] | None = None, **known: object
) -> tuple[dict[str, str], str]:
    """The notes on media of which EXIF states the times, and those for the user."""
    inputs = TimeInputs(**known)  # type: ignore[arg-type]
    sites = {name: name.split("/")[0] for name in media}
    times = find_times([result(*item) for item in media.items()], sites, inputs)
    checked, notes = check_clocks(times, cameras or {}, inputs, NOW)
    return {medium.media_id: medium.note for medium in checked if medium.note}, "\n".join(notes)


def test_the_most_trusted_source_counts() -> None:
    name = "20230501_000000.jpg"
    exif = result(name, MAY)
    table, package = {name: MAY + HOUR}, {name: MAY + 2 * HOUR}
    assert found(exif, table=table, package=package).taken_at == MAY + HOUR
    assert found(exif, package=package).source is TimeSource.CAMTRAP_DP
    assert found(exif).source is TimeSource.EXIF
    assert found(result(name)).source is TimeSource.FILE_NAME
    assert found(result("a.mp4", MAY.replace(tzinfo=UTC))).source is TimeSource.CONTAINER
    assert found(result("RCNX0001.JPG")) == MediumTime("RCNX0001.JPG", "S1")


def test_the_name_counts_if_the_clock_was_not_set() -> None:
    reset = MAY.replace(year=1970)
    assert found(result("20230501_000000.jpg", reset)).source is TimeSource.FILE_NAME
    alone = found(result("a.jpg", reset))
    assert (alone.taken_at, alone.is_date_known) == (reset, False)


def test_a_zone_goes_to_times_without_one() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    summer = timezone(timedelta(hours=2))
    assert found(result("a.jpg", MAY), zone=berlin).taken_at == MAY.replace(tzinfo=summer)
    by_utc = found(result("a.mp4", MAY.replace(tzinfo=UTC)), zone=berlin).taken_at
    assert by_utc is not None
    assert by_utc.isoformat() == "2024-05-01T08:00:00+02:00"


@pytest.mark.parametrize(
    ("text", "days"),
    [("0001-01-01T00:00:00", -9), ("9999-12-31T23:59:59", 9), ("9999-12-31T23:59:59-12:00", 0), ("2024-01-01", 10**7)],
)
def test_no_medium_fails_because_of_its_time(text: str, days: int) -> None:
    known = found(result("a.jpg", text), zone=ZoneInfo("Pacific/Auckland"), offsets={"S1": timedelta(days=days)})
    assert known.taken_at is None
    assert "out of range" in known.note


def test_an_offset_mends_the_camera_but_not_a_table() -> None:
    mended = found(result("a.jpg", MAY), offsets={"S1": -HOUR})
    assert (mended.taken_at, mended.taken_from) == (MAY - HOUR, "exif, clock offset -01:00:00")
    assert found(result("a.jpg", MAY), "S2", offsets={"S1": -HOUR}).taken_at == MAY
    assert found(result("a.jpg"), table={"a.jpg": MAY}, offsets={"S1": -HOUR}).taken_at == MAY


def test_each_deployment_has_an_offset_of_its_own() -> None:
    day = timedelta(days=1)
    stays = {"S1": (Stay(MAY, MAY + day, HOUR), Stay(MAY + 10 * day, MAY + 11 * day, 5 * day))}
    assert found(result("a.jpg", MAY), stays=stays).taken_at == MAY + HOUR
    assert found(result("a.jpg", MAY + 5.5 * day), stays=stays).taken_at == MAY + 10.5 * day
    # Neither offset leads into its deployment.
    assert found(result("a.jpg", MAY - 3 * day), stays=stays).taken_at == MAY - 3 * day


def test_clocks_that_were_not_set_are_named() -> None:
    media = {"S1/a.jpg": MAY.replace(year=1970), "S2/b.jpg": MAY.replace(year=2000, hour=0), "S2/c.jpg": MAY}
    on_media, notes = said(media)
    assert on_media == dict.fromkeys(["S1/a.jpg", "S2/b.jpg"], "the clock was not set")
    assert "S1 (1 media, the first S1/a.jpg at 1970-05-01 06:00:00), S2 (1 media" in notes
    del media["S2/c.jpg"]
    assert said(media, offsets={"S1": timedelta(days=19_000), "S2": timedelta(days=8887)}) == ({}, "")


def test_times_in_the_future_and_outside_of_deployments_are_named() -> None:
    later = datetime(2026, 6, 3)  # noqa: DTZ001
    on_media, notes = said({"S1/a.jpg": later, "S2/b.jpg": MAY, "S3/c.jpg": MAY}, stays={"S2": (Stay(later, later),)})
    assert on_media == {"S1/a.jpg": "in the future", "S2/b.jpg": "outside of the deployments of its site"}
    assert "the time is in the future: S1 (1 media" in notes
    # Without zones in common, nothing is outside.
    zoned = Stay(later.replace(tzinfo=UTC), later.replace(tzinfo=UTC))
    assert said({"S2/b.jpg": MAY}, stays={"S2": (zoned,)}) == ({}, "")


def test_a_clock_that_goes_back_is_named() -> None:
    media = {f"S1/IMG_{number:04}.JPG": MAY + number * HOUR for number in range(30)}
    media |= {f"S1/IMG_{number:04}.JPG": MAY + (number - 40) * HOUR for number in range(30, 40)}
    on_media, notes = said(media)
    assert on_media == {"S1/IMG_0030.JPG": "the clock went back by 1 day, 15:00:00 after IMG_0029.JPG"}
    assert "times go back where the names go on: S1 (1 media, the first S1/IMG_0030.JPG" in notes


def test_names_without_order_say_nothing_about_the_clock() -> None:
    media = {f"S1/{number * 7919 % 1000}.JPG": MAY + number * HOUR for number in range(40)}
    assert said(media) == ({}, "")


def test_two_cameras_in_one_folder_are_named() -> None:
    media = {f"S1/{number}.JPG": MAY + number * HOUR for number in range(4)}
    names = list(media)
    taken_in_turns = {name: f"Acme C1 {number % 2}" for number, name in enumerate(names)}
    assert "the times of 2 cameras interleave at S1: Acme C1 0, Acme C1 1" in said(media, taken_in_turns)[1]
    replaced = {name: f"Acme C1 {number // 2}" for number, name in enumerate(names)}
    assert said(media, replaced)[1] == ""


def test_times_with_and_without_zone_are_named() -> None:
    media = {"S1/a.jpg": MAY, "S1/b.jpg": MAY.replace(tzinfo=UTC)}
    assert "1 times have no zone and 1 have one" in said(media)[1]
    assert said(media, zone=UTC)[1] == ""
