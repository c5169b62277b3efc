import json
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trapmeter.errors import InputError, RunError
from trapmeter.records import Box, Distance, Estimate, Observation, Status
from trapmeter.tables.distances import (
    COLUMNS,
    DRAW_COLUMNS,
    NIGHT_COLUMN,
    read_distances,
    read_run_facts,
    write_distances,
)

HEADER = ",".join((*COLUMNS, *DRAW_COLUMNS, NIGHT_COLUMN)) + "\n"
ONE = Estimate(
    Observation("a/b.mp4", 12.5, Box(0.1, 0.2, 0.30004, 1.0, 0.87654), 2, "S1"),
    Status.MEASURED,
    Distance(5.0, 4.123, 6.999, tuple(3.004 + 0.5 * i for i in range(10))),
    angle_deg=-0.04,
    reason="=edge",
    model_id="m1",
)
DRAWN = "3.00,3.50,4.00,4.50,5.00,5.50,6.00,6.50,7.00,7.50"
ROW = f"a/b.mp4,12.5,2,0.1000,0.2000,0.3000,1.0000,0.877,5.00,4.12,7.00,0.0,S1,measured,'=edge,m1,{DRAWN},\n"

texts = st.text(st.characters(exclude_categories=[]) | st.sampled_from("='+-@\\u;,\" \t\n\r"), max_size=12)
fractions = st.floats(0, 1)
metres = st.floats(0, 1e4)


@st.composite
def boxes(draw):
    x1, x2 = sorted(draw(st.tuples(fractions, fractions).filter(lambda pair: pair[0] != pair[1])))
    y1, y2 = sorted(draw(st.tuples(fractions, fractions).filter(lambda pair: pair[0] != pair[1])))
    return Box(x1, y1, x2, y2, draw(fractions))


def draws():
    return st.just(()) | st.lists(metres, min_size=10, max_size=10).map(sorted).map(tuple)


@st.composite
def estimates(draw):
    status = draw(st.sampled_from(Status))
    low, middle, high = sorted(draw(st.tuples(metres, metres, metres)))
    observation = Observation(
        draw(texts), draw(st.floats(0, 1e6)), draw(st.none() | boxes()), draw(st.integers(0, 999)), draw(texts)
    )
    return Estimate(
        observation,
        status,
        Distance(middle, low, high, draw(draws())) if status is Status.MEASURED else None,
        draw(st.none() | st.floats(-180, 180)),
        draw(texts.filter(bool)),
        draw(texts),
    )


def test_without_estimates_the_file_is_a_header_alone(tmp_path):
    write_distances(tmp_path / "d.csv", [])
    assert (tmp_path / "d.csv").read_text() == HEADER
    assert read_distances(tmp_path / "d.csv") == []


def test_numbers_have_fixed_decimals(tmp_path):
    write_distances(tmp_path / "d.csv", [ONE])
    assert (tmp_path / "d.csv").read_bytes().decode() == HEADER + ROW
    (back,) = read_distances(tmp_path / "d.csv")
    assert back.reason == "=edge"
    assert back.distance == Distance(5.0, 4.12, 7.0, tuple(3.0 + 0.5 * i for i in range(10)))


def test_a_row_without_an_animal_has_empty_cells(tmp_path):
    write_distances(tmp_path / "d.csv", [Estimate(Observation("a.mp4", 0.0), Status.NO_ANIMAL)])
    blank = "a.mp4,0,,,,,,,,,,,,no_animal,," + "," * len(DRAW_COLUMNS) + ",\n"
    assert (tmp_path / "d.csv").read_text() == HEADER + blank


def test_a_table_without_draws_is_read(write):
    (back,) = read_distances(write(",".join(COLUMNS) + "\n" + ROW.removesuffix(f",{DRAWN},\n") + "\n"))
    assert back.distance == Distance(5.0, 4.12, 7.0)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(estimates(), max_size=4))
def test_any_estimates_come_back(tmp_path, given_estimates):
    path = tmp_path / "d.csv"
    write_distances(path, given_estimates)
    first = path.read_bytes()
    back = read_distances(path)
    assert first.decode("utf-8").count("\n") == len(given_estimates) + 1
    for before, after in zip(given_estimates, back, strict=True):
        assert after.observation.media_id == before.observation.media_id
        assert after.observation.site_id == before.observation.site_id
        assert (after.reason, after.model_id, after.status) == (before.reason, before.model_id, before.status)
        assert after.observation.animal_id == before.observation.animal_id
        assert after.observation.time_s == pytest.approx(before.observation.time_s, abs=6e-4)
        if before.distance is None:
            assert after.distance is None
        else:
            assert after.distance is not None
            assert after.distance.distance_m == pytest.approx(before.distance.distance_m, abs=6e-3)
        if before.observation.box is None:
            assert after.observation.box is None
        else:
            assert after.observation.box is not None
            assert after.observation.box.xyxy == pytest.approx(before.observation.box.xyxy, abs=1.6e-4)
    write_distances(path, back)
    assert path.read_bytes() == first


def test_an_interrupted_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "d.csv"
    path.write_text("old")

    def broken():
        yield ONE
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_distances(path, broken())
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["d.csv"]


def test_a_missing_folder_is_refused(tmp_path):
    with pytest.raises(RunError, match="can't be written"):
        write_distances(tmp_path / "absent" / "d.csv", [ONE])


def test_a_file_that_a_spreadsheet_saved_again_is_read(write):
    row = "a/b.mp4;12,5;2;0,1;0,2;0,3;1;0,877;5;4,12;7;0;S1;measured;'=edge;m1\r\n"
    path = write(b"\xef\xbb\xbf" + (";".join(COLUMNS) + "\r\n" + row).encode())
    (back,) = read_distances(path)
    assert back.observation == Observation("a/b.mp4", 12.5, Box(0.1, 0.2, 0.3, 1.0, 0.877), 2, "S1")
    assert back.distance == Distance(5.0, 4.12, 7.0)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("measured", "guessed", r"line 2, column 'status': expected one of measured, no_animal.*got 'guessed'"),
        ("measured", "no_animal", r"line 2: only measured rows have a distance"),
        (",2,", ",2.5,", r"line 2, column 'animal_id': expected a whole number"),
        ("5.00,4.12", "5.00,", r"line 2, column 'low_m': expected a number, got ''"),
        ("5.00,4.12", "5.00,5.12", r"line 2: expected 0 <= low <= distance <= high"),
        ("0.3000", "0.0500", r"line 2, columns x1, y1, x2, y2, score: a box needs"),
        ("0.877", "", r"line 2: expected all of"),
        ("7.50", "7.00x", r"line 2, column 'q95_m': expected a number"),
        ("7.50", "6.00", r"line 2: expected 10 draws >= 0, ascending"),
    ],
)
def test_bad_rows_are_refused(write, old, new, message):
    with pytest.raises(InputError, match=message):
        read_distances(write(HEADER + ROW.replace(old, new)))


def test_another_table_is_refused(write):
    with pytest.raises(InputError, match=r"media_id, time_s, .* are missing; found 'video_id'"):
        read_distances(write("video_id\n"))


def empty(is_night: bool | None, species: str = "") -> Estimate:
    return Estimate(Observation("a.mp4", 0, is_night=is_night, species=species), Status.NO_ANIMAL)


@pytest.mark.parametrize("species", ["", "=red fox"])
def test_night_and_species_come_back(tmp_path: Path, species: str) -> None:
    rows = [empty(True, species), empty(False), empty(None)]
    write_distances(tmp_path / "distances.csv", rows)
    assert read_distances(tmp_path / "distances.csv") == rows
    header = (tmp_path / "distances.csv").read_text().splitlines()[0]
    assert header.endswith("night,species" if species else "night")


def test_tables_of_earlier_versions_have_neither(tmp_path: Path) -> None:
    path = tmp_path / "distances.csv"
    write_distances(path, [empty(True)])
    path.write_text("\n".join(line.rsplit(",", 1)[0] for line in path.read_text().splitlines()) + "\n")
    assert read_distances(path) == [empty(None)]


def test_night_is_0_or_1(tmp_path: Path) -> None:
    path = tmp_path / "distances.csv"
    write_distances(path, [empty(True)])
    path.write_text(path.read_text().rstrip()[:-1] + "2\n")
    with pytest.raises(InputError, match=r"line 2, column 'night'"):
        read_distances(path)


def test_run_json_of_an_earlier_version_gets_the_names_of_this_one(tmp_path: Path) -> None:
    source = tmp_path / "distances.csv"
    cameras = {"n_exif": 0, "exif": None}
    for name in ("told", "n_with_hfov"):
        run = {"cameras": {name: 3, **cameras}}
        for content in (run, {"run": run}):
            (tmp_path / "run.json").write_text(json.dumps(content))
            assert read_run_facts(source) == {"cameras": {"n_with_hfov": 3, **cameras}}
    (tmp_path / "run.json").write_text('{"cameras": ["told"], "run": 3}')
    assert read_run_facts(source) == {}


def test_run_json_gives_only_values_of_the_right_type(tmp_path: Path) -> None:
    source = tmp_path / "distances.csv"
    assert read_run_facts(source) == {}
    facts = {
        "root": "/data",
        "arguments": {"every_s": 1},
        "models": {"detector": {"model_id": "md"}},
        "finished": "2026-01-02",
    }
    (tmp_path / "run.json").write_text(json.dumps({"run": facts, "labels": 3}))
    read = read_run_facts(str(source))
    assert (read.root, read.arguments, read.detector_id) == (Path("/data"), {"every_s": 1}, "md")
    assert read.finished == datetime(2026, 1, 2)
    (tmp_path / "run.json").write_text(json.dumps({"root": 3, "arguments": [], "models": [], "finished": "yesterday"}))
    read = read_run_facts(source)
    assert (read.root, read.arguments, read.detector_id, read.finished) == (None, {}, None, None)
