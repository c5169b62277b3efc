from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from trapmeter.boxmodel.features import FEATURES, features
from trapmeter.boxmodel.training_data import LabelledObservation, View, apply_view, read_labelled_observations
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


def test_labels_are_joined_with_boxes_as_one_animal_per_video(tmp_path):
    samples = read_labelled_observations(str(write(tmp_path, "a.mp4,2,4.5\na.mp4,0,3.0\n")))
    assert samples == [
        LabelledObservation(Observation("a.mp4", 2.0, None, 1, "s1"), 4.5, "moru"),
        LabelledObservation(Observation("a.mp4", 0.0, Box(0.1, 0.2, 0.3, 0.4, 0.9), 1, "s1"), 3.0, "moru"),
    ]


def test_no_labels_give_no_samples(tmp_path):
    assert read_labelled_observations(write(tmp_path, "")) == []


def test_a_label_without_a_row_of_metadata_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"b\.mp4 at 0 s.*no such row"):
        read_labelled_observations(write(tmp_path, "b.mp4,0,4.5\n"))


@pytest.mark.parametrize("distance", [-1.0, float("nan"), float("inf")])
def test_impossible_distances_are_refused(distance):
    with pytest.raises(InputError, match="metres >= 0"):
        LabelledObservation(Observation("a", 0.0), distance)


ROWS = [
    Observation(f"s{site}v{video}.mp4", float(t), Box(0.1, 0.2, 0.3, 0.4, 0.05 + score / 10), 1, f"s{site}")
    for site in range(6)
    for video in range(8)
    for t, score in enumerate(range(10))
]


@pytest.mark.parametrize("view", View)
def test_every_view_keeps_the_rows_and_their_order(view):
    assert apply_view([], view) == []
    rows = apply_view(ROWS, view)
    assert len(rows) == len(ROWS)
    assert all(a.box is None or a.box.xyxy == b.box.xyxy for a, b in zip(rows, ROWS, strict=True))


def test_the_full_view_changes_nothing():
    assert apply_view(ROWS, View.FULL) == ROWS


def test_the_site_unknown_view_removes_sites():
    assert {row.site_id for row in apply_view(ROWS, View.SITE_UNKNOWN)} == {""}


def test_rows_of_the_single_view_have_no_neighbours():
    values = dict(zip(FEATURES, features(apply_view(ROWS, View.SINGLE)).T, strict=True))
    assert not values["site_other_media"].any()
    assert np.isnan(values["before_gap_s"]).all()


class TestOtherDetector:
    def test_scores_change_but_keep_their_order_within_a_site(self):
        for site in {row.site_id for row in ROWS}:
            pairs = [
                (before.box.score, after.box.score)
                for before, after in zip(ROWS, apply_view(ROWS, View.OTHER_DETECTOR), strict=True)
                if before.site_id == site and after.box is not None
            ]
            assert [after for _, after in sorted(pairs)] == sorted(after for _, after in pairs)
            assert any(before != after for before, after in pairs)

    def test_sites_are_split_and_some_boxes_dropped(self):
        rows = apply_view(ROWS, View.OTHER_DETECTOR)
        assert {row.site_id for row in rows} == {f"s{site}/{half}" for site in range(6) for half in "ab"}
        assert 0 < sum(row.box is None for row in rows) < len(rows) / 2

    def test_the_order_of_the_rows_does_not_matter(self):
        assert apply_view(ROWS[::-1], View.OTHER_DETECTOR) == apply_view(ROWS, View.OTHER_DETECTOR)[::-1]

    def test_an_unknown_site_stays_unknown(self):
        assert apply_view([Observation("a", 0.0)], View.OTHER_DETECTOR) == [Observation("a", 0.0)]
