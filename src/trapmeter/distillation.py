"""Distillation: trains one small network on the predictions of an ensemble of teachers."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock

from trapmeter.competition.inference import EnsemblePrediction, predict_by_member
from trapmeter.errors import InputError
from trapmeter.files import atomic_file
from trapmeter.frames.store import FrameStore
from trapmeter.models.input_spec import InputSpec
from trapmeter.models.runtimes.choice import Runtime
from trapmeter.models.runtimes.network import Ensemble, open_or_fall_back
from trapmeter.progress import Announce, Progress, no_progress
from trapmeter.records import VideoSecond
from trapmeter.tables.cameras import read_cameras
from trapmeter.tables.drivendata import best_box_rows, read_video_seconds
from trapmeter.training.dataset import check_frames_stored
from trapmeter.training.distributed import process_group, ranks_from_environment
from trapmeter.training.job import TrainingJob, prepare_process, train_one
from trapmeter.training.samples import (
    NO_ROW,
    OTHER_ANIMAL,
    PSEUDO,
    Sample,
    camera_facts,
    for_input,
    read_samples,
    without_other_animals,
)
from trapmeter.training.settings import DistilSettings, PseudolabelSettings
from trapmeter.training.training_log import held_out_videos
from trapmeter.uncertainty import mean_uncertainty

PREDICTIONS_FILE, TARGETS_FILE, STUDENT_NAME = "answers.jsonl", "targets.csv", "student"


@dataclass(frozen=True, slots=True)
class TeacherTasks:
    """The seconds that the teachers predict: samples with the label's distance, or with 0 if there is no label.

    others: further drawn animals of labelled seconds. Their distances are known, so the teachers skip them.
    """

    labelled: tuple[Sample, ...]
    unlabelled: tuple[Sample, ...]
    others: tuple[Sample, ...] = ()

    @property
    def samples(self) -> tuple[Sample, ...]:
        """The samples that the teachers predict."""
        return (*self.labelled, *self.unlabelled)


@dataclass(frozen=True, slots=True)
class TeacherPrediction:
    """The teachers' prediction for a second. is_held_out: only from teachers that were not trained on its video."""

    prediction: EnsemblePrediction
    is_held_out: bool


def teacher_predictions(
    tasks: TeacherTasks, metres: Mapping[VideoSecond, Sequence[float]], held_out: Sequence[frozenset[str]]
) -> dict[VideoSecond, TeacherPrediction]:
    """Each second's mean over the teachers.

    metres: of each second by teacher, each teacher's mirror image next to its prediction. held_out: of each teacher, the
    videos that it was not trained on. For a labelled second only teachers not trained on its video count, if there are any.
    """
    is_labelled = {sample.second for sample in tasks.labelled}
    predictions: dict[VideoSecond, TeacherPrediction] = {}
    for second in (sample.second for sample in tasks.samples):
        by_teacher = np.reshape(metres[second], (len(held_out), -1))
        counts = [second[0] in videos for videos in held_out] if second in is_labelled else []
        chosen = by_teacher[counts] if any(counts) else by_teacher
        prediction = EnsemblePrediction(float(chosen.mean()), float(chosen.std()))
        predictions[second] = TeacherPrediction(prediction, any(counts))
    return predictions


def make_targets(
    tasks: TeacherTasks,
    predictions: Mapping[VideoSecond, TeacherPrediction],
    label_share: float,
    pseudolabels: PseudolabelSettings,
) -> list[Sample]:
    """The student's training samples, with the distances that it learns."""
    samples = []
    for sample in tasks.labelled:
        predicted_m = predictions[sample.second].prediction.distance_m
        samples.append(replace(sample, distance_m=mix_distances(sample.distance_m, predicted_m, label_share)))
    for sample in tasks.unlabelled:
        prediction = predictions[sample.second].prediction
        weight = pseudolabels.weight(prediction.distance_m, prediction.spread_m)
        if weight is not None:
            samples.append(replace(sample, distance_m=prediction.distance_m, weight=weight))
    return [*samples, *tasks.others]


def mix_distances(label_m: float, predicted_m: float, label_share: float) -> float:
    """The weighted mean in metres of a label and a prediction, taken in log(1 + metres)."""
    return math.expm1(label_share * math.log1p(label_m) + (1 - label_share) * math.log1p(predicted_m))


def write_targets(
    path: Path, samples: Sequence[Sample], tasks: TeacherTasks, predictions: Mapping[VideoSecond, TeacherPrediction]
) -> None:
    """Writes the target of each second with the label and the teachers' prediction that it was made of; metres."""
    labels = {sample.second: f"{sample.distance_m:g}" for sample in tasks.labelled}
    with atomic_file(path) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("video_id", "time", "distance", "weight", "label", "teachers", "spread", "teachers_unseen"))
        for sample in samples[: len(samples) - len(tasks.others)]:
            found = predictions[sample.second]
            teachers = (
                f"{found.prediction.distance_m:.4f}",
                f"{found.prediction.spread_m:.4f}",
                int(found.is_held_out),
            )
            row = (f"{sample.time_s:g}", f"{sample.distance_m:.4f}", f"{sample.weight:.4f}")
            writer.writerow((sample.video_id, *row, labels.get(sample.second, ""), *teachers))


def distil(
    settings: DistilSettings,
    announce: Announce,
    progress: Progress = no_progress,
    *,
    runtime: Runtime = Runtime.ONNXRUNTIME,
    threads: int = 1,
) -> Path:
    """Runs the teachers, trains the student and exports it; returns the folder of its bundle.

    After an interruption, the same call resumes. Under torchrun or srun all processes call this with the same settings.
    runtime, threads: for the teachers.

    Raises:
        InputError: a table, a store or a setting is invalid; nothing was trained.
        ModelError: a teacher is damaged, or the teachers' inputs differ.
        RunError: the folder holds another distillation, the loss is not a finite number, or the disk is full.
    """
    ranks = ranks_from_environment()
    ensemble, chosen = open_or_fall_back(
        runtime,
        lambda found: Ensemble.load(settings.teachers, flip=settings.flip, threads=threads, runtime=found),
    )
    if ranks.is_first:
        announce(f"teachers run in {chosen.runtime}: {chosen.reason}")
    store = FrameStore.open(settings.store)
    teachers_store = store if settings.teachers_store is None else FrameStore.open(settings.teachers_store)
    tasks = plan_teacher_tasks(settings, store)
    for frames, spec in ((store, settings.recipe.input), (teachers_store, ensemble.spec)):
        check_frames_stored(frames, tasks.samples, spec)
    settings.out.mkdir(parents=True, exist_ok=True)
    # Of several processes the first to come runs the teachers; the others wait and then find all predictions.
    with FileLock(settings.out / ".lock"):
        metres = predict_by_member(
            ensemble,
            teachers_store,
            [sample.second for sample in tasks.samples],
            {sample.second: sample.box for sample in tasks.samples},
            settings.out / PREDICTIONS_FILE,
            flip=settings.flip,
            progress=progress,
            runtime=chosen.runtime,
            facts={sample.second: sample.facts for sample in tasks.samples},
        )
    predictions = teacher_predictions(tasks, metres, [held_out_videos(folder) for folder in settings.teachers])
    samples = make_targets(tasks, predictions, settings.label_share, settings.pseudolabels)
    if not samples:
        raise InputError("the teachers disagree about every second; give labels, or a larger --max-spread")
    if ranks.is_first:
        write_targets(settings.out / TARGETS_FILE, samples, tasks, predictions)
        n_held_out = sum(predictions[sample.second].is_held_out for sample in tasks.labelled)
        n_kept = sum(sample.source == PSEUDO for sample in samples)
        announce(
            f"{len(tasks.labelled)} labelled seconds, {n_held_out} of them predicted by teachers not trained on the video; "
            f"{n_kept} unlabelled seconds, and {len(tasks.unlabelled) - n_kept} left out because the teachers disagree"
        )
    known = [bundle.uncertainty for bundle in ensemble.members if bundle.uncertainty is not None]
    job = TrainingJob(
        name=STUDENT_NAME,
        folder=settings.out / STUDENT_NAME,
        recipe=settings.recipe,
        train=for_input(samples, settings.recipe.input),
        held_out=(),
        facts={"distilled": True},
        held_out_provenance={},
        model_id=f"{settings.recipe.name}-student",
        licence=settings.licence,
        provenance={"distilled_from": _provenance(settings, ensemble)},
        # Nothing is held out from the student; its errors are about those of a single teacher.
        uncertainty=mean_uncertainty(known) if len(known) == len(ensemble.members) else None,
        start=settings.start,
    )
    prepare_process(ranks, settings.recipe)
    with process_group(ranks):
        return train_one(job, store, ranks, announce if ranks.is_first else lambda _: None)


def plan_teacher_tasks(settings: DistilSettings, store: FrameStore) -> TeacherTasks:
    """The labelled seconds, and the unlabelled ones with a detector's box.

    With metadata, unlabelled seconds without a box are left out, since no animal is known to be there.

    Raises:
        InputError: a table is invalid, or there is no second at all.
    """
    samples: list[Sample] = []
    if settings.labels is not None:
        samples = read_samples(settings.labels, settings.metadata, settings.animals, settings.cameras)
    camera_of = {} if settings.cameras is None else read_cameras(settings.cameras)
    row_of = best_box_rows(settings.metadata)
    if settings.moments is None:
        seconds = complete_windows(store, settings.recipe.input)
    else:
        seconds = read_video_seconds(settings.moments)
    labelled = {sample.second for sample in samples}
    unlabelled = []
    for second in seconds:
        row = row_of.get(second, NO_ROW)
        if second in labelled or (settings.metadata is not None and row.box is None):
            continue
        facts = camera_facts(camera_of.get(row.site_id))
        unlabelled.append(Sample(*second, 0.0, row.box, row.site_id, row.park, source=PSEUDO, facts=facts))
    if not samples and not unlabelled:
        raise InputError(
            "there is no second for the teachers to predict; give --labels or --moments, or fill the store"
        )
    # Without a box channel, nothing shows the student which animal is meant.
    others = [s for s in samples if s.source == OTHER_ANIMAL and settings.recipe.input.box_channel]
    return TeacherTasks(tuple(without_other_animals(samples)), tuple(unlabelled), tuple(others))


def complete_windows(store: FrameStore, spec: InputSpec) -> list[VideoSecond]:
    """All seconds whose windows are complete in a store, video by video."""
    indices = ((video_id, store.index(video_id)) for video_id in store.video_ids())
    return [
        VideoSecond(video_id, time_s)
        for video_id, index in indices
        for time_s in sorted(index.entries)
        if not index.missing_times(time_s, spec.offsets_s, spec.edge)
    ]


def _provenance(settings: DistilSettings, ensemble: Ensemble) -> dict[str, Any]:
    return {
        "teachers": [
            {"model_id": bundle.identity.model_id, "sha256": bundle.identity.sha256} for bundle in ensemble.members
        ],
        "flip": settings.flip,
        "label_share": settings.label_share,
        "intervals": "from the teachers' held-out errors",
    }
