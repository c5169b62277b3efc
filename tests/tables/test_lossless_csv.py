import csv
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trapmeter.tables.lossless_csv import RawTable, field_text, quote_field, split_csv

PATH = Path("table.csv")


def written_back(table: RawTable) -> bytes:
    return table.to_bytes(table.header, table.records)


@pytest.mark.parametrize(
    "content",
    [
        b"a",
        b"a,b\n1,2",
        b"a,b\r\n1,2\r\n\r\n",
        b"\xef\xbb\xbf\n\na,b\r1,\r",
        b'a;b\n"1\n,";"x""y"\n;\n',
        b'"a","b"\n"","=1+1"\n',
        "a\tä\n€\t\n".encode(),
    ],
)
def test_every_byte_comes_back(content: bytes) -> None:
    assert written_back(split_csv(PATH, content)) == content


# The csv module quotes a lone \r only if lines end with it.
CELL = st.text(st.sampled_from('ab,;"\n\t =é'), max_size=6)


@given(
    rows=st.lists(st.lists(CELL, min_size=3, max_size=3), max_size=4),
    end=st.sampled_from(["\n", "\r\n"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    separator=st.sampled_from(",;\t"),
)
def test_cells_are_the_ones_that_the_csv_module_reads(
    rows: list[list[str]], end: str, quoting: int, separator: str
) -> None:
    file = io.StringIO()
    csv.writer(file, lineterminator=end, quoting=quoting, delimiter=separator).writerows([["a", "b", "c"], *rows])  # type: ignore[arg-type]
    content = file.getvalue().encode()
    table = split_csv(PATH, content)
    assert written_back(table) == content
    assert [list(map(field_text, record.fields)) for record in table.records] == rows
    lines = io.StringIO(file.getvalue(), newline="")
    reader = csv.reader(lines, delimiter=separator)
    next(reader)
    starts = []
    for _ in rows:
        starts.append(reader.line_num + 1)
        next(reader)
    assert [record.line for record in table.records] == starts


@given(CELL, st.booleans())
def test_a_field_holds_any_text(text: str, quoted: bool) -> None:
    assert field_text(quote_field(text, quoted=quoted)) == text


def test_rows_of_separators_and_blanks_are_blank() -> None:
    records = split_csv(PATH, b'a,b\n,\n"", \n\n0,\n').records
    assert [record.is_blank for record in records] == [True, True, True, False]
