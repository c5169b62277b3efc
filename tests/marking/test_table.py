"""The table of marks: what is saved is read back, and what isn't about marks stays byte for byte."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trapmeter.errors import InputError
from trapmeter.marking.table import PicturePlace, parse_table, put_object, read_table, remove_object
from trapmeter.tables.reference_marks import COLUMNS, Mark, Upright, UprightKind, parse_reference_marks

PATH = Path("points.csv")
PLACE = PicturePlace("S01", None, None, "S01/a.jpg", 1280, 720)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12).map(str.strip)


def point(x: float, y: float, metres: float) -> Upright:
    return Upright((Mark(x / 1280, y / 720),), metres, photo="S01/a.jpg")


def lines(content: bytes) -> list[str]:
    return content.decode().splitlines()


def test_a_missing_file_is_an_empty_table(tmp_path: Path) -> None:
    table = read_table(tmp_path / "points.csv")
    assert lines(table.content) == [",".join(COLUMNS)]
    assert table.deployments == ()
    assert not (tmp_path / "points.csv").exists()


def test_marks_are_added_changed_and_removed() -> None:
    table = put_object(read_table(PATH), point(640, 600, 3), PLACE)
    table = put_object(table, point(700.5, 400, 6.25), PLACE)
    assert lines(table.content)[1:] == [
        "S01,,,S01/a.jpg,,ground,640.0,600.0,1280,720,0,3",
        "S01,,,S01/a.jpg,,ground,700.5,400.0,1280,720,0,6.25",
    ]
    pole = Upright((Mark(0.5, 0.8), Mark(0.5, 0.4, 1.5)), None, UprightKind.POLE, "S01/a.jpg", "pole 1")
    table = put_object(table, pole, PLACE, {2})
    assert [line.split(",")[4] for line in lines(table.content)[1:]] == ["pole 1", "pole 1", ""]
    assert [one.distance_m for one in table.deployments[0].uprights] == [None, 6.25]
    table = remove_object(table, {2, 3})
    assert len(lines(table.content)) == 2


def test_other_rows_and_columns_stay_byte_for_byte() -> None:
    before = (
        b"\xef\xbb\xbfnote,site_id,x,y,distance_m\r\n"
        b'"a ""far"" one, by Eva",S09,0.50,0.7000,3.0\r\n'
        b"\r\n"
        b",S01,0.1,0.9,2\r\nkept,S01,0.2,0.5,8"
    )
    table = put_object(parse_table(PATH, before), point(64, 360, 9), PLACE)
    text = lines(table.content)
    assert table.content.startswith(b"\xef\xbb\xbfnote,site_id,x,y,distance_m,start,end,photo,object,kind,width,height")
    assert text[1] == '"a ""far"" one, by Eva",S09,0.50,0.7000,3.0,,,,,,,,'
    assert text[2] == ""
    assert text[4] == "kept,S01,0.2,0.5,8,,,,,,,,"
    assert text[5] == ",S01,64.0,360.0,9,,,S01/a.jpg,,ground,1280,720,0"
    assert table.content.count(b"\r\n") == 6
    # A changed row keeps its note and its place.
    (_, mine) = table.deployments
    changed = put_object(table, point(128, 360, 7.5), PLACE, {mine.uprights[1].line})
    assert lines(changed.content)[4] == "kept,S01,128.0,360.0,7.5,,,S01/a.jpg,,ground,1280,720,0"
    assert lines(changed.content)[:4] == text[:4]
    assert remove_object(changed, {mine.uprights[2].line}).content.count(b"\r\n") == 5


def test_a_table_with_semicolons_keeps_its_decimal_commas() -> None:
    table = parse_table(PATH, b"site_id;x;y;distance_m\nS01;0,5;0,75;3,5\n")
    table = put_object(table, point(640.5, 360, 7.25), PLACE)
    assert lines(table.content)[2] == 'S01;"640,5";"360,0";"7,25";;;S01/a.jpg;;ground;1280;720;0'
    assert [one.distance_m for one in table.deployments[0].uprights] == [3.5, 7.25]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"site_id,x,y\nS01,1,2\n", "distance_m is missing"),
        (b"site_id,x,y,distance_m\nS01,0.5,0.5,420\n", "line 2, column 'distance_m'.*probably 42.0"),
        (b"site_id,x,y,distance_m\nS01,0.5,3,4\n", "line 2, column 'y'"),
        (b"site_id,x,y,distance_m\nS01,0.5\n", "expected 4 cells"),
        (b"site_id,x,y,distance_m\nS\xff1,0.5,0.5,3\n", "UTF-8"),
        (b"site_id,x,y,distance_m,kind\nS01,0.5,0.5,3,tree\n", "one of ground, pole, person"),
        (
            b"site_id,x,y,distance_m,start,end\nS01,0.5,0.5,3,2024-05-01,2024-06-01\nS01,0.5,0.5,3,2024-05-20,\n",
            "overlap",
        ),
    ],
)
def test_a_broken_table_is_refused(content: bytes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_table(PATH, content)


@st.composite
def objects(draw: st.DrawFn) -> tuple[Upright, PicturePlace]:
    width, height = draw(st.integers(2, 9000)), draw(st.integers(2, 9000))
    place = PicturePlace(
        draw(TEXTS.filter(bool)),
        draw(st.sampled_from([None, datetime(2024, 5, 1)])),
        draw(st.sampled_from([None, datetime(2024, 6, 1, 12, 30)])),
        draw(TEXTS.filter(bool)),
        width,
        height,
    )
    kind = draw(st.sampled_from(UprightKind))
    heights = sorted(draw(st.sets(st.integers(0, 10_000), min_size=1, max_size=1 if kind == "ground" else 4)))
    xs = draw(st.lists(st.integers(-10 * width, 20 * width), min_size=len(heights), max_size=len(heights)))
    rows = draw(st.sets(st.integers(-10 * height, 20 * height), min_size=len(heights), max_size=len(heights)))
    places = zip(xs, sorted(rows, reverse=True), heights, strict=True)
    marks = tuple(Mark(x / 10 / width, y / 10 / height, metres / 1000) for x, y, metres in places)
    distance_m = draw(st.none() | st.integers(1, 200_000).map(lambda value: value / 1000))
    if len(marks) == 1 and distance_m is None:
        distance_m = 5.0
    name = draw(TEXTS.filter(bool)) if len(marks) > 1 else draw(TEXTS)
    return Upright(marks, distance_m, kind, place.photo, name), place


@given(objects())
def test_what_is_saved_is_read_back_the_same(saved: tuple[Upright, PicturePlace]) -> None:
    upright, place = saved
    table = put_object(read_table(PATH), upright, place)
    (deployment,) = parse_reference_marks(PATH, table.content.decode(), allows_few=True)
    assert (deployment.site_id, deployment.start, deployment.end) == (place.site_id, place.start, place.end)
    (found,) = deployment.uprights
    assert [(mark.x, mark.y, mark.height_m) for mark in found.marks] == [
        (mark.x, mark.y, mark.height_m) for mark in upright.marks
    ]
    assert (found.distance_m, found.kind, found.photo, found.name) == (
        *(upright.distance_m, upright.kind, upright.photo, upright.name),
    )
    # Putting it in its own place changes nothing.
    again = put_object(table, found, place, {mark.line for mark in found.marks})
    assert again.content == table.content
