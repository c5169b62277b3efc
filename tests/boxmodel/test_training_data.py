from __future__ import annotations

from pathlib import Path

import pytest

from trapmeter.boxmodel.training_data import LabelledObservation, read_labelled_observations
from trapmeter.errors import InputError
from trapmeter.records import Box, Observation

METADATA = """video_id,time,x1,y1,x2,y2,probability,park,site_id
a.mp4,0,0.1,0.2,0.3,0.4,0.9,moru,s1
a.mp4,2,,,,,,moru,s1
"""


def write(folder: Path, labels: str) -> Path:
    (folder / "train_metadata.csv").write_text(METADATA)
    (folder / "train_labels.csv").write_text("video_id,time,distance\n" + labels)
    return folder


def test_joins_labels_with_boxes_as_one_animal_per_video(tmp_path):
    samples = read_labelled_observations(write(tmp_path, "a.mp4,2,4.5\na.mp4,0,3.0\n"))
    assert samples == [
        LabelledObservation(Observation("a.mp4", 2.0, None, 1, "s1"), 4.5, "moru"),
        LabelledObservation(Observation("a.mp4", 0.0, Box(0.1, 0.2, 0.3, 0.4, 0.9), 1, "s1"), 3.0, "moru"),
    ]


def test_no_labels_give_no_samples(tmp_path):
    assert read_labelled_observations(write(tmp_path, "")) == []


def test_a_label_without_metadata_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"b\.mp4 at 0 s.*no such row"):
        read_labelled_observations(write(tmp_path, "b.mp4,0,4.5\n"))


@pytest.mark.parametrize("distance", [-1.0, float("nan"), float("inf")])
def test_impossible_distances_are_refused(distance):
    with pytest.raises(InputError, match="metres >= 0"):
        LabelledObservation(Observation("a", 0.0), distance)
