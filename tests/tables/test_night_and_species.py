"""The columns night and species of distances.csv: written, read back, and missed where they are not."""

from pathlib import Path

import pytest

from trapmeter.calibration.field_facts import species_by_medium
from trapmeter.errors import InputError
from trapmeter.records import Estimate, Observation, Status
from trapmeter.tables.distances import read_distances, write_distances


def empty(is_night: bool | None, species: str = "") -> Estimate:
    return Estimate(Observation("a.mp4", 0, is_night=is_night, species=species), Status.NO_ANIMAL)


@pytest.mark.parametrize("species", ["", "=red fox"])
def test_both_come_back(tmp_path: Path, species: str) -> None:
    rows = [empty(True, species), empty(False), empty(None)]
    write_distances(tmp_path / "distances.csv", rows)
    assert read_distances(tmp_path / "distances.csv") == rows
    header = (tmp_path / "distances.csv").read_text().splitlines()[0]
    assert header.endswith("night,species" if species else "night")


def test_tables_of_earlier_versions_tell_neither(tmp_path: Path) -> None:
    path = tmp_path / "distances.csv"
    write_distances(path, [empty(True)])
    path.write_text("\n".join(line.rsplit(",", 1)[0] for line in path.read_text().splitlines()) + "\n")
    assert read_distances(path) == [empty(None)]


def test_a_night_is_0_or_1(tmp_path: Path) -> None:
    path = tmp_path / "distances.csv"
    write_distances(path, [empty(True)])
    path.write_text(path.read_text().rstrip()[:-1] + "2\n")
    with pytest.raises(InputError, match=r"line 2, column 'night'"):
        read_distances(path)


def test_species_are_told_by_name_or_by_table(tmp_path: Path) -> None:
    media = [("S1/a.mp4", "S1"), ("S2/b.mp4", "S2"), ("S3/c.mp4", "S3")]
    assert species_by_medium(None, media) == {}
    assert species_by_medium("red fox", media) == {media_id: "red fox" for media_id, _ in media}
    table = tmp_path / "species.csv"
    table.write_text("site_id,species,shoulder_m\nS1,red fox,\nS2,fox,0.4\nS2,lynx,0.4\n")
    assert species_by_medium(str(table), media) == {"S1/a.mp4": "red fox"}
    table.write_text("site_id,shoulder_m\nS1,0.4\n")
    assert species_by_medium(str(table), media) == {}
