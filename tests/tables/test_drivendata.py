import pytest

from trapmeter.errors import InputError
from trapmeter.records import Box, VideoSecond
from trapmeter.tables.drivendata import Label, MetadataRow, read_labels, read_metadata, read_video_seconds

METADATA = "video_id,time,x1,y1,x2,y2,probability,park,site_id\n"


def test_headers_alone_hold_no_rows(write):
    assert read_labels(write("video_id,time,distance\n")) == []
    assert read_metadata(write(METADATA)) == []
    assert read_video_seconds(write("video_id,time\n")) == []


def test_labels_come_in_the_order_of_the_file(write):
    assert read_labels(write("video_id,time,distance\na.mp4,0,3.5\na.mp4,1,0\n")) == [
        Label("a.mp4", 0.0, 3.5),
        Label("a.mp4", 1.0, 0.0),
    ]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("a.mp4,0,3\nb.mp4,0,3\na.mp4,0.0,4\n", r"lines 2 and 4: the label of a.mp4 at 0 s appears twice"),
        ("a.mp4,zero,3\n", r"line 2, column 'time': expected a number, got 'zero'"),
        ("a.mp4,-1,3\n", r"line 2, column 'time': expected a number of seconds >= 0, got '-1'"),
        (
            "a.mp4,0,3\na.mp4,1,420\n",
            r"line 3, column 'distance': expected a number of metres up to 200 \(probably 42\.0 with",
        ),
        ("a.mp4,0,-3\n", r"line 2, column 'distance': expected a number of metres >= 0"),
        ("a.mp4,0,\n", r"line 2, column 'distance': expected a number, got ''"),
        (",0,3\n", r"line 2, column 'video_id': expected a text"),
    ],
)
def test_bad_labels_are_refused(write, rows, message):
    with pytest.raises(InputError, match=message):
        read_labels(write("video_id,time,distance\n" + rows))


def test_metadata_may_lack_a_box(write):
    assert read_metadata(write(METADATA + "a.mp4,0,0.1,0.2,0.3,0.4,0.9,moru,S1\na.mp4,1,,,,,,moru,\n")) == [
        MetadataRow("a.mp4", 0.0, Box(0.1, 0.2, 0.3, 0.4, 0.9), "moru", "S1"),
        MetadataRow("a.mp4", 1.0, None, "moru", ""),
    ]


def test_metadata_needs_neither_park_nor_site(write):
    (row,) = read_metadata(write("video_id,time,x1,y1,x2,y2,probability\na.mp4,0,,,,,\n"))
    assert row == MetadataRow("a.mp4", 0.0, None)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("a.mp4,0,0.1,,0.3,0.4,,p,s\n", r"line 2: expected all of .* or none of them, but y1, probability are empty"),
        ("a.mp4,0,0.1,0.2,1.3,0.4,0.9,p,s\n", r"line 2, columns x1, y1, x2, y2, probability: a box needs .* x2=1.3"),
        ("a.mp4,0,0.1,0.2,0.3,0.4,90,p,s\n", r"line 2, .* score must lie in 0..1, got 90"),
    ],
)
def test_bad_metadata_is_refused(write, row, message):
    with pytest.raises(InputError, match=message):
        read_metadata(write(METADATA + row))


def test_requested_seconds_ignore_other_columns_and_count_once(write):
    text = "species,time,video_id\nfox,2,a.mp4\nfox,2,a.mp4\nfox,1,a.mp4\n"
    assert read_video_seconds(write(text)) == [VideoSecond("a.mp4", 2.0), VideoSecond("a.mp4", 1.0)]


@pytest.mark.parametrize(
    ("folder", "split", "rows"),
    [
        ("deep-chimpact", "train", 15229),
        ("deep-chimpact", "test", 11932),
        ("simtrap", "train", 2172),
        ("simtrap", "test", 732),
    ],
)
def test_every_row_of_the_real_tables_loads(shared_file, folder, split, rows):
    assert len(read_metadata(shared_file(f"{folder}/{split}_metadata.csv"))) == rows


@pytest.mark.parametrize(
    ("name", "rows"), [("deep-chimpact/train_labels.csv", 15229), ("simtrap/test_labels.csv", 732)]
)
def test_every_label_loads(shared_file, name, rows):
    assert len(read_labels(shared_file(name))) == rows
    assert len(read_video_seconds(shared_file(name))) == rows
