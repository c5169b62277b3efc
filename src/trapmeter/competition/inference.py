"""Ensemble predictions over a frame store, and the submission and pseudolabels written from them."""

from __future__ import annotations

import csv
import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from trapmeter.errors import InputError
from trapmeter.files import atomic_file, lock_file
from trapmeter.frames.store import FrameStore
from trapmeter.journal import Journal
from trapmeter.models.network_input import network_input
from trapmeter.models.runtimes.choice import Runtime
from trapmeter.models.runtimes.network import Ensemble
from trapmeter.records import Box
from trapmeter.training.settings import PseudolabelSettings

BATCH_SIZE = 8
VideoSecond = tuple[str, float]
"""video_id and time in seconds."""


@dataclass(frozen=True, slots=True)
class VideoPredictions:
    """What every member of an ensemble answers for the moments of a video: metres[moment][member]."""

    video_id: str
    times_s: tuple[float, ...]
    metres: tuple[tuple[float, ...], ...]

    @property
    def key(self) -> str:
        """Under which the journal keeps it: other moments of the same video are other pieces."""
        return f"{self.video_id} {' '.join(map(repr, self.times_s))}"

    def to_json(self) -> dict[str, Any]:
        """As plain values for the journal."""
        return {"video_id": self.video_id, "times_s": self.times_s, "metres": self.metres}

    @staticmethod
    def from_json(data: dict[str, Any]) -> VideoPredictions:
        """The inverse of `to_json`."""
        return VideoPredictions(data["video_id"], tuple(data["times_s"]), tuple(tuple(row) for row in data["metres"]))


@dataclass(frozen=True, slots=True)
class EnsemblePrediction:
    """An ensemble's answer for a moment: the plain mean of its members, and their standard deviation, in metres."""

    distance_m: float
    spread_m: float


def predict_seconds(
    ensemble: Ensemble,
    store: FrameStore,
    moments: Sequence[VideoSecond],
    boxes: Mapping[VideoSecond, Box | None],
    journal_path: Path,
    *,
    flip: bool,
    progress: Callable[[int, int], None] = lambda *_: None,
    runtime: Runtime = Runtime.ONNXRUNTIME,
) -> dict[VideoSecond, EnsemblePrediction]:
    """The ensemble's answer for each moment; otherwise as `predict_by_member`."""
    found = predict_by_member(
        ensemble, store, moments, boxes, journal_path, flip=flip, progress=progress, runtime=runtime
    )
    return {
        moment: EnsemblePrediction(float(np.mean(metres)), float(np.std(metres))) for moment, metres in found.items()
    }


def predict_by_member(
    ensemble: Ensemble,
    store: FrameStore,
    moments: Sequence[VideoSecond],
    boxes: Mapping[VideoSecond, Box | None],
    journal_path: Path,
    *,
    flip: bool,
    progress: Callable[[int, int], None] = lambda *_: None,
    runtime: Runtime = Runtime.ONNXRUNTIME,
) -> dict[VideoSecond, tuple[float, ...]]:
    """Metres by every member, as `Ensemble.answers` orders them, for all moments that the store has frames of.

    Moments that it lacks are not in the result. runtime: the one that the ensemble was opened in.

    Raises:
        InputError: the store's frames are not of the ensemble's size or kind.
        RunError: the journal is of another ensemble, or another run is writing it.
    """
    spec = ensemble.spec
    store.spec.check_serves(spec)
    known = set(store.video_ids())
    times_of: dict[str, list[float]] = defaultdict(list)
    for video_id, time_s in dict.fromkeys(moments):
        if video_id in known and time_s < store.length_s(video_id):
            times_of[video_id].append(time_s)
    settings = {
        "networks": [bundle.identity.sha256 for bundle in ensemble.members],
        "flip": flip,
        "runtime": runtime,
    }
    found: dict[VideoSecond, tuple[float, ...]] = {}
    with lock_file(journal_path), Journal(journal_path, settings, VideoPredictions.from_json) as journal:
        for number, (video_id, times) in enumerate(sorted(times_of.items())):
            times_s = tuple(sorted(times))
            key = VideoPredictions(video_id, times_s, ()).key
            if key not in journal.done:
                journal.add(_predict_video(ensemble, store, video_id, times_s, boxes))
            for time_s, metres in zip(times_s, journal.done[key].metres, strict=True):
                found[video_id, time_s] = metres
            progress(number + 1, len(times_of))
    return found


def _predict_video(
    ensemble: Ensemble,
    store: FrameStore,
    video_id: str,
    times_s: tuple[float, ...],
    boxes: Mapping[VideoSecond, Box | None],
) -> VideoPredictions:
    spec = ensemble.spec
    metres: list[tuple[float, ...]] = []
    for start in range(0, len(times_s), BATCH_SIZE):
        windows = [
            network_input(
                store.window(video_id, time_s, spec.offsets_s, spec.edge), boxes.get((video_id, time_s)), spec
            )
            for time_s in times_s[start : start + BATCH_SIZE]
        ]
        metres += [tuple(row) for row in ensemble.predict_members(np.stack(windows)).T.tolist()]
    return VideoPredictions(video_id, times_s, tuple(metres))


def write_submission(
    path: Path,
    moments: Sequence[VideoSecond],
    answers: Mapping[VideoSecond, EnsemblePrediction],
    round_to_m: float | None = None,
) -> int:
    """Writes video_id, time, distance in the order of moments; returns how many have no answer of their own.

    Those get the median of all answers, since a submission may leave out no row. round_to_m: as the 2nd place did for the
    leaderboard with 0.5; it heaps the distances, so never for density.

    Raises:
        InputError: there is no answer at all, or round_to_m is not above 0.
    """
    if not answers:
        raise InputError("no moment could be answered: the store has frames of none of them")
    if round_to_m is not None and not round_to_m > 0:
        raise InputError(f"--round is a number of metres above 0, got {round_to_m:g}")
    middle = median(answer.distance_m for answer in answers.values())
    n_missing = 0
    with atomic_file(path) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("video_id", "time", "distance"))
        for video_id, time_s in moments:
            answer = answers.get((video_id, time_s))
            n_missing += answer is None
            distance_m = middle if answer is None else answer.distance_m
            if round_to_m is not None:
                # Half up, not to even: 0.25 m is as far from 0 as from 0.5, and nobody stands at 0.
                distance_m = math.floor(distance_m / round_to_m + 0.5) * round_to_m
            writer.writerow((video_id, f"{time_s:g}", f"{distance_m:.4f}".rstrip("0").rstrip(".")))
    return n_missing


def write_pseudolabels(
    path: Path, answers: Mapping[VideoSecond, EnsemblePrediction], settings: PseudolabelSettings
) -> tuple[int, int]:
    """Writes video_id, time, distance, weight and spread for `train --extra`; returns how many were kept and left out."""
    n_kept = 0
    with atomic_file(path) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("video_id", "time", "distance", "weight", "spread"))
        for (video_id, time_s), answer in sorted(answers.items()):
            weight = settings.weight(answer.distance_m, answer.spread_m)
            if weight is not None:
                n_kept += 1
                row = (f"{answer.distance_m:.4f}", f"{weight:.4f}", f"{answer.spread_m:.4f}")
                writer.writerow((video_id, f"{time_s:g}", *row))
    return n_kept, len(answers) - n_kept
