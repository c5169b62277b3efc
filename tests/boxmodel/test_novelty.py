import numpy as np

from trapmeter.boxmodel.features import FEATURES, features
from trapmeter.boxmodel.novelty import CHECKED_FEATURES, find_doubts, learn_ranges
from trapmeter.records import Box, Observation


def rows(*heights: float) -> np.ndarray:
    boxes = [Box(0.4, 0.9 - height, 0.5, 0.9, 0.9) for height in heights]
    return features([Observation(f"{i}.mp4", 0.0, box, 1) for i, box in enumerate(boxes)])


RANGES = learn_ranges(rows(*np.linspace(0.1, 0.5, 500)))


def test_boxes_like_the_training_boxes_raise_no_doubt() -> None:
    assert set(RANGES) <= set(CHECKED_FEATURES)
    assert find_doubts(rows(0.15, 0.3, 0.45), RANGES) == ["", "", ""]


def test_a_doubt_says_how_a_box_differs() -> None:
    usual, tall = find_doubts(rows(0.3, 0.85), RANGES)
    assert usual == ""
    assert tall.startswith("unlike the boxes that the model was trained on: height and shape")


def test_unknown_features_raise_no_doubt_and_have_no_range() -> None:
    unknown = np.full((1, len(FEATURES)), np.nan, np.float32)
    assert find_doubts(unknown, RANGES) == [""]
    assert learn_ranges(unknown) == {}
