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
from trapmeter.models.runtimes.network import Ensemble
from trapmeter.progress import Announce, Progress, no_progress
from trapmeter.records import VideoSecond
from trapmeter.tables.drivendata import MetadataRow, best_box_rows, read_video_seconds
from trapmeter.training.dataset import check_frames_stored
from trapmeter.training.distributed import process_group, ranks_from_environment
from trapmeter.training.job import TrainingJob, prepare_process, train_one
from trapmeter.training.samples import OTHER_ANIMAL, PSEUDO, Sample, read_samples, without_other_animals
from trapmeter.training.settings import DistilSettings, PseudolabelSettings
from trapmeter.training.training_log import held_out_videos
from trapmeter.uncertainty import mean_uncertainty
from trapmeter.windows import window_times


@dataclass(frozen=True, slots=True)
class TeacherTasks:
    """What the teachers are asked about: samples whose distance is the label's, or 0 where there is none."""

    labelled: tuple[Sample, ...]
    unlabelled: tuple[Sample, ...]
    others: tuple[Sample, ...] = ()
    """Further drawn animals of labelled moments: teachers are not asked about them, since their distances are known."""

    @property
    def moments(self) -> list[VideoSecond]:
        """All of them."""
        return [sample.second for sample in (*self.labelled, *self.unlabelled)]


@dataclass(frozen=True, slots=True)
class TeacherPrediction:
    """What the teachers say of a moment; is_unseen: none of those asked had learnt from its video."""

    prediction: EnsemblePrediction
    is_held_out: bool


def teacher_predictions(
    asked: TeacherTasks, answers: Mapping[VideoSecond, Sequence[float]], unseen: Sequence[frozenset[str]]
) -> dict[VideoSecond, TeacherPrediction]:
    """The answer that counts for each moment.

    answers: metres by teacher, each with its mirror images side by side. unseen: of each teacher, the videos that it was not
    trained on. Of a labelled moment only teachers that had not seen its video are heard, if there are any.
    """
    is_labelled = {sample.second for sample in asked.labelled}
    told: dict[VideoSecond, TeacherPrediction] = {}
    for moment in asked.moments:
        metres = np.reshape(answers[moment], (len(unseen), -1))
        heard = [moment[0] in videos for videos in unseen] if moment in is_labelled else []
        chosen = metres[heard] if any(heard) else metres
        told[moment] = TeacherPrediction(EnsemblePrediction(float(chosen.mean()), float(chosen.std())), any(heard))
    return told


def make_targets(
    asked: TeacherTasks,
    told: Mapping[VideoSecond, TeacherPrediction],
    label_share: float,
    pseudolabels: PseudolabelSettings,
) -> list[Sample]:
    """The samples that the student learns from, with what it is to say of them."""
    samples = []
    for sample in asked.labelled:
        answer = told[sample.second].prediction
        samples.append(
            _with_target(sample, mix_distances(sample.distance_m, answer.distance_m, label_share), sample.weight)
        )
    for sample in asked.unlabelled:
        answer = told[sample.second].prediction
        weight = pseudolabels.weight(answer.distance_m, answer.spread_m)
        if weight is not None:
            samples.append(_with_target(sample, answer.distance_m, weight))
    return [*samples, *asked.others]


def mix_distances(label_m: float, answer_m: float, label_share: float) -> float:
    """Between a label and an answer, both in metres, in log(1 + metres)."""
    return math.expm1(label_share * math.log1p(label_m) + (1 - label_share) * math.log1p(answer_m))


def write_targets(
    path: Path, samples: Sequence[Sample], asked: TeacherTasks, told: Mapping[VideoSecond, TeacherPrediction]
) -> None:
    """Writes what the student is to say of each moment, and what that was made of; metres."""
    labels = {sample.second: sample.distance_m for sample in asked.labelled}
    with atomic_file(path) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("video_id", "time", "distance", "weight", "label", "teachers", "spread", "teachers_unseen"))
        for sample in samples[: len(samples) - len(asked.others)]:
            moment = sample.second
            said = told[moment]
            label = f"{labels[moment]:g}" if moment in labels else ""
            teachers = (f"{said.prediction.distance_m:.4f}", f"{said.prediction.spread_m:.4f}", int(said.is_held_out))
            row = (f"{sample.time_s:g}", f"{sample.distance_m:.4f}", f"{sample.weight:.4f}")
            writer.writerow((sample.video_id, *row, label, *teachers))


def _with_target(sample: Sample, distance_m: float, weight: float) -> Sample:
    return replace(sample, distance_m=distance_m, weight=weight)


PREDICTIONS_FILE, TARGETS_FILE, STUDENT_NAME = "answers.jsonl", "targets.csv", "student"


def distil(
    settings: DistilSettings,
    announce: Announce,
    progress: Progress = no_progress,
    *,
    runtime: Runtime = Runtime.ONNXRUNTIME,
    threads: int = 1,
) -> Path:
    """Asks the teachers, trains the student and exports it; returns the folder of its bundle.

    Broken off at any time, the same call goes on. Under torchrun or srun all processes call this alike. runtime, threads: of
    the teachers.

    Raises:
        InputError: a table, a store or an argument is wrong; nothing was trained.
        ModelError: a teacher is damaged, or they take different inputs.
        RunError: the folder holds another distillation, the loss is no number, or the disk is full.
    """
    ensemble = Ensemble.load(settings.teachers, flip=settings.flip, threads=threads, runtime=runtime)
    store = FrameStore.open(settings.store)
    teachers_store = store if settings.teachers_store is None else FrameStore.open(settings.teachers_store)
    asked = plan_teacher_tasks(settings, store)
    for frames, spec in ((store, settings.recipe.input), (teachers_store, ensemble.spec)):
        check_frames_stored(frames, [*asked.labelled, *asked.unlabelled], spec)
    ranks = ranks_from_environment()
    settings.out.mkdir(parents=True, exist_ok=True)
    boxes = {sample.second: sample.box for sample in (*asked.labelled, *asked.unlabelled)}
    # Of several processes the first to come asks; the others wait, and then find all answered.
    with FileLock(settings.out / ".lock"):
        answers = predict_by_member(
            ensemble,
            teachers_store,
            asked.moments,
            boxes,
            settings.out / PREDICTIONS_FILE,
            flip=settings.flip,
            progress=progress,
            runtime=runtime,
        )
    told = teacher_predictions(asked, answers, [held_out_videos(folder) for folder in settings.teachers])
    samples = make_targets(asked, told, settings.label_share, settings.pseudolabels)
    if not samples:
        raise InputError("the teachers differ about every moment; give labels, or a larger --max-spread")
    if ranks.is_first:
        write_targets(settings.out / TARGETS_FILE, samples, asked, told)
        n_unseen = sum(told[sample.second].is_held_out for sample in asked.labelled)
        n_kept = sum(sample.source == PSEUDO for sample in samples)
        announce(
            f"{len(asked.labelled)} labelled moments, {n_unseen} of them answered by teachers that had not seen the video; "
            f"{n_kept} others, and {len(asked.unlabelled) - n_kept} left out where the teachers differ"
        )
    known = [bundle.uncertainty for bundle in ensemble.members if bundle.uncertainty is not None]
    job = TrainingJob(
        name=STUDENT_NAME,
        folder=settings.out / STUDENT_NAME,
        recipe=settings.recipe,
        train=samples,
        held_out=(),
        facts={"distilled": True},
        held_out_provenance={},
        model_id=f"{settings.recipe.name}-student",
        licence=settings.licence,
        provenance={"distilled_from": _provenance(settings, ensemble)},
        # Nobody has held anything out from the student; its errors are about those of a single teacher.
        uncertainty=mean_uncertainty(known) if len(known) == len(ensemble.members) else None,
        start=settings.start,
    )
    prepare_process(ranks)
    with process_group(ranks):
        return train_one(job, store, ranks, announce if ranks.is_first else lambda _: None)


def plan_teacher_tasks(settings: DistilSettings, store: FrameStore) -> TeacherTasks:
    """The labelled moments, and the unlabelled ones with the box that a detector saw.

    With metadata, moments that it has no box for are left out of the unlabelled: nobody knows that an animal is there.

    Raises:
        InputError: a table is not as expected, or there is no moment at all.
    """
    samples: list[Sample] = []
    if settings.labels is not None:
        samples = read_samples(settings.labels, settings.metadata, settings.animals)
    known = best_box_rows(settings.metadata)
    if settings.moments is None:
        moments = complete_windows(store, settings.recipe.input)
    else:
        moments = read_video_seconds(settings.moments)
    taken = {sample.second for sample in samples}
    nothing = MetadataRow("", 0.0, None)
    unlabelled = []
    for second in moments:
        row = known.get(second, nothing)
        if second in taken or (settings.metadata is not None and row.box is None):
            continue
        unlabelled.append(Sample(*second, 0.0, row.box, row.site_id, row.park, source=PSEUDO))
    if not samples and not unlabelled:
        raise InputError("no moment to ask the teachers about; give --labels or --moments, or fill the store")
    # A network that sees no box can't be told which animal is meant.
    others = [s for s in samples if s.source == OTHER_ANIMAL and settings.recipe.input.box_channel]
    return TeacherTasks(tuple(without_other_animals(samples)), tuple(unlabelled), tuple(others))


def complete_windows(store: FrameStore, spec: InputSpec) -> list[VideoSecond]:
    """Every moment that a store has all frames of the window of, video by video."""
    found: list[VideoSecond] = []
    for video_id in store.video_ids():
        times, length_s = set(store.times(video_id)), store.length_s(video_id)
        for time_s in sorted(times):
            window = window_times(time_s, spec.offsets_s, length_s, spec.edge)
            if times.issuperset(t for t in window if t is not None):
                found.append(VideoSecond(video_id, time_s))
    return found


def _provenance(settings: DistilSettings, ensemble: Ensemble) -> dict[str, Any]:
    return {
        "teachers": [
            {"model_id": bundle.identity.model_id, "sha256": bundle.identity.sha256} for bundle in ensemble.members
        ],
        "flip": settings.flip,
        "label_share": settings.label_share,
        "intervals": "from the teachers' held-out errors",
    }
