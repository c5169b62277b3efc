from __future__ import annotations

import pytest

from trapmeter.calibration.field_facts import species_by_medium
from trapmeter.errors import InputError
from trapmeter.tables.csvfile import read_rows
from trapmeter.tables.species import TABLE, ShoulderHeight, read_shoulder_heights, shoulder_height_of

MEDIA = [("S1/a.jpg", "S1"), ("S1/b.jpg", "S1"), ("S2/c.jpg", "S2")]


@pytest.mark.parametrize("name", ["red fox", "Red Fox", "red_fox", "fox", "Vulpes vulpes", " vulpes  VULPES "])
def test_a_species_has_many_names(name: str) -> None:
    assert shoulder_height_of(name).height_m == pytest.approx(0.4, abs=0.01)


def test_all_heights_of_the_table_are_plausible_and_all_names_unique() -> None:
    names = []
    for row in read_rows(TABLE, required=("scientific", "english", "low_m", "high_m")):
        assert 0.05 < row.number("low_m") < row.number("high_m") < 2 * row.number("low_m"), row.where
        names += [row.text("scientific"), *row.text("english").split("; ")]
    assert len({name.casefold() for name in names}) == len(names) > 200
    assert all(shoulder_height_of(name).sd_log < 0.2 for name in names)


def test_an_unknown_species_is_refused_with_similar_names() -> None:
    with pytest.raises(InputError, match="no shoulder height is known for 'red foks'; known are 'red fox'"):
        shoulder_height_of("red foks")


def test_tables_give_heights_by_medium_and_by_site(write):
    by_medium = read_shoulder_heights(write("media_id,species\na.jpg,fox\nb.jpg,\nx.jpg,fox\n"), MEDIA)
    assert by_medium == {"S1/a.jpg": shoulder_height_of("red fox")}
    by_site = read_shoulder_heights(write("site_id,shoulder_m\nS1,0.9\n"), MEDIA)
    assert by_site == {"S1/a.jpg": ShoulderHeight(0.9), "S1/b.jpg": ShoulderHeight(0.9)}
    names = read_shoulder_heights(write("file,scientificName\nc.jpg,Meles meles\n"), MEDIA)
    assert names["S2/c.jpg"].height_m == pytest.approx(0.28, abs=0.01)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("media_id,species\na.jpg,unicorn\n", "line 2: no shoulder height is known for 'unicorn'"),
        ("media_id,shoulder_m\na.jpg,9\n", "line 2: expected a shoulder height of"),
        ("media_id,species\na.jpg,fox\na.jpg,moose\n", "line 3: a.jpg has another height in a row above"),
        ("media_id,species\nz.jpg,fox\n", "none of the 1 names"),
        ("animal,species\nz.jpg,fox\n", "media_id is missing"),
    ],
)
def test_bad_tables_are_refused(write, text, message):
    with pytest.raises(InputError, match=message):
        read_shoulder_heights(write(text), MEDIA)


def test_species_come_by_name_or_from_a_table(write):
    media = [("S1/a.mp4", "S1"), ("S2/b.mp4", "S2"), ("S3/c.mp4", "S3")]
    assert species_by_medium(None, media) == {}
    assert species_by_medium("red fox", media) == {media_id: "red fox" for media_id, _ in media}
    table = write("site_id,species,shoulder_m\nS1,red fox,\nS2,fox,0.4\nS2,lynx,0.4\n", "species.csv")
    assert species_by_medium(str(table), media) == {"S1/a.mp4": "red fox"}
    write("site_id,shoulder_m\nS1,0.4\n", "species.csv")
    assert species_by_medium(str(table), media) == {}
