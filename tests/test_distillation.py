"""What a student is to say: which teachers are heard, how labels are mixed in, which moments there are."""

import csv
import math
from pathlib import Path

import pytest

from trapmeter.competition.inference import EnsemblePrediction
from trapmeter.distillation import (
    TeacherPrediction,
    TeacherTasks,
    make_targets,
    mix_distances,
    teacher_predictions,
    write_targets,
)
from trapmeter.errors import InputError
from trapmeter.training.samples import LABELLED, OTHER_ANIMAL, PSEUDO, Sample
from trapmeter.training.settings import PseudolabelSettings
from trapmeter.training.training_log import held_out_videos

LABEL = Sample("a.mp4", 1.0, 4.0)
OTHER = Sample("a.mp4", 1.5, 0.0, source=PSEUDO)
ANSWERS = {("a.mp4", 1.0): (2.0, 3.0, 8.0, 10.0), ("a.mp4", 1.5): (2.0, 3.0, 8.0, 10.0)}
"""Two teachers with flips."""


@pytest.mark.parametrize(
    ("unseen", "labelled_m", "is_held_out"),
    [
        ([{"b.mp4"}, {"a.mp4"}], 9.0, True),
        ([{"a.mp4"}, {"a.mp4"}], 5.75, True),
        ([{"b.mp4"}, set()], 5.75, False),
        ([set(), set()], 5.75, False),
    ],
)
def test_of_a_labelled_moment_teachers_are_heard_that_had_not_seen_its_video(
    unseen: list[set[str]], labelled_m: float, is_held_out: bool
) -> None:
    told = teacher_predictions(TeacherTasks((LABEL,), (OTHER,)), ANSWERS, [frozenset(videos) for videos in unseen])
    assert told["a.mp4", 1.0].prediction.distance_m == pytest.approx(labelled_m)
    assert told["a.mp4", 1.0].is_held_out is is_held_out
    # What nobody labelled is answered by all.
    assert told["a.mp4", 1.5].prediction.distance_m == pytest.approx(5.75)


@pytest.mark.parametrize(("share", "metres"), [(0.0, 9.0), (1.0, 4.0), (0.5, math.sqrt(50) - 1)])
def test_labels_are_mixed_in_by_logarithms(share: float, metres: float) -> None:
    assert mix_distances(4.0, 9.0, share) == pytest.approx(metres)
    told = {("a.mp4", 1.0): TeacherPrediction(EnsemblePrediction(9.0, 5.0), True)}
    (sample,) = make_targets(TeacherTasks((LABEL,), ()), told, share, PseudolabelSettings())
    # A label counts in full, however much its teachers differ.
    assert (sample.distance_m, sample.weight, sample.source) == (pytest.approx(metres), 1.0, LABELLED)


def test_the_more_teachers_differ_the_less_an_unlabelled_moment_counts() -> None:
    asked = TeacherTasks((), (OTHER, Sample("a.mp4", 2.5, 0.0, source=PSEUDO)))
    told = {
        ("a.mp4", 1.5): TeacherPrediction(EnsemblePrediction(5.0, 0.75), False),
        ("a.mp4", 2.5): TeacherPrediction(EnsemblePrediction(5.0, 3.0), False),
    }
    (sample,) = make_targets(asked, told, 0.7, PseudolabelSettings(0.3))
    assert (sample.time_s, sample.distance_m, sample.weight) == (1.5, 5.0, pytest.approx(0.55))
    assert len(make_targets(asked, told, 0.7, PseudolabelSettings(None))) == 2


def test_the_table_tells_what_each_target_is_made_of(tmp_path: Path) -> None:
    asked = TeacherTasks((LABEL,), (OTHER,))
    told = teacher_predictions(asked, ANSWERS, [frozenset(), frozenset({"a.mp4"})])
    samples = make_targets(asked, told, 0.5, PseudolabelSettings(None))
    write_targets(tmp_path / "targets.csv", samples, asked, told)
    with (tmp_path / "targets.csv").open() as file:
        label, other = csv.DictReader(file)
    assert (label["label"], label["teachers"], label["teachers_unseen"]) == ("4", "9.0000", "1")
    assert (other["label"], other["teachers"], other["teachers_unseen"]) == ("", "5.7500", "0")
    assert float(label["distance"]) == pytest.approx(samples[0].distance_m, abs=1e-4)


def test_other_animals_keep_their_distance_and_need_no_teacher(tmp_path: Path) -> None:
    other = Sample("a.mp4", 1.0, 7.0, source=OTHER_ANIMAL)
    asked = TeacherTasks((LABEL,), (), (other,))
    told = teacher_predictions(asked, ANSWERS, [frozenset(), frozenset()])
    assert asked.moments == [("a.mp4", 1.0)]
    samples = make_targets(asked, told, 0.5, PseudolabelSettings())
    assert samples[1:] == [other]
    write_targets(tmp_path / "targets.csv", samples, asked, told)
    assert len((tmp_path / "targets.csv").read_text().splitlines()) == 2


def test_a_bundle_alone_does_not_tell_what_it_had_seen(tmp_path: Path) -> None:
    assert held_out_videos(tmp_path / "bundle") == frozenset()
    (tmp_path / "held_out.csv").write_text("video_id,time,distance,truth,site_id\nx.mp4,0,1.5,2,s\n")
    assert held_out_videos(tmp_path / "bundle") == {"x.mp4"}


def test_label_share_is_a_share(tmp_path: Path) -> None:
    from training_world import tiny_recipe
    from trapmeter.training.settings import DistilSettings

    with pytest.raises(InputError, match=r"--label-share: expected .* at most 1, got 1.5"):
        DistilSettings(teachers=(tmp_path,), store=tmp_path, out=tmp_path, recipe=tiny_recipe(), label_share=1.5)
    with pytest.raises(InputError, match="give --labels"):
        DistilSettings(teachers=(tmp_path,), store=tmp_path, out=tmp_path, recipe=tiny_recipe(), animals=tmp_path)
