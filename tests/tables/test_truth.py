import pytest

from trapmeter.errors import InputError
from trapmeter.records import Box, Distance, Estimate, Observation, Status
from trapmeter.tables.truth import TruthRow, match_truth, read_truth

LEFT = Box(0.0, 0.0, 0.4, 0.4, 1.0)
NEAR_LEFT = Box(0.1, 0.0, 0.5, 0.4, 0.5)
RIGHT = Box(0.6, 0.6, 1.0, 1.0, 1.0)
ANIMALS = "video_id,time,animal_id,distance_m,x1,y1,x2,y2\n"


def measured(distance_m: float, box: Box | None = None, time_s: float = 1.0, media_id: str = "v.mp4") -> Estimate:
    return Estimate(Observation(media_id, time_s, box, 1), Status.MEASURED, Distance(distance_m, 0.0, 99.0))


def test_labels_and_animals(write):
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
        ("video_id,time,distance\nv,1,2\nv,1,3\n", r"lines 2 and 3: v at 1 s is labelled twice"),
        (ANIMALS + "v,1,1,2,,,,\nv,1,1,3,,,,\n", r"lines 2 and 3: animal 1 of v at 1 s stands twice"),
        (ANIMALS + "v,1,1,2,0.1,,,\n", r"line 2: expected all of x1, y1, x2, y2 or none"),
    ],
)
def test_bad_tables(write, text, message):
    with pytest.raises(InputError, match=message):
        read_truth(write(text))


def test_nothing_to_match():
    truth = [TruthRow("v.mp4", 1.0, 3.0)]
    assert match_truth([], []) == []
    assert match_truth([], truth) == []
    assert match_truth([measured(3.0)], []) == []
    assert match_truth([Estimate(Observation("v.mp4", 1.0), Status.NO_ANIMAL)], truth) == []


def test_a_label_is_answered_by_the_nearest_animal_of_its_second():
    truth = [TruthRow("v.mp4", 1.0, 3.0), TruthRow("v.mp4", 2.0, 4.0), TruthRow("w.mp4", 1.0, 5.0)]
    far, near, next_second = measured(8.0, LEFT), measured(3.5, RIGHT), measured(6.0, LEFT, 2.0001)
    other = measured(1.0, media_id="x.mp4")
    assert match_truth([far, near, next_second, other], truth) == [(near, truth[0]), (next_second, truth[1])]


def test_boxes_are_matched_by_overlap_as_a_whole():
    truth = [TruthRow("v.mp4", 1.0, 3.0, LEFT), TruthRow("v.mp4", 1.0, 9.0, RIGHT), TruthRow("v.mp4", 1.0, 1.0)]
    right, left = measured(2.0, RIGHT), measured(3.5, NEAR_LEFT)
    assert match_truth([right, left], truth) == [(left, truth[0]), (right, truth[1])]


def test_greed_would_lose_a_pair():
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


def test_names_match_below_other_folders_and_must_be_clear():
    truth = [TruthRow("v.mp4", 1.0, 3.0)]
    one, two = measured(3.0, media_id="a/v.mp4"), measured(3.0, media_id="b/v.mp4")
    assert match_truth([one], truth) == [(one, truth[0])]
    with pytest.raises(InputError, match=r"distances of v.mp4 could belong to any of a/v.mp4, b/v.mp4"):
        match_truth([one, two], truth)
    twice = [TruthRow("x/v.mp4", 1.0, 3.0), TruthRow("y/v.mp4", 1.0, 3.0)]
    with pytest.raises(InputError, match=r"x/v.mp4, y/v.mp4 could all belong to v.mp4"):
        match_truth([measured(3.0)], twice)


def test_truth_matches_itself(shared):
    truth = read_truth(shared("simtrap/truth.csv"))
    estimates = [measured(row.distance_m, row.box, row.time_s, f"videos/{row.video_id}") for row in truth if row.box]
    pairs = match_truth(estimates, truth)
    assert len(pairs) == len(estimates) == 4723 - 496
    agree = sum(one.distance is not None and one.distance.distance_m == other.distance_m for one, other in pairs)
    assert agree >= len(pairs) - 10  # a few boxes of one second are alike to the last digit
