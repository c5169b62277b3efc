from __future__ import annotations

import pytest

from trapmeter.errors import InputError
from trapmeter.records import Box
from trapmeter.tables.species import ShoulderHeight
from trapmeter.tables.species_names import PERSON, Identification
from trapmeter.tables.species_table import NamedAnimal, read_species_table

MEDIA = [("S1/a.jpg", "S1"), ("S1/b.jpg", "S1"), ("S2/c.jpg", "S2")]
LEFT, RIGHT = Box(0.1, 0.4, 0.3, 0.6, 0.9), Box(0.6, 0.4, 0.8, 0.6, 0.9)


def names(table, media_id: str, *boxes: Box | None, time_s: float = 0.0) -> list[str | None]:
    found = [table.find(media_id, time_s, box) for box in boxes or (None,)]
    return [None if one is None else one.identification.species for one in found]


def test_tables_name_animals_by_medium_folder_and_site(write):
    by_medium = read_species_table(write("media_id,species\na.jpg,fox\nb.jpg,\nx.jpg,fox\n"), MEDIA)
    assert [names(by_medium, media_id) for media_id, _ in MEDIA] == [["Vulpes vulpes"], [None], [None]]
    assert by_medium.find("S1/a.jpg", 0, None) == NamedAnimal(Identification("Vulpes vulpes", None, "fox"))
    by_site = read_species_table(write("site_id,shoulder_m\nS1,0.9\n"), MEDIA)
    assert by_site.find("S1/b.jpg", 3.0, LEFT).shoulder == ShoulderHeight(0.9)
    assert by_site.find("S2/c.jpg", 3.0, LEFT) is None
    by_folder = read_species_table(write("folder,scientificName\nS1,Meles meles\nS2/,Sciurus niger\n"), MEDIA)
    assert [names(by_folder, media_id) for media_id, _ in MEDIA] == [
        ["Meles meles"],
        ["Meles meles"],
        ["Sciurus niger"],
    ]
    assert by_folder.unsized == ("Sciurus niger",)


def test_rows_with_a_box_count_before_those_with_a_time_and_those_of_the_medium(write):
    text = (
        "media_id,time_s,x1,y1,x2,y2,species,species_score\n"
        "a.jpg,1,0.1,0.4,0.3,0.6,red fox,0.8\n"
        "a.jpg,1,0.6,0.4,0.8,0.6,human,\n"
        "a.jpg,2,,,,,badger,\n"
        "a.jpg,,,,,,wild boar,\n"
    )
    table = read_species_table(write(text), MEDIA)
    assert names(table, "S1/a.jpg", LEFT, RIGHT, time_s=1.0) == ["Vulpes vulpes", PERSON]
    assert table.find("S1/a.jpg", 1.0, LEFT).identification.score == 0.8
    assert names(table, "S1/a.jpg", LEFT, None, time_s=2.0) == ["Meles meles"] * 2
    assert names(table, "S1/a.jpg", LEFT, time_s=3.0) == ["Sus scrofa"]


def test_several_species_of_a_medium_without_boxes_name_none(write):
    table = read_species_table(write("media_id,species\na.jpg,fox\na.jpg,moose\nb.jpg,fox\nb.jpg,red fox\n"), MEDIA)
    assert names(table, "S1/a.jpg") == [None]
    assert names(table, "S1/b.jpg") == ["Vulpes vulpes"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("media_id,species\na.jpg,red foxx\n", "line 2: no species is called 'red foxx'; did you mean 'red fox'"),
        ("media_id,species\na.jpg,venado\n", "line 2: 'venado' is ambiguous"),
        ("media_id,shoulder_m\na.jpg,9\n", "line 2: expected a shoulder height of"),
        ("media_id,species,species_score\na.jpg,fox,80\n", r"line 2: expected a score of the species in 0..1, got 80"),
        ("media_id,species\nz.jpg,fox\n", "none of the 1 names"),
        ("animal,species\nz.jpg,fox\n", "media_id is missing"),
    ],
)
def test_bad_tables_are_refused(write, text, message):
    with pytest.raises(InputError, match=message):
        read_species_table(write(text), MEDIA)
