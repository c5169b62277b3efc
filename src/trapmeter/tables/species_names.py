"""Names of species: what people and classifiers write, as one canonical name.

`embedded/species.csv` lists some 160 species with former scientific names, and with names in English, German, French and
Spanish. The canonical name of a species is its scientific one. A name that the table lacks stays as it is, scientific names
with a capital and all others without, so that the first letter tells them apart. People and vehicles have names of their
own, and are no animals.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from trapmeter.errors import InputError
from trapmeter.tables.csvfile import read_rows

TABLE = Path(__file__).parent / "embedded" / "species.csv"
LANGUAGES = ("english", "german", "french", "spanish")
PERSON, VEHICLE = "Homo sapiens", "vehicle"
NOT_ANIMALS = frozenset({PERSON, VEHICLE})
"""Canonical names of what is kept apart from animals."""
UNKNOWN = ""
"""The canonical name of an animal of unknown species."""
MAX_LISTED = 8
"""Names that a message lists."""
MIN_LETTERS = 4
"""Shorter words are no parts of names."""
SIMILAR, MISSPELT = 0.6, 0.85
"""Likeness (0..1, see difflib) from which a message names a species, and from which a name counts as misspelt."""

_WORDS = {
    PERSON: "person people human humans man woman mensch menschen humain humains personne homme persona personas humano homo",
    VEHICLE: "vehicle vehicles car truck fahrzeug fahrzeuge auto vehicule vehicules voiture vehiculo vehiculos coche",
    UNKNOWN: "animal animals animalia tier animaux blank empty leer vide vacio unknown none unidentified unbekannt inconnu",
}
_SPECIAL = {
    **{word: name for name, words in _WORDS.items() for word in words.split()},
    **dict.fromkeys(("homo sapiens", "homo species"), PERSON),
    **dict.fromkeys(("", "no cv result", "unknown animal", "desconocido"), UNKNOWN),
}
"""Names without accents of people, of vehicles, and of nothing in particular."""
_DOMESTIC = frozenset({"familiaris", "domesticus", "domestica", "catus", "dingo"})
"""Third names of domestic forms, which have another size than the species that they are counted to."""
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_SCIENTIFIC = re.compile(r"[A-Z][a-z]+( [a-z]+(us|um|a|is|i|ae|ger|or|os|on|ns|x|es)){1,2}")
"""A genus and a species as they are written; English words rarely end like this."""
_FAMILY = re.compile(r"[a-z]+(idae|inae|iformes)")


@dataclass(frozen=True, slots=True)
class Identification:
    """What somebody says an animal is.

    species: its canonical name, "" if unknown. score: confidence of the classifier that named it, 0..1; None if no
    classifier did. label: what was written, if that is another name than species.
    """

    species: str = UNKNOWN
    score: float | None = None
    label: str = ""

    def at_least(self, min_score: float) -> Identification:
        """The same, of unknown species if the classifier was less sure; people and vehicles stay apart."""
        if self.score is None or self.score >= min_score or not is_animal(self.species):
            return self
        return Identification(UNKNOWN, self.score, self.label or self.species)


UNIDENTIFIED = Identification()


def is_animal(species: str) -> bool:
    """Whether a canonical name is one of an animal, known or not, rather than of a person or vehicle."""
    return species not in NOT_ANIMALS


def is_scientific(species: str) -> bool:
    """Whether a canonical name is a scientific one, of any rank."""
    return species[:1].isupper()


def identify(label: str, score: float | None = None, *, taxonomy: str = "", is_taxon: bool = False) -> Identification:
    """What a label of a classifier or of a table says; an ambiguous name stays as it is.

    taxonomy: the class to the species, separated by semicolons, if the label has such a description. is_taxon: the label is
    a scientific name, whatever it looks like.

    Example:
        >>> identify("eastern_fox_squirrel").species, identify("renard roux").species
        ('eastern fox squirrel', 'Vulpes vulpes')
    """
    label = label.strip()
    parsed = _parse_taxonomy(taxonomy) or _parse_taxonomy(label)
    if parsed is None:
        species = canonical_name(label, is_taxon=is_taxon)
        return Identification(species, score if species else None, label if species and label != species else "")
    species, common = parsed
    said = common if ";" in label else label
    return Identification(species, score if species else None, said if species and said != species else "")


def canonical_name(name: str, *, is_taxon: bool = False) -> str:
    """The one name under which results keep a species: its scientific name if the table has it.

    PERSON, VEHICLE or "" for names of people, of vehicles, and of nothing in particular. Names that the table lacks stay.
    """
    key = normalised(name)
    if key in _SPECIAL:
        return _SPECIAL[key]
    found = _taxa_called(key) if is_taxon else _species_called(key)
    if len(found) == 1:
        return found[0]
    words = " ".join(name.replace("_", " ").split())
    is_taxon = is_taxon or bool(_SCIENTIFIC.fullmatch(words) or _FAMILY.fullmatch(key)) or key in _names().genera
    return words.capitalize() if is_taxon else words.casefold()


def require_name(name: str) -> str:
    """The canonical name of what a person typed, which the table may lack; misspelt and ambiguous names are refused.

    Raises:
        InputError: several species have this name, or it looks like a misspelt one; the message lists them.
    """
    canonical, key = canonical_name(name), normalised(name)
    found = _species_called(key)
    if len(found) > 1:
        raise _ambiguous(name, found)
    is_listed = len(found) == 1 or key in _SPECIAL or key in _names().genera
    if not is_listed and (near := _similar(key, MISSPELT)):
        raise InputError(f"no species is called {name!r}; did you mean {_listed(near)}?")
    return canonical


def require_known(name: str, advice: str) -> str:
    """The scientific name of a species of the table. advice: ends the message about an unknown name.

    Raises:
        InputError: several species have this name, or none has; the message lists candidates.
    """
    key = normalised(name)
    found = _species_called(key)
    if len(found) == 1:
        return found[0]
    if candidates := found or _species_with(key):
        raise _ambiguous(name, candidates)
    near = _similar(key, SIMILAR)
    hint = f"known are {_listed(near)}" if near else "use a scientific, English, German, French or Spanish name"
    raise InputError(f"no shoulder height is known for {name!r}; {hint}; {advice}")


def english_name(species: str) -> str:
    """The first English name of a canonical name; "" if the table lacks it."""
    return _english_names().get(species, "")


def all_names() -> Iterable[str]:
    """The canonical names of the table, in its order."""
    return _english_names()


def normalised(name: str) -> str:
    """A name without capitals, accents, hyphens, underscores and double spaces."""
    decomposed = unicodedata.normalize("NFKD", name.casefold().replace("ß", "ss").replace("œ", "oe"))
    plain = "".join(character for character in decomposed if not unicodedata.combining(character))
    return " ".join(re.sub(r"[-_’'.]", " ", plain).split())


def _parse_taxonomy(text: str) -> tuple[str, str] | None:
    """The canonical name and the common name of a taxonomy string; None if the text is none.

    SpeciesNet writes "uuid;class;order;family;genus;species;common name", others "kingdom;phylum;class;...;genusspecies".
    """
    parts = [part.strip() for part in text.split(";")]
    if len(parts) < 5:
        return None
    if _UUID.fullmatch(parts[0]):
        parts = parts[1:]
    ranks, common = (parts[2:], "") if parts[0].casefold() == "animalia" else (parts[:-1], parts[-1])
    if canonical_name(common) in NOT_ANIMALS:
        return canonical_name(common), common
    if len(ranks) >= 5 and ranks[3] and ranks[4]:
        epithet = ranks[4].removeprefix(f"{ranks[3]} ")
        return canonical_name(f"{ranks[3]} {epithet}", is_taxon=True), common
    lowest = next((part for part in reversed(ranks) if part), "")
    if not lowest:
        return canonical_name(common), common
    return _names().joined.get(lowest.casefold()) or canonical_name(lowest, is_taxon=True), common


def _taxa_called(key: str) -> tuple[str, ...]:
    """The species or other taxon with this scientific name; a subspecies is the species that it is of."""
    scientific, words = _names().scientific, key.split()
    if key not in scientific and len(words) == 3 and words[2] not in _DOMESTIC:
        key = " ".join(words[:2])
    return (scientific[key],) if key in scientific else ()


def _species_called(key: str) -> tuple[str, ...]:
    """The species with this name: by its scientific or English name, or else by those in other languages."""
    names = _names()
    return _taxa_called(key) or names.english.get(key) or names.foreign.get(key) or ()


def _species_with(key: str) -> list[str]:
    """The species that have this word in a name, if there are several: "deer", "hirsch"."""
    if len(key) < MIN_LETTERS:
        return []
    names = _names()
    every = [
        *((name, (one,)) for name, one in names.scientific.items()),
        *names.english.items(),
        *names.foreign.items(),
    ]
    found = {one for name, species in every if key in name.split() or name.endswith(key) for one in species}
    return sorted(found) if len(found) > 1 else []


def _ambiguous(name: str, species: Iterable[str]) -> InputError:
    listed = [f"{one} ({english_name(one)})" for one in sorted(species)]
    more = f" and {len(listed) - MAX_LISTED} more" if len(listed) > MAX_LISTED else ""
    return InputError(
        f"{name!r} is ambiguous: it may be {', '.join(listed[:MAX_LISTED])}{more}; give the scientific name"
    )


def _similar(key: str, likeness: float) -> list[str]:
    names = _names()
    known = {**names.scientific, **names.english, **names.foreign}
    return difflib.get_close_matches(key, known, n=4, cutoff=likeness)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(repr, names))


@dataclass(frozen=True, slots=True)
class _Names:
    """The table's names without accents, each with its species. joined: scientific names written as one word."""

    scientific: Mapping[str, str]
    english: Mapping[str, tuple[str, ...]]
    foreign: Mapping[str, tuple[str, ...]]
    joined: Mapping[str, str]
    genera: frozenset[str]


@cache
def _names() -> _Names:
    scientific: dict[str, str] = {}
    english: dict[str, tuple[str, ...]] = {}
    foreign: dict[str, tuple[str, ...]] = {}
    for row in read_rows(TABLE, required=("scientific", *LANGUAGES)):
        species = row.text("scientific")
        former = row.optional_text("synonyms").split("; ")
        scientific |= dict.fromkeys(map(normalised, filter(None, (species, *former))), species)
        for language in LANGUAGES:
            names = english if language == "english" else foreign
            for name in map(normalised, row.text(language).split("; ")):
                if species not in names.get(name, ()):
                    names[name] = (*names.get(name, ()), species)
    joined = {name.replace(" ", ""): species for name, species in scientific.items()}
    genera = frozenset(name.split()[0] for name in scientific)
    return _Names(scientific, english, foreign, joined, genera)


@cache
def _english_names() -> dict[str, str]:
    rows = read_rows(TABLE, required=("scientific", "english"))
    return {row.text("scientific"): row.text("english").split("; ")[0] for row in rows}
