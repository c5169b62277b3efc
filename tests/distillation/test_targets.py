"""A student's targets: which teachers count, how labels are mixed in, and what the table holds."""

import csv
import math
from pathlib import Path

import pytest

from training_world import tiny_recipe
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
from trapmeter.training.settings import DistilSettings, PseudolabelSettings
from trapmeter.training.training_log import held_out_videos

LABEL = Sample("a.mp4", 1.0, 4.0)
OTHER = Sample("a.mp4", 1.5, 0.0, source=PSEUDO)
METRES = {("a.mp4", 1.0): (2.0, 3.0, 8.0, 10.0), ("a.mp4", 1.5): (2.0, 3.0, 8.0, 10.0)}
"""Two teachers with mirror images."""


@pytest.mark.parametrize(
    ("held_out", "labelled_m", "is_held_out"),
    [
        ([{"b.mp4"}, {"a.mp4"}], 9.0, True),
        ([{"a.mp4"}, {"a.mp4"}], 5.75, True),
        ([{"b.mp4"}, set()], 5.75, False),
        ([set(), set()], 5.75, False),
    ],
)
def test_for_a_labelled_second_teachers_not_trained_on_its_video_count(
    held_out: list[set[str]], labelled_m: float, is_held_out: bool
) -> None:
    tasks = TeacherTasks((LABEL,), (OTHER,))
    predictions = teacher_predictions(tasks, METRES, [frozenset(videos) for videos in held_out])
    assert predictions["a.mp4", 1.0].prediction.distance_m == pytest.approx(labelled_m)
    assert predictions["a.mp4", 1.0].is_held_out is is_held_out
    # For an unlabelled second all teachers count.
    assert predictions["a.mp4", 1.5].prediction.distance_m == pytest.approx(5.75)


@pytest.mark.parametrize(("share", "metres"), [(0.0, 9.0), (1.0, 4.0), (0.5, math.sqrt(50) - 1)])
def test_labels_and_predictions_are_mixed_in_logarithms(share: float, metres: float) -> None:
    assert mix_distances(4.0, 9.0, share) == pytest.approx(metres)
    predictions = {("a.mp4", 1.0): TeacherPrediction(EnsemblePrediction(9.0, 5.0), True)}
    (sample,) = make_targets(TeacherTasks((LABEL,), ()), predictions, share, PseudolabelSettings())
    # A label has full weight, however much the teachers disagree.
    assert (sample.distance_m, sample.weight, sample.source) == (pytest.approx(metres), 1.0, LABELLED)


def test_an_unlabelled_second_weighs_less_the_more_the_teachers_disagree() -> None:
    tasks = TeacherTasks((), (OTHER, Sample("a.mp4", 2.5, 0.0, source=PSEUDO)))
    predictions = {
        ("a.mp4", 1.5): TeacherPrediction(EnsemblePrediction(5.0, 0.75), False),
        ("a.mp4", 2.5): TeacherPrediction(EnsemblePrediction(5.0, 3.0), False),
    }
    (sample,) = make_targets(tasks, predictions, 0.7, PseudolabelSettings(0.3))
    assert (sample.time_s, sample.distance_m, sample.weight) == (1.5, 5.0, pytest.approx(0.55))
    assert len(make_targets(tasks, predictions, 0.7, PseudolabelSettings(None))) == 2


def test_the_table_shows_what_each_target_was_made_of(tmp_path: Path) -> None:
    tasks = TeacherTasks((LABEL,), (OTHER,))
    predictions = teacher_predictions(tasks, METRES, [frozenset(), frozenset({"a.mp4"})])
    samples = make_targets(tasks, predictions, 0.5, PseudolabelSettings(None))
    write_targets(tmp_path / "targets.csv", samples, tasks, predictions)
    with (tmp_path / "targets.csv").open() as file:
        label, other = csv.DictReader(file)
    assert (label["label"], label["teachers"], label["teachers_unseen"]) == ("4", "9.0000", "1")
    assert (other["label"], other["teachers"], other["teachers_unseen"]) == ("", "5.7500", "0")
    assert float(label["distance"]) == pytest.approx(samples[0].distance_m, abs=1e-4)


def test_other_animals_keep_their_distance_and_need_no_teacher(tmp_path: Path) -> None:
    other = Sample("a.mp4", 1.0, 7.0, source=OTHER_ANIMAL)
    tasks = TeacherTasks((LABEL,), (), (other,))
    predictions = teacher_predictions(tasks, METRES, [frozenset(), frozenset()])
    assert tasks.samples == (LABEL,)
    samples = make_targets(tasks, predictions, 0.5, PseudolabelSettings())
    assert samples[1:] == [other]
    write_targets(tmp_path / "targets.csv", samples, tasks, predictions)
    assert len((tmp_path / "targets.csv").read_text().splitlines()) == 2


def test_held_out_videos_are_those_of_the_table_beside_the_bundle(tmp_path: Path) -> None:
    assert held_out_videos(tmp_path / "bundle") == frozenset()
    (tmp_path / "held_out.csv").write_text("video_id,time,distance,truth,site_id\nx.mp4,0,1.5,2,s\n")
    assert held_out_videos(tmp_path / "bundle") == {"x.mp4"}


def test_invalid_settings_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"--label-share: expected .* at most 1, got 1.5"):
        DistilSettings(teachers=(tmp_path,), store=tmp_path, out=tmp_path, recipe=tiny_recipe(), label_share=1.5)
    with pytest.raises(InputError, match="give --labels"):
        DistilSettings(teachers=(tmp_path,), store=tmp_path, out=tmp_path, recipe=tiny_recipe(), animals=tmp_path)
