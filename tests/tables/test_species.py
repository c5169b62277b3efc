"""Shoulder heights by name, and tables of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from trapmeter.errors import InputError
from trapmeter.tables.csvfile import read_rows
from trapmeter.tables.species import TABLE, ShoulderHeight, read_shoulder_heights, shoulder_height_of

MEDIA = [("S1/a.jpg", "S1"), ("S1/b.jpg", "S1"), ("S2/c.jpg", "S2")]


def write(folder: Path, text: str) -> Path:
    path = folder / "species.csv"
    path.write_text(text)
    return path


@pytest.mark.parametrize("name", ["red fox", "Red Fox", "red_fox", "fox", "Vulpes vulpes", " vulpes  VULPES "])
def test_a_species_has_many_names(name: str) -> None:
    assert shoulder_height_of(name).height_m == pytest.approx(0.4, abs=0.01)


def test_all_rows_of_the_table_are_plausible_and_no_name_stands_twice() -> None:
    names = []
    for row in read_rows(TABLE, required=("scientific", "english", "low_m", "high_m")):
        assert 0.05 < row.number("low_m") < row.number("high_m") < 2 * row.number("low_m"), row.where
        names += [row.text("scientific"), *row.text("english").split("; ")]
    assert len({name.casefold() for name in names}) == len(names) > 200
    assert all(shoulder_height_of(name).sd_log < 0.2 for name in names)


def test_an_unknown_species_is_told_with_others_like_it() -> None:
    with pytest.raises(InputError, match="no shoulder height is known of 'red foks'; known are 'red fox'"):
        shoulder_height_of("red foks")


def test_tables_tell_by_medium_and_by_site(tmp_path: Path) -> None:
    by_medium = read_shoulder_heights(write(tmp_path, "media_id,species\na.jpg,fox\nb.jpg,\nx.jpg,fox\n"), MEDIA)
    assert by_medium == {"S1/a.jpg": shoulder_height_of("red fox")}
    by_site = read_shoulder_heights(write(tmp_path, "site_id,shoulder_m\nS1,0.9\n"), MEDIA)
    assert by_site == {"S1/a.jpg": ShoulderHeight(0.9), "S1/b.jpg": ShoulderHeight(0.9)}
    names = read_shoulder_heights(write(tmp_path, "file,scientificName\nc.jpg,Meles meles\n"), MEDIA)
    assert names["S2/c.jpg"].height_m == pytest.approx(0.28, abs=0.01)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("media_id,species\na.jpg,unicorn\n", "line 2: no shoulder height is known of 'unicorn'"),
        ("media_id,shoulder_m\na.jpg,9\n", "line 2: a shoulder's height lies between"),
        ("media_id,species\na.jpg,fox\na.jpg,moose\n", "line 3: a.jpg has another height above"),
        ("media_id,species\nz.jpg,fox\n", "none of its 1 names"),
        ("animal,species\nz.jpg,fox\n", "media_id is missing"),
    ],
)
def test_bad_tables_are_told(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_shoulder_heights(write(tmp_path, text), MEDIA)
