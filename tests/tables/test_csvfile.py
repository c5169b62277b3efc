import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from trapmeter.errors import InputError
from trapmeter.tables.csvfile import from_cell, read_columns, read_rows, to_cell

anything = st.text(st.characters(exclude_categories=[]) | st.sampled_from("='+-@\\u0049adf \t\n\r"))
LATIN = "video_id,time\na.mp4,1\nForêt.mp4,2\n".encode("latin-1")


@pytest.mark.parametrize("content", ["", "\n\n", " , \n", b"\xef\xbb\xbf"])
def test_an_empty_file_is_refused_with_the_expected_columns(write, content):
    with pytest.raises(InputError, match=r"table.csv is empty; .*video_id, time"):
        list(read_rows(write(content), required=("video_id", "time")))


def test_a_header_alone_has_no_rows(write):
    assert list(read_rows(write("video_id,time\n"), required=("video_id",))) == []


@pytest.mark.parametrize(
    "content",
    [
        "video_id,time\na b.mp4,1.5\n",
        "video_id,time\r\na b.mp4,1.5",
        "video_id,time\ra b.mp4,1.5\r",
        b"\xef\xbb\xbfvideo_id,time\na b.mp4,1.5\n",
        'time,other, video_id \n1.5,"x, y",  a b.mp4 \n',
        "video_id;time\na b.mp4;1.5\n",
        "video_id;time\na b.mp4;1,5\n",
        "video_id,time,,\na b.mp4,1.5,,\n",
        "video_id,time\na b.mp4,1.5,,\n",
    ],
)
def test_files_of_spreadsheets_are_read(write, content):
    (row,) = read_rows(write(content), required=("video_id", "time"))
    assert (row.text("video_id"), row.number("time"), row.line) == ("a b.mp4", 1.5, 2)


def test_line_numbers_are_those_of_the_file(write):
    text = '\n\nname,n\n\n"two\nlines",1\n,,\nlast,2\n'.replace(",,", ",")
    rows = list(read_rows(write(text), required=("name", "n")))
    assert [(row.line, row.raw("name")) for row in rows] == [(5, "two\nlines"), (8, "last")]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            "video_id,tiem\na,1\n",
            r"line 1: expected the columns video_id, time, but time is missing; found 'video_id', 'tiem'",
        ),
        ("a\tb\n", r"video_id, time are missing; found 'a', 'b'"),
        ("video_id,time,time\na,1,2\n", r"line 1: the column 'time' appears twice"),
        ("video_id,time\na,1\nb\n", r"line 3: expected 2 cells as in the header, got 1"),
        ("video_id,time\na,1,5\n", r"line 2: expected 2 cells as in the header, got 3"),
        ('video_id,time\n"a,1\nb,2\n', r"line 2: this is not a CSV row"),
        (LATIN, r"line 3: expected UTF-8 text, got byte 0xea at byte offset 25; save .*CSV UTF-8"),
        (b"\xef\xbb\xbf" + LATIN, r"line 3: .* byte offset 28"),
        ("video_id,time\n".encode("utf-16"), r"line 1: expected UTF-8 text, got byte 0xff at byte offset 0"),
    ],
)
def test_the_message_says_what_is_wrong_with_a_file(write, content, message):
    with pytest.raises(InputError, match=message):
        list(read_rows(write(content), required=("video_id", "time")))


@pytest.mark.parametrize("cell", ["", "x", "nan", "inf", "1_000", "1 000", '"1,5"', "12m"])
def test_a_cell_that_is_no_number_is_named(write, cell):
    (row,) = read_rows(write(f"name,n\na,{cell}\n"), required=("n",))
    with pytest.raises(InputError, match=r"table.csv, line 2, column 'n': expected a number, got "):
        row.number("n")


def test_thousands_separators_are_not_read_as_decimals(write):
    (row,) = read_rows(write("name;n\na;1.234,5\n"), required=("n",))
    with pytest.raises(InputError, match=r"got '1.234,5'"):
        row.number("n")


def test_empty_cells_missing_columns_and_negative_numbers(write):
    (row,) = read_rows(write("name,n,m\n ,-1,\n"), required=("n",))
    assert (row.optional_number("m"), row.optional_number("absent"), row.optional_text("absent")) == (None, None, "")
    with pytest.raises(InputError, match=r"column 'n': expected a number of metres >= 0, got '-1'"):
        row.non_negative_number("n", "metres")
    with pytest.raises(InputError, match=r"column 'name': expected a text"):
        row.text("name")


def test_missing_files_and_folders_are_refused(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        read_columns(tmp_path / "absent.csv")
    with pytest.raises(InputError, match="can't be read"):
        read_columns(tmp_path)


def test_columns_are_read_without_blanks(write):
    assert read_columns(write("")) == ()
    assert read_columns(write("a; b\n")) == ("a", "b")


def test_paths_may_be_texts(write):
    path = write("name,n\na,1\n")
    assert read_columns(str(path)) == ("name", "n")
    assert list(read_rows(str(path), required=("n",))) == list(read_rows(path, required=("n",)))


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("", ""),
        ("a/b.mp4", "a/b.mp4"),
        ("C:\\users\\x.mp4", "C:\\users\\x.mp4"),
        ("'tis.mp4", "'tis.mp4"),
        ("=1+1", "'=1+1"),
        ("  @x", "'  @x"),
        ("-5", "'-5"),
        ("'=x", "''=x"),
        ("two\nlines", "two\\u000alines"),
        ("\t=1", "\\u0009=1"),
        ("\udcff.mp4", "\\udcff.mp4"),
        ("\\udcff.mp4", "\\u005cudcff.mp4"),
    ],
)
def test_a_text_becomes_a_harmless_cell_and_comes_back(text, cell):
    assert to_cell(text) == cell
    assert from_cell(cell) == text


@given(anything)
@example("\\\\u005cu000a")
@example("\\\ud83d\ude00")
@example("'''  =")
def test_any_text_comes_back_from_one_harmless_line(text):
    cell = to_cell(text)
    assert from_cell(cell) == text
    assert not {"\n", "\r", "\t", "\0"} & set(cell)
    assert not cell.strip().startswith(("=", "+", "-", "@"))
    cell.encode()
