import json

import pytest

from estimates import make_estimate
from trapmeter.errors import InputError
from trapmeter.records import Box, Estimate, Observation, Status
from trapmeter.tables.boxes import MediumBoxes, read_boxes
from trapmeter.tables.distances import write_distances

METADATA = "video_id,time,x1,y1,x2,y2,probability\n"


def box(score: float) -> Box:
    return Box(0.1, 0.1, 0.5, 0.5, score)


def scores(medium: MediumBoxes | None, *at: float) -> list[float]:
    assert medium is not None
    return [found.score for found in medium.at(*at)]


@pytest.mark.parametrize(
    ("time_s", "expected"),
    [
        (0.0, []),
        (0.5, []),
        (0.51, [0.2, 0.1]),
        (1.0, [0.2, 0.1]),
        (1.5, [0.2, 0.1]),
        (1.6, []),
        (2.2, []),
        (2.5, []),
        (2.51, [0.3]),
        (3.5, [0.3]),
        (3.51, []),
    ],
)
def test_the_nearest_picture_within_a_half_open_tolerance_counts(time_s, expected):
    medium = MediumBoxes("v.mp4", ((1.0, (box(0.1), box(0.2))), (2.0, ()), (3.0, (box(0.3),))))
    assert scores(medium, time_s) == expected


def test_a_medium_without_times_has_only_its_untimed_boxes():
    assert MediumBoxes("v.mp4").at(0.0) == []
    assert MediumBoxes("p.jpg", untimed=(box(0.1), box(0.9))).at(7.0) == [box(0.9), box(0.1)]


def test_each_picture_belongs_to_one_second():
    medium = MediumBoxes("v.mp4", tuple((number / 4, (box(0.5),)) for number in range(2)))
    assert scores(medium, 0.0, 0.125) == [0.5]
    assert scores(medium, 0.125, 0.125) == [0.5]
    assert scores(medium, 0.375, 0.125) == [0.5]
    assert scores(medium, 0.376, 0.125) == []


def test_a_header_alone_holds_no_boxes(write):
    table = read_boxes(write(METADATA))
    assert (len(table), table.find("a.mp4"), table.kind) == (0, None, "DrivenData metadata")


def test_boxes_of_drivendata_are_found_by_medium_and_time(write):
    table = read_boxes(
        write(
            METADATA + "b/v.mp4,1,0.1,0.1,0.5,0.5,0.9\nb/v.mp4,2,,,,,\nb/v.mp4,1,0.1,0.1,0.5,0.5,0.95\nw.mp4,0,,,,,\n"
        )
    )
    assert len(table) == 2
    assert scores(table.find("a/b/v.mp4"), 1.0) == [0.95, 0.9]
    assert scores(table.find("a/b/v.mp4"), 2.0) == []
    assert scores(table.find("a/w.mp4"), 0.0) == []
    assert table.find("v2.mp4") is None


def test_megadetectors_json_is_recognised_under_any_name(write):
    found = {"category": "1", "conf": 0.9, "bbox": [0.1, 0.1, 0.4, 0.4]}
    text = json.dumps(
        {
            "detection_categories": {"1": "animal"},
            "images": [
                {"file": "D:\\cards\\s1\\p.jpg", "detections": [found]},
                {"file": "bad.jpg", "failure": "cannot open"},
                {
                    "file": "v.mp4",
                    "frame_rate": 20,
                    "frames_processed": [0, 10, 20],
                    "detections": [found | {"frame_number": 0}],
                },
                {"file": "old.mp4", "detections": [found | {"frame_number": 0}]},
            ],
        }
    )
    table = read_boxes(write(b"\xef\xbb\xbf\n" + text.encode(), "boxes.csv"))
    assert (len(table), table.kind) == (4, "MegaDetector JSON")
    assert scores(table.find("s1/p.jpg"), 99.0) == [0.9]
    bad, old = table.find("bad.jpg"), table.find("old.mp4")
    assert bad is not None and bad.failure == "cannot open"
    assert old is not None
    assert old.at(0.0) is None, "only the video itself knows the times of its frames"
    assert [box.score for box in old.with_frame_rate(25.0).at(0.2)] == [0.9]
    # The picture at half a second was processed and is blank: the box of second 0 does not count for it.
    assert scores(table.find("v.mp4"), 0.0) == [0.9]
    assert scores(table.find("v.mp4"), 0.4) == []


def test_boxes_of_distances_csv_are_read_and_failures_kept(tmp_path):
    path = tmp_path / "any.txt"
    rows = [
        make_estimate(box=box(0.5)),
        Estimate(Observation("v.mp4", 0.0, box(0.7), 2), Status.FAILED, reason="too dark"),
        Estimate(Observation("v.mp4", 1.0), Status.NO_ANIMAL),
        Estimate(Observation("w.mp4", 0.0), Status.FAILED, reason="cannot decode"),
    ]
    write_distances(path, rows)
    table = read_boxes(path)
    assert (len(table), table.kind) == (2, "trapmeter distances")
    assert scores(table.find("v.mp4"), 0.0) == [0.7, 0.5]
    assert scores(table.find("v.mp4"), 0.6) == []
    failed = table.find("w.mp4")
    assert failed is not None and failed.failure == "cannot decode"


def test_ambiguous_names_are_refused_and_listed(write):
    table = read_boxes(write(METADATA + "x/v.mp4,0,,,,,\ny/v.mp4,0,,,,,\nw.mp4,0,,,,,\n"))
    with pytest.raises(InputError, match=r"v.mp4 could be any of x/v.mp4, y/v.mp4"):
        table.find("v.mp4")
    table.check(["a/w.mp4", "x/v.mp4"])
    with pytest.raises(InputError, match=r"w.mp4 could be any of a/w.mp4, b/w.mp4"):
        table.check(["a/w.mp4", "b/w.mp4"])


@pytest.mark.parametrize(("content", "found"), [("", "nothing"), ("video_id,time,distance\n", "'distance'")])
def test_another_table_is_refused(write, content, found):
    with pytest.raises(InputError, match=rf"expected a table of boxes: .* found .*{found}"):
        read_boxes(write(content))


def test_real_tables_have_all_their_media(shared_file):
    assert len(read_boxes(shared_file("deep-chimpact/train_metadata.csv"))) == 2072
    assert len(read_boxes(shared_file("stills/megadetector_output.json"))) == 5


def video_boxes(write, **entry):
    found = {"category": "1", "conf": 0.9, "bbox": [0.1, 0.1, 0.4, 0.4], "frame_number": 20}
    video = {"file": "v.mp4", "detections": [found], **entry}
    text = json.dumps({"detection_categories": {"1": "animal"}, "images": [video]})
    return read_boxes(write(text.encode(), "boxes.json")).find("v.mp4").with_frame_rate(10.0)


@pytest.mark.parametrize("rate", [{}, {"frame_rate": 10}])
def test_without_a_list_of_frames_nothing_is_known_of_others(write, rate):
    medium = video_boxes(write, **rate)
    assert scores(medium, 2.0) == [0.9]
    assert [medium.at(second) for second in (0.0, 1.0, 3.0)] == [None, None, None]


@pytest.mark.parametrize("rate", [{}, {"frame_rate": 10}])
def test_listed_frames_without_boxes_are_empty(write, rate):
    medium = video_boxes(write, frames_processed=[0, 20, 40], **rate)
    assert [medium.at(second) for second in (0.0, 1.0, 4.0)] == [[], None, []]
    assert scores(medium, 2.0) == [0.9]
    nothing = video_boxes(write, frames_processed=[], detections=[], **rate)
    assert nothing.at(0.0) is None


def test_a_video_in_which_nothing_was_found_is_empty(write):
    assert video_boxes(write, detections=[], frame_rate=10).at(3.0) == []
