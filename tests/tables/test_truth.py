import pytest

from estimates import make_estimate
from trapmeter.errors import InputError
from trapmeter.records import Box, Estimate, Observation, Status
from trapmeter.tables.truth import TruthRow, match_truth, read_labelled_rows, read_truth, write_seconds_to_label

LEFT = Box(0.0, 0.0, 0.4, 0.4, 1.0)
NEAR_LEFT = Box(0.1, 0.0, 0.5, 0.4, 0.5)
RIGHT = Box(0.6, 0.6, 1.0, 1.0, 1.0)
ANIMALS = "video_id,time,animal_id,distance_m,x1,y1,x2,y2\n"


def measured(distance_m: float, box: Box | None = None, time_s: float = 1.0, media_id: str = "v.mp4") -> Estimate:
    return make_estimate(distance_m, media_id=media_id, time_s=time_s, box=box)


def test_labels_and_the_truth_of_each_animal_are_read(write):
    assert read_truth(write("video_id,time,distance\n")) == []
    assert read_truth(write("video_id,time,distance\nv.mp4,1,3.5\n")) == [TruthRow("v.mp4", 1.0, 3.5)]
    assert read_truth(write(ANIMALS + "v.mp4,1,1,3.25,0,0,0.4,0.4\nv.mp4,1,2,9,,,,\n")) == [
        TruthRow("v.mp4", 1.0, 3.25, LEFT),
        TruthRow("v.mp4", 1.0, 9.0),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"expected known distances, .* found nothing"),
        ("video_id,time\n", r"expected known distances, .* found 'video_id', 'time'"),
        ("video_id,time,distance_m\n", r"x1, y1, x2, y2 are missing"),
        ("video_id,time,distance\nv,1,2\nv,1,3\n", r"lines 2 and 3: the label of v at 1 s appears twice"),
        (ANIMALS + "v,1,1,2,,,,\nv,1,1,3,,,,\n", r"lines 2 and 3: animal 1 of v at 1 s appears twice"),
        (
            ANIMALS + "v,1,1,2,,,,\nv,1,2,420,,,,\n",
            r"line 3, column 'distance_m': expected a number of metres up to 200",
        ),
        (ANIMALS + "v,1,1,2,0.1,,,\n", r"line 2: expected all of x1, y1, x2, y2 or none"),
    ],
)
def test_bad_tables(write, text, message):
    with pytest.raises(InputError, match=message):
        read_truth(write(text))


def test_without_estimates_or_truth_there_are_no_pairs():
    truth = [TruthRow("v.mp4", 1.0, 3.0)]
    assert match_truth([], []) == []
    assert match_truth([], truth) == []
    assert match_truth([measured(3.0)], []) == []
    assert match_truth([Estimate(Observation("v.mp4", 1.0), Status.NO_ANIMAL)], truth) == []


def test_a_label_is_paired_with_the_nearest_animal_of_its_second():
    truth = [TruthRow("v.mp4", 1.0, 3.0), TruthRow("v.mp4", 2.0, 4.0), TruthRow("w.mp4", 1.0, 5.0)]
    far, near, next_second = measured(8.0, LEFT), measured(3.5, RIGHT), measured(6.0, LEFT, 2.0001)
    other = measured(1.0, media_id="x.mp4")
    assert match_truth([far, near, next_second, other], truth) == [(near, truth[0]), (next_second, truth[1])]


def test_boxes_are_paired_so_that_overlaps_are_largest_in_total():
    truth = [TruthRow("v.mp4", 1.0, 3.0, LEFT), TruthRow("v.mp4", 1.0, 9.0, RIGHT), TruthRow("v.mp4", 1.0, 1.0)]
    right, left = measured(2.0, RIGHT), measured(3.5, NEAR_LEFT)
    assert match_truth([right, left], truth) == [(left, truth[0]), (right, truth[1])]


def test_the_best_overlap_alone_would_lose_a_pair():
    both = Box(0.0, 0.0, 0.4, 0.38, 1.0)  # overlaps LEFT best, but is all that NEAR_LEFT can have
    truth = [TruthRow("v.mp4", 1.0, 3.0, LEFT), TruthRow("v.mp4", 1.0, 4.0, NEAR_LEFT)]
    first, second = measured(4.0, both), measured(3.0, Box(0.0, 0.0, 0.2, 0.4, 1.0))
    assert match_truth([first, second], truth) == [(second, truth[0]), (first, truth[1])]


def test_small_overlaps_are_no_match():
    truth = [TruthRow("v.mp4", 1.0, 3.0, LEFT)]
    assert match_truth([measured(3.0, Box(0.3, 0.0, 0.7, 0.4, 1.0))], truth) == []


def test_an_estimate_without_a_box_stands_for_the_nearest_visible_animal():
    truth = [TruthRow("v.mp4", 1.0, 9.0, RIGHT), TruthRow("v.mp4", 1.0, 3.0, LEFT), TruthRow("v.mp4", 1.0, 1.0)]
    whole = measured(4.0)
    assert match_truth([whole], truth) == [(whole, truth[1])]


def test_a_second_without_visible_animals_does_not_fall_back_to_nearest():
    truth = [TruthRow("v.mp4", 1.0, 3.0, LEFT), TruthRow("v.mp4", 2.0, 3.0)]
    assert match_truth([measured(3.0, LEFT, 2.0), measured(3.0, None, 2.0)], truth) == []


def test_names_match_below_other_folders_and_ambiguous_ones_are_refused():
    truth = [TruthRow("v.mp4", 1.0, 3.0)]
    one, two = measured(3.0, media_id="a/v.mp4"), measured(3.0, media_id="b/v.mp4")
    assert match_truth([one], truth) == [(one, truth[0])]
    with pytest.raises(InputError, match=r"the known distances: v.mp4 could be any of a/v.mp4, b/v.mp4"):
        match_truth([one, two], truth)
    twice = [TruthRow("x/v.mp4", 1.0, 3.0), TruthRow("y/v.mp4", 1.0, 3.0)]
    with pytest.raises(InputError, match=r"the known distances: v.mp4 could be any of x/v.mp4, y/v.mp4"):
        match_truth([measured(3.0)], twice)


def test_the_truth_matches_itself(shared_file):
    truth = read_truth(shared_file("simtrap/truth.csv"))
    estimates = [measured(row.distance_m, row.box, row.time_s, f"videos/{row.video_id}") for row in truth if row.box]
    pairs = match_truth(estimates, truth)
    assert len(pairs) == len(estimates) == 4723 - 496
    agree = sum(estimate.measured_distance.distance_m == row.distance_m for estimate, row in pairs)
    assert agree >= len(pairs) - 10  # a few boxes of one second are equal to the last digit


def test_seconds_to_label_are_read_back_once_they_are_filled_in(tmp_path):
    path = tmp_path / "to-label.csv"
    observations = [Observation(name, 3.5, Box(0.1, 0.2, 0.3, 0.4, 0.9), 2, "=S1") for name in ("a.mp4", "=b.mp4")]
    write_seconds_to_label(path, observations)
    with pytest.raises(InputError, match=r"no row has a distance_m"):
        read_labelled_rows(path)
    assert "\n'=S1,'=b.mp4" in path.read_text()
    head, first, second = path.read_text().splitlines()
    path.write_text(f"{head}\n{first}\n{second}4.5\n")
    (row,) = read_labelled_rows(path)
    assert (row.truth.video_id, row.truth.time_s, row.truth.distance_m) == ("=b.mp4", 3.5, 4.5)
    assert row.where == f"{path}, line 3"
    assert row.truth.box is not None
    assert row.truth.box.xyxy == (0.1, 0.2, 0.3, 0.4)


def test_a_second_labelled_twice_is_refused(write):
    with pytest.raises(InputError, match=r"lines 2 and 3: the label of a.mp4 at 1 s appears twice"):
        read_labelled_rows(write("video_id,time,distance\na.mp4,1,4\na.mp4,1,5\n"))
