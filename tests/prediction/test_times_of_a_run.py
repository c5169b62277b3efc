"""media.csv of a run: resumed, merged, corrected, and read by density."""

from __future__ import annotations

import csv
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from photo_world import LEFT, Photo, photo_settings, write_photos
from trapmeter.density.run import read_survey
from trapmeter.density.settings import density_settings
from trapmeter.errors import InputError
from trapmeter.parallel.sharding import Shard
from trapmeter.prediction.run import run_prediction
from trapmeter.prediction.settings import predict_settings
from trapmeter.prediction.sharded_run import merge_shards, predict_shard
from trapmeter.tables.medium_times import MEDIA_CSV

MAY = datetime(2024, 5, 1, 6)  # noqa: DTZ001 - a camera's clock
SECOND, HOUR = timedelta(seconds=1), timedelta(hours=1)
PHOTOS = {
    "S1/a.jpg": Photo(MAY, [LEFT]),
    "S1/b.jpg": Photo(MAY + 0.7 * SECOND, [LEFT]),
    "S1/c.jpg": Photo(MAY + 1.4 * SECOND),
    "S2/IMG_20240501_120000.jpg": Photo(None, [LEFT]),
    "S2/d.jpg": Photo(MAY + 30 * HOUR, [LEFT]),
    "S2/e.jpg": Photo(),
}


def table(folder: Path) -> list[dict[str, str]]:
    with (folder / MEDIA_CSV).open() as file:
        return list(csv.DictReader(file))


def test_every_medium_has_a_row(tmp_path: Path) -> None:
    run = run_prediction(photo_settings(tmp_path, PHOTOS))
    rows = table(tmp_path / "out")
    assert [row["media_id"] for row in rows] == sorted(PHOTOS)
    assert [row["taken_from"] for row in rows] == ["exif", "exif", "exif", "file name", "exif", ""]
    assert [row["taken_at"] for row in rows][1:4] == [
        *("2024-05-01T06:00:00.700000", "2024-05-01T06:00:01.400000", "2024-05-01T12:00:00"),
    ]
    assert run.facts["recorded"] == {
        "n_media": 5,
        "first": "2024-05-01T06:00:00",
        "last": "2024-05-02T12:00:00",
        "sources": {"exif": 4, "file name": 1, "unknown": 1},
    }


def test_tables_and_offsets_of_the_settings_count(tmp_path: Path) -> None:
    (tmp_path / "times.csv").write_text("media_id,start\nS2/e.jpg,2024-05-03T00:00:00Z\n")
    (tmp_path / "deployments.csv").write_text(
        "site_id,start,end,clock_offset\nS1,2024-05-01,2024-05-03,\nS2,2024-04-01,2024-05-03,-00:30:00\n"
    )
    tables = {"media_times": tmp_path / "times.csv", "deployments": tmp_path / "deployments.csv"}
    settings = photo_settings(tmp_path, PHOTOS, **tables, timezone="+02:00", clock_offset=["S1=-24:00:00"])
    run = run_prediction(settings)
    found = {row["media_id"]: (row["taken_at"], row["taken_from"], row["note"]) for row in table(tmp_path / "out")}
    outside = "outside of the deployments of its site"
    assert found["S1/a.jpg"] == ("2024-04-30T06:00:00+02:00", "exif, clock offset -1d00:00:00", outside)
    assert found["S2/d.jpg"] == ("2024-05-02T11:30:00+02:00", "exif, clock offset -00:30:00", "")
    assert found["S2/e.jpg"] == ("2024-05-03T02:00:00+02:00", "table", outside)
    assert any("the time is outside of the site's deployments: S1 (3 media" in note for note in run.facts["notes"])


def test_an_offset_for_no_site_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no site 'S9'; the sites are S1, S2"):
        run_prediction(photo_settings(tmp_path, PHOTOS, clock_offset=["S9=01:00:00"]))


def test_a_table_of_other_media_is_refused(tmp_path: Path) -> None:
    (tmp_path / "times.csv").write_text("media_id,start\nx.jpg,2024-05-03\n")
    with pytest.raises(InputError, match=r"times\.csv: none of its 1 names is one of the media; it names x\.jpg"):
        run_prediction(photo_settings(tmp_path, PHOTOS, media_times=tmp_path / "times.csv"))


def test_a_resumed_run_and_merged_shards_write_the_same_bytes(tmp_path: Path) -> None:
    settings = photo_settings(tmp_path, PHOTOS)
    run_prediction(settings)
    names = ("distances.csv", MEDIA_CSV)
    before = [(tmp_path / "out" / name).read_bytes() for name in names]
    journal = (tmp_path / "out/seen.jsonl").read_bytes()
    for n_bytes in (len(journal) // 2, len(journal) - 3):
        (tmp_path / "out/seen.jsonl").write_bytes(journal[:n_bytes])
        for name in names:
            (tmp_path / "out" / name).unlink()
        run_prediction(settings)
        assert [(tmp_path / "out" / name).read_bytes() for name in names] == before
    sharded = replace(settings, out=tmp_path / "shards")
    folders = [predict_shard(sharded, Shard(number, 2)).folder for number in (1, 2)]
    merge_shards(folders, tmp_path / "merged")
    assert [(tmp_path / "merged" / name).read_bytes() for name in names] == before


def test_a_resumed_run_mends_times_without_processing_media_again(tmp_path: Path) -> None:
    run_prediction(photo_settings(tmp_path, PHOTOS))
    journal = (tmp_path / "out/seen.jsonl").read_bytes()
    run = run_prediction(photo_settings(tmp_path, clock_offset="S1=01:00:00"))
    assert run.facts["changed"] == ["--clock-offset was [], is ['S1=+01:00:00']"]
    assert (tmp_path / "out/seen.jsonl").read_bytes() == journal
    assert table(tmp_path / "out")[0]["taken_at"] == "2024-05-01T07:00:00"


def test_without_any_time_nothing_is_known_and_nothing_fails(tmp_path: Path) -> None:
    photos = {"S1/RCNX0001.jpg": Photo(None, [LEFT]), "S1/RCNX0002.jpg": Photo(None, [LEFT])}
    run_prediction(photo_settings(tmp_path, photos))
    assert [(row["taken_at"], row["taken_from"]) for row in table(tmp_path / "out")] == [("", "")] * 2


def test_density_takes_the_times_of_the_results(tmp_path: Path) -> None:
    run_prediction(photo_settings(tmp_path, PHOTOS))
    (tmp_path / "deployments.csv").write_text(
        "site_id,start,end,theta_deg,snapshot_s\nS1,2024-05-01,2024-05-03,42,2\nS2,2024-05-01,2024-05-02,42,2\n"
    )
    tables = {"deployments": tmp_path / "deployments.csv"}
    survey = read_survey(density_settings(tmp_path / "out/distances.csv", **tables))[0]
    assert len(survey.distance_m) == 2
    assert any("1 of 4 measured animals left out: outside deployments and hours" in note for note in survey.notes)
    assert any("1 of 3 measured animals left out: in photos within an interval" in note for note in survey.notes)
    # A table of the user takes their place.
    starts = "\n".join(f"{name},2024-05-01T0{number}:00:00" for number, name in enumerate(PHOTOS))
    (tmp_path / "times.csv").write_text(f"media_id,start\n{starts}\n")
    by_table = density_settings(tmp_path / "out/distances.csv", **tables, media_times=tmp_path / "times.csv")
    assert len(read_survey(by_table)[0].distance_m) == 4


def test_density_says_which_times_it_could_not_use(tmp_path: Path) -> None:
    photos = {**PHOTOS, "S2/d.jpg": Photo(MAY.replace(year=2000), [LEFT]), "S2/f.jpg": Photo(None, [LEFT])}
    run_prediction(photo_settings(tmp_path, photos))
    (tmp_path / "deployments.csv").write_text(
        "site_id,start,end,theta_deg,snapshot_s\nS1,2024-06-01Z,2024-06-03Z,42,2\nS2,2024-06-01Z,2024-06-02Z,42,2\n"
    )
    (tmp_path / "deployments.csv").write_text((tmp_path / "deployments.csv").read_text().replace("Z,", "T00:00:00Z,"))
    survey = read_survey(density_settings(tmp_path / "out/distances.csv", deployments=tmp_path / "deployments.csv"))[0]
    text = "\n".join(survey.notes)
    assert "1 of 5 media with animals have no known time" in text
    assert "1 of 5 media with animals are from a clock that was not set" in text
    assert "3 of 5 media with animals have no zone, but deployments have one" in text
    assert len(survey.distance_m) == 4


def test_photos_of_a_run_need_no_site(tmp_path: Path) -> None:
    run_prediction(predict_settings(write_photos(tmp_path, PHOTOS), out=tmp_path / "out", boxes=tmp_path / "boxes.csv"))
    assert {row["site_id"] for row in table(tmp_path / "out")} == {""}
