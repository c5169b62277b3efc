import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from trapmeter.tables.csvfile import from_cell, to_cell

anything = st.text(st.characters(exclude_categories=[]) | st.sampled_from("='+-@\\u0049adf \t\n\r"))


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
def test_texts(text, cell):
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
