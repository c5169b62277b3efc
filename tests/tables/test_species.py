from __future__ import annotations

import math

import pytest

from trapmeter.errors import InputError
from trapmeter.tables.csvfile import read_rows
from trapmeter.tables.species import shoulder_height_of, usual_shoulder, usual_shoulder_m
from trapmeter.tables.species_names import LANGUAGES, TABLE, all_names, canonical_name


@pytest.mark.parametrize(
    "name",
    [
        "red fox",
        "Red Fox",
        "red_fox",
        "fox",
        "Vulpes vulpes",
        " vulpes  VULPES ",
        "Rotfuchs",
        "RENARD ROUX",
        "zorro rojo",
    ],
)
def test_a_species_has_many_names(name: str) -> None:
    assert shoulder_height_of(name).height_m == pytest.approx(0.4, abs=0.01)


def test_all_heights_of_the_table_are_plausible() -> None:
    for row in read_rows(TABLE, required=("scientific", "low_m", "high_m")):
        assert 0.05 < row.number("low_m") < row.number("high_m") < 2 * row.number("low_m"), row.where
        height = usual_shoulder(row.text("scientific"))
        assert height is not None
        assert height.sd_log < 0.2


def test_every_species_has_names_in_all_languages_and_english_ones_are_unique() -> None:
    english = []
    for row in read_rows(TABLE, required=("scientific", *LANGUAGES)):
        names = [row.text(language).split("; ") for language in LANGUAGES]
        assert all(name == name.strip() and name for of_language in names for name in of_language), row.where
        english += [row.text("scientific"), *names[0]]
    assert len({name.casefold() for name in english}) == len(english) > 200
    assert all(canonical_name(name) in all_names() for name in english)


def test_heights_are_told_only_where_they_are_known() -> None:
    assert usual_shoulder_m("Sciurus niger") is usual_shoulder_m("Cervidae") is usual_shoulder_m("animal") is None
    # A genus or subfamily may be listed as a whole, and a subspecies is as large as its species.
    assert usual_shoulder_m("Genetta tigrina") == usual_shoulder_m("genet")
    assert usual_shoulder_m("duiker") == pytest.approx(math.sqrt(0.35 * 0.65))
    assert usual_shoulder_m("Sus scrofa scrofa") == usual_shoulder_m("wild boar")
    assert usual_shoulder_m("Canis lupus familiaris") == usual_shoulder_m("dog") != usual_shoulder_m("Canis lupus")


def test_an_unknown_species_is_refused_with_similar_names() -> None:
    with pytest.raises(InputError, match="no shoulder height is known for 'red foks'; known are 'red fox'"):
        shoulder_height_of("red foks")


@pytest.mark.parametrize(
    ("name", "candidates"),
    [
        ("tejón", r"Meles meles \(European badger\), Nasua narica \(white-nosed coati\)"),
        ("bear", r"Helarctos malayanus \(sun bear\).*Ursus thibetanus"),
        ("Hirsch", r"Cervus elaphus \(red deer\)"),
    ],
)
def test_an_ambiguous_name_is_refused_with_its_candidates(name: str, candidates: str) -> None:
    with pytest.raises(InputError, match=rf"'{name}' is ambiguous: it may be .*{candidates}.*give the scientific name"):
        shoulder_height_of(name)
