"""Writes the competition's submission and tables of pseudolabels from an ensemble's predictions."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

from trapmeter.competition.inference import EnsemblePrediction, InferenceSettings, predict_from_store
from trapmeter.errors import InputError
from trapmeter.files import PathLike, atomic_file, check_writable, write_errors
from trapmeter.progress import Announce, Progress, no_progress
from trapmeter.records import VideoSecond
from trapmeter.tables.drivendata import read_video_seconds
from trapmeter.training.settings import PseudolabelSettings


class SubmissionCounts(NamedTuple):
    """Rows of a submission; those without frames got the median of the other predictions."""

    n_rows: int
    n_without_frames: int


def write_submission_for(
    form: PathLike,
    settings: InferenceSettings,
    out: PathLike,
    announce: Announce,
    *,
    round_to_m: float | None = None,
    journal: PathLike | None = None,
    progress: Progress = no_progress,
) -> SubmissionCounts:
    """Predicts every row of a submission format (a table with video_id and time) and writes the submission.

    journal: see `predict_from_store`; by default it lies beside out. Errors as in `predict_from_store` and
    `write_submission`.
    """
    seconds = _read_requested(form)
    predictions = predict_from_store(seconds, settings, _journal_beside(out, journal), announce, progress)
    return SubmissionCounts(len(seconds), write_submission(Path(out), seconds, predictions, round_to_m))


def write_submission(
    path: Path,
    seconds: Sequence[VideoSecond],
    predictions: Mapping[VideoSecond, EnsemblePrediction],
    round_to_m: float | None = None,
) -> int:
    """Writes video_id, time, distance in the order of seconds; returns how many of them have no prediction.

    Those get the median of all predictions, since a submission must have every row. round_to_m: the 2nd place rounded to
    0.5 m for the leaderboard; this heaps the distances, so never use it for density.

    Raises:
        InputError: there are no predictions, or round_to_m is not above 0.
    """
    if not predictions:
        raise InputError("nothing could be predicted: the store has no frames of the requested seconds")
    if round_to_m is not None and not round_to_m > 0:
        raise InputError(f"--round is a number of metres above 0, got {round_to_m:g}")
    median_m = median(prediction.distance_m for prediction in predictions.values())
    n_missing = 0
    with atomic_file(path) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("video_id", "time", "distance"))
        for second in seconds:
            prediction = predictions.get(second)
            n_missing += prediction is None
            distance_m = median_m if prediction is None else prediction.distance_m
            if round_to_m is not None:
                # Half up, not to even: 0.25 m is as far from 0 as from 0.5, and no animal stands at 0.
                distance_m = math.floor(distance_m / round_to_m + 0.5) * round_to_m
            writer.writerow((second.video_id, f"{second.time_s:g}", f"{distance_m:.4f}".rstrip("0").rstrip(".")))
    return n_missing


class PseudolabelCounts(NamedTuple):
    """Predictions that became pseudolabels, and those left out because the networks disagree."""

    n_kept: int
    n_left_out: int


def write_pseudolabels_for(
    table: PathLike,
    settings: InferenceSettings,
    out: PathLike,
    announce: Announce,
    *,
    pseudolabels: PseudolabelSettings | None = None,
    journal: PathLike | None = None,
    progress: Progress = no_progress,
) -> PseudolabelCounts:
    """Predicts every second of a table with video_id and time, and writes the pseudolabels.

    journal: see `predict_from_store`; by default it lies beside out. Errors as in `predict_from_store`.
    """
    seconds = _read_requested(table)
    predictions = predict_from_store(seconds, settings, _journal_beside(out, journal), announce, progress)
    return write_pseudolabels(Path(out), predictions, pseudolabels or PseudolabelSettings())


def write_pseudolabels(
    path: Path, predictions: Mapping[VideoSecond, EnsemblePrediction], settings: PseudolabelSettings
) -> PseudolabelCounts:
    """Writes video_id, time, distance, weight and spread for `train --extra`."""
    n_kept = 0
    with atomic_file(path) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("video_id", "time", "distance", "weight", "spread"))
        for second, prediction in sorted(predictions.items()):
            weight = settings.weight(prediction.distance_m, prediction.spread_m)
            if weight is not None:
                n_kept += 1
                cells = (f"{prediction.distance_m:.4f}", f"{weight:.4f}", f"{prediction.spread_m:.4f}")
                writer.writerow((second.video_id, f"{second.time_s:g}", *cells))
    return PseudolabelCounts(n_kept, len(predictions) - n_kept)


def _read_requested(table: PathLike) -> list[VideoSecond]:
    seconds = read_video_seconds(Path(table))
    if not seconds:
        raise InputError(f"{table}: no row below the header; expected one video_id and time per row")
    return seconds


def _journal_beside(out: PathLike, journal: PathLike | None) -> Path:
    path = Path(out)
    with write_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    check_writable(path)
    if journal is not None:
        return Path(journal)
    return path.with_name(f"{path.name}.answers.jsonl")
