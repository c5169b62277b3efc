from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trapmeter.errors import InputError
from trapmeter.tables.flatfile import FlatRow, read_flat_file, write_flat_file

HEADER = "Region.Label,Area,multiplier,Sample.Label,Effort,distance,object\n"


def test_files_that_r_wrote_are_read(write):
    path = write(
        '"Region.Label","Area","Sample.Label","Effort","object","distance"\n"n",0,"1",2,1,8.4\n"n",0,"2",2,NA,NA\n'
    )
    assert read_flat_file(path) == [
        FlatRow(f"{path}, line 2", "n", 0, None, None, "1", 2, 8.4),
        FlatRow(f"{path}, line 3", "n", 0, None, None, "2", 2, None),
    ]


@pytest.mark.parametrize(("sep", "number"), [(",", "3.5"), ("\t", "3.5"), (";", "3,5")])
def test_other_separators_and_decimal_commas_are_read(write, sep, number):
    path = write(f"Sample.Label{sep}Effort{sep}distance\na{sep}10{sep}{number}\n")
    assert [(row.station_id, row.effort_snapshots, row.distance_m) for row in read_flat_file(path)] == [("a", 10, 3.5)]


def test_species_come_from_the_named_column(write):
    path = write("Sample.Label,Effort,distance,who\na,10,3,duiker\na,10,,\n")
    assert [row.species for row in read_flat_file(path, "who")] == ["duiker", ""]
    with pytest.raises(InputError, match="species is missing"):
        read_flat_file(path, "species")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("n,1,0.1,a,10,-3,1", r"line 2, column 'distance': expected metres >= 0.*got '-3'"),
        ("n,1,0.1,a,10,far,1", r"line 2, column 'distance': expected a number, got 'far'"),
        ("n,1,0.1,a,0,3,1", r"line 2, column 'Effort': expected the snapshots of the station, more than 0"),
        ("n,1,0.1,a,,3,1", r"line 2, column 'Effort'"),
        ("n,1,42,a,10,3,1", r"line 2, column 'multiplier'.*divide degrees by 360"),
        ("n,-1,0.1,a,10,3,1", r"line 2, column 'Area'"),
        ("n,1,0.1,,10,3,1", r"line 2, column 'Sample.Label'"),
    ],
)
def test_wrong_cells_are_named(write, row, message):
    with pytest.raises(InputError, match=message):
        read_flat_file(write(HEADER + row + "\n"))


def test_sizes_of_groups_and_other_columns_are_read(write):
    head = "Sample.Label;Effort;distance;size;season;height\n"
    first, second = read_flat_file(write(head + "a;1;3,5;2;dry;1,5\na;1;NA;NA;NA;2\n"), columns=("season", "height"))
    assert (first.size, first.cells) == (2, {"season": "dry", "height": "1.5"})
    assert (second.size, second.cells) == (1, {"season": "", "height": "2"})


@pytest.mark.parametrize("size", ["0", "-1", "2.5", "two"])
def test_a_size_is_a_whole_number_of_animals(write, size):
    with pytest.raises(InputError, match="line 2, column 'size'"):
        read_flat_file(write(f"Sample.Label,Effort,distance,size\na,1,3,{size}\n"))


rows = st.builds(
    FlatRow,
    st.just(""),
    st.text(max_size=8).map(str.strip),
    st.none() | st.floats(0, 1e6),
    st.none() | st.floats(1e-3, 1),
    st.none() | st.floats(1e-3, 1),
    st.text(min_size=1, max_size=8).map(str.strip).filter(bool),
    st.floats(1, 1e9),
    st.none() | st.floats(0, 100),
)


@pytest.mark.slow
@given(st.lists(rows, max_size=4))
def test_written_rows_come_back(tmp_path_factory, many):
    path = tmp_path_factory.mktemp("flat") / "flat.csv"
    write_flat_file(path, many)
    for before, after in zip(many, read_flat_file(path), strict=True):
        assert after.station_id == before.station_id
        assert after.stratum == before.stratum
        assert after.distance_m == (None if before.distance_m is None else pytest.approx(before.distance_m, rel=1e-9))
        assert after.effort_snapshots == pytest.approx(before.effort_snapshots, rel=1e-9)


def test_formulas_are_written_as_texts(tmp_path):
    path = tmp_path / "flat.csv"
    write_flat_file(path, [FlatRow("", "=1+1", 1, 1, None, "@a", 1, 2.0)])
    assert "'=1+1" in path.read_text()
    assert "'@a" in path.read_text()
