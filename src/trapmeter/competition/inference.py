"""Predictions of an ensemble of networks for the seconds of a frame store, in a resumable run."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any

import numpy as np
from cyclopts import Parameter

from trapmeter.facts import NO_FACTS, Facts
from trapmeter.files import PathLike, lock_file, sha256_of_bytes
from trapmeter.frames.store import FrameStore
from trapmeter.journal import Journal
from trapmeter.models.installed import find_model
from trapmeter.models.network_input import fact_inputs, network_input
from trapmeter.models.runtimes.choice import Runtime
from trapmeter.models.runtimes.network import Ensemble, open_or_fall_back
from trapmeter.progress import Announce, Progress, no_progress
from trapmeter.records import Box, VideoSecond
from trapmeter.settings import Parsed, Range, check_ranges, worker_count
from trapmeter.tables.drivendata import best_box_rows

BATCH_SIZE = 8
NOTHING_KNOWN: Mapping[VideoSecond, Facts] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class InferenceSettings:
    """Which ensemble predicts, and from which frames."""

    store: Path
    """Folder that `trapmeter frames` has filled."""
    models: Annotated[tuple[Path, ...], Parsed(find_model), Parameter(name="--model")]
    """Folder of a bundle, or the name of a downloaded model; give several for an ensemble."""
    metadata: Path | None = None
    """CSV file of video_id, time, x1, y1, x2, y2, probability, park, site_id: boxes for networks that take one."""
    flip: bool = False
    """Run each network on the mirror image too."""
    runtime: Runtime = Runtime.AUTO
    """What runs the networks: onnxruntime, openvino (an extra), torch (for GPUs), or auto, which prints its choice."""
    threads: Annotated[int | None, Range(least=1)] = None
    """Threads of each network. Default: one per core."""

    def __post_init__(self) -> None:
        check_ranges(self)


@dataclass(frozen=True, slots=True)
class EnsemblePrediction:
    """An ensemble's prediction for one second: the plain mean of its members, and their standard deviation, in metres."""

    distance_m: float
    spread_m: float


@dataclass(frozen=True, slots=True)
class VideoPredictions:
    """The predictions of every member of an ensemble for seconds of one video: metres[second][member]."""

    video_id: str
    times_s: tuple[float, ...]
    metres: tuple[tuple[float, ...], ...]

    @property
    def key(self) -> str:
        """Identifies the video and its seconds in the journal."""
        return f"{self.video_id} {' '.join(map(repr, self.times_s))}"

    def to_json(self) -> dict[str, Any]:
        """As plain values for the journal."""
        return {"video_id": self.video_id, "times_s": self.times_s, "metres": self.metres}

    @staticmethod
    def from_json(data: dict[str, Any]) -> VideoPredictions:
        """The inverse of `to_json`."""
        return VideoPredictions(data["video_id"], tuple(data["times_s"]), tuple(tuple(row) for row in data["metres"]))


def predict_from_store(
    seconds: Sequence[VideoSecond],
    settings: InferenceSettings,
    journal: PathLike,
    announce: Announce,
    progress: Progress = no_progress,
) -> dict[VideoSecond, EnsemblePrediction]:
    """The ensemble's prediction for every second that the store has frames of.

    journal: a file that keeps each finished video, so that an interrupted call resumes.

    Raises:
        ModelError: a model is missing or damaged, or the models take different inputs.
        InputError: the store or the metadata is wrong, or its frames are not of the ensemble's size or kind.
        RunError: the journal belongs to another ensemble, or another run is writing it.
    """
    folders = [find_model(model) for model in settings.models]
    threads = worker_count(settings.threads)
    ensemble, choice = open_or_fall_back(
        settings.runtime,
        lambda runtime: Ensemble.load(folders, flip=settings.flip, threads=threads, runtime=runtime),
    )
    announce(f"networks run in {choice.runtime}: {choice.reason}")
    store = FrameStore.open(Path(settings.store))
    metadata = None if settings.metadata is None else Path(settings.metadata)
    boxes = {second: row.box for second, row in best_box_rows(metadata).items()}
    by_member = predict_by_member(
        ensemble, store, seconds, boxes, Path(journal), flip=settings.flip, progress=progress, runtime=choice.runtime
    )
    return mean_predictions(by_member)


def mean_predictions(by_member: Mapping[VideoSecond, Sequence[float]]) -> dict[VideoSecond, EnsemblePrediction]:
    """The ensemble's prediction for each second, from those of its members."""
    return {
        second: EnsemblePrediction(float(np.mean(metres)), float(np.std(metres)))
        for second, metres in by_member.items()
    }


def predict_by_member(
    ensemble: Ensemble,
    store: FrameStore,
    seconds: Sequence[VideoSecond],
    boxes: Mapping[VideoSecond, Box | None],
    journal_path: Path,
    *,
    flip: bool,
    progress: Progress = no_progress,
    runtime: Runtime = Runtime.ONNXRUNTIME,
    facts: Mapping[VideoSecond, Facts] = NOTHING_KNOWN,
) -> dict[VideoSecond, tuple[float, ...]]:
    """The distances in metres by every member, in the order of `Ensemble.predict_members`.

    The result has only the seconds that the store has frames of. runtime: the one in which the ensemble was loaded. facts:
    for networks that take any.

    Raises:
        InputError: the store's frames are not of the ensemble's size or kind.
        RunError: the journal belongs to another ensemble, or another run is writing it.
    """
    store.spec.check_serves(ensemble.spec)
    stored = set(store.video_ids())
    times_by_video: dict[str, list[float]] = defaultdict(list)
    for video_id, time_s in dict.fromkeys(seconds):
        if video_id in stored and time_s < store.length_s(video_id):
            times_by_video[video_id].append(time_s)
    settings = {
        "networks": [bundle.identity.sha256 for bundle in ensemble.members],
        "flip": flip,
        "runtime": runtime,
        "boxes": _checksum(boxes) if ensemble.spec.box_channel else None,
    }
    if ensemble.spec.facts:
        settings["facts"] = _checksum(facts)
    remedy = f"choose another --out, or delete {journal_path}"
    predictions: dict[VideoSecond, tuple[float, ...]] = {}
    with lock_file(journal_path), Journal(journal_path, settings, VideoPredictions.from_json, remedy) as journal:
        for n_done, (video_id, times) in enumerate(sorted(times_by_video.items()), start=1):
            times_s = tuple(sorted(times))
            key = VideoPredictions(video_id, times_s, ()).key
            if key not in journal.done:
                journal.add(_predict_video(ensemble, store, video_id, times_s, boxes, facts))
            for time_s, metres in zip(times_s, journal.done[key].metres, strict=True):
                predictions[VideoSecond(video_id, time_s)] = metres
            progress("answer", n_done, len(times_by_video), 0)
    return predictions


def _checksum(known: Mapping[VideoSecond, object]) -> str:
    text = "\n".join(sorted(f"{second} {value}" for second, value in known.items()))
    return sha256_of_bytes(text.encode())[:16] if known else "none"


def _predict_video(
    ensemble: Ensemble,
    store: FrameStore,
    video_id: str,
    times_s: tuple[float, ...],
    boxes: Mapping[VideoSecond, Box | None],
    facts: Mapping[VideoSecond, Facts],
) -> VideoPredictions:
    spec = ensemble.spec
    metres: list[tuple[float, ...]] = []
    for start in range(0, len(times_s), BATCH_SIZE):
        seconds = [VideoSecond(video_id, time_s) for time_s in times_s[start : start + BATCH_SIZE]]
        shown = [boxes.get(second) for second in seconds]
        windows = [
            network_input(store.window(*second, spec.offsets_s, spec.edge), box, spec)
            for second, box in zip(seconds, shown, strict=True)
        ]
        told = fact_inputs(shown, spec, [facts.get(second, NO_FACTS) for second in seconds])
        metres += [tuple(row) for row in ensemble.predict_members(np.stack(windows), told).T.tolist()]
    return VideoPredictions(video_id, times_s, tuple(metres))
