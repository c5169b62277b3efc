from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trapmeter.errors import InputError
from trapmeter.tables.species_names import (
    PERSON,
    UNIDENTIFIED,
    VEHICLE,
    Identification,
    all_names,
    canonical_name,
    identify,
    is_animal,
    is_scientific,
    normalised,
    require_name,
)

UUID = "b1352069-a39c-4a84-a949-60044271c0c1"


@pytest.mark.parametrize(
    ("label", "species"),
    [
        ("virginia_opossum", "Didelphis virginiana"),
        ("Sanglier d’Europe", "Sus scrofa"),
        ("elan", "Alces alces"),
        ("Gämse", "Rupicapra rupicapra"),
        ("eastern_fox_squirrel", "eastern fox squirrel"),
        ("Sciurus niger", "Sciurus niger"),
        ("cervidae", "Cervidae"),
        ("Canis", "Canis"),
        ("Alopex lagopus", "Vulpes lagopus"),
        ("Person", PERSON),
        ("homo sapiens", PERSON),
        ("Fahrzeug", VEHICLE),
        ("animal", ""),
        ("no cv result", ""),
        ("tejón", "tejón"),
    ],
)
def test_labels_have_one_canonical_name(label: str, species: str) -> None:
    assert canonical_name(label) == species


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ("mammalia;carnivora;canidae;vulpes;vulpes;red fox", Identification("Vulpes vulpes", 0.7, "red fox")),
        ("mammalia;carnivora;felidae;lynx;;lynx species", Identification("Lynx", 0.7, "lynx species")),
        ("mammalia;artiodactyla;cervidae;;;cervidae family", Identification("Cervidae", 0.7, "cervidae family")),
        ("aves;;;;;bird", Identification("Aves", 0.7, "bird")),
        (
            "mammalia;rodentia;sciuridae;sciurus;niger;eastern fox squirrel",
            Identification("Sciurus niger", 0.7, "eastern fox squirrel"),
        ),
        (
            "mammalia;carnivora;canidae;canis;lupus familiaris;domestic dog",
            Identification("Canis familiaris", 0.7, "domestic dog"),
        ),
        ("mammalia;primates;hominidae;homo;sapiens;human", Identification(PERSON, 0.7, "human")),
        (";;;;;vehicle", Identification(VEHICLE, 0.7)),
        (";;;;;blank", UNIDENTIFIED),
        (";;;;;animal", UNIDENTIFIED),
        (";;;;;no cv result", UNIDENTIFIED),
    ],
)
def test_taxonomies_of_speciesnet_name_the_lowest_rank(label: str, expected: Identification) -> None:
    assert identify(f"{UUID};{label}", 0.7) == expected


def test_a_description_of_a_class_says_more_than_its_label() -> None:
    joined = "animalia;chordata;mammalia;didelphimorphia;didelphidae;didelphisvirginiana"
    assert identify("opossum_a", taxonomy=joined) == Identification("Didelphis virginiana", None, "opossum_a")
    assert identify("fox", taxonomy="x").species == "Vulpes vulpes"


def test_only_scientific_names_begin_with_a_capital() -> None:
    assert all(map(is_scientific, all_names()))
    assert not is_scientific(canonical_name("Gray squirrel"))
    assert is_scientific(identify("Equus", is_taxon=True).species)
    # A genus is no species of it, whatever that is called in some language.
    assert identify("lynx", is_taxon=True).species == "Lynx"


@given(st.text(max_size=40))
def test_a_canonical_name_is_its_own_canonical_name(text: str) -> None:
    name = canonical_name(text)
    assert canonical_name(name, is_taxon=is_scientific(name)) == name
    assert normalised(name) == normalised(normalised(name))


@given(st.sampled_from(sorted(all_names())), st.sampled_from([str.upper, str.lower, str.title, str.swapcase]))
def test_capitals_and_separators_do_not_matter(species: str, change) -> None:
    assert canonical_name(change(species).replace(" ", "_")) == species


def test_what_people_type_may_be_new_but_neither_ambiguous_nor_misspelt() -> None:
    assert require_name("Sciurus vulgaris") == "Sciurus vulgaris"
    assert require_name("deer") == "deer"
    assert require_name("Cervidae") == "Cervidae"
    assert require_name("Mensch") == PERSON
    assert require_name(" ") == ""
    with pytest.raises(InputError, match="'danta' is ambiguous: it may be Tapirus bairdii"):
        require_name("danta")
    with pytest.raises(
        InputError, match="no species is called 'Capreolus capreollus'; did you mean 'capreolus capreolus'"
    ):
        require_name("Capreolus capreollus")


@pytest.mark.parametrize("score", [None, 0.5, 0.9])
def test_a_sure_classification_stays(score: float | None) -> None:
    fox = Identification("Vulpes vulpes", score, "fox")
    assert fox.at_least(0.5) is fox


def test_an_unsure_classification_names_nothing_but_keeps_what_was_said() -> None:
    assert Identification("Vulpes vulpes", 0.4).at_least(0.5) == Identification("", 0.4, "Vulpes vulpes")
    assert Identification("Vulpes vulpes", 0.4, "fox").at_least(0.5) == Identification("", 0.4, "fox")
    # Whoever may be a person isn't measured.
    person = Identification(PERSON, 0.4)
    assert person.at_least(0.5) is person
    assert not is_animal(person.species)
