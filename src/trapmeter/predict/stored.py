"""An ensemble's answers for moments whose frames are in a store: no video is opened, nothing is detected.

Video by video into a journal, so that a run over thousands of moments can be broken off and go on.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from trapmeter.files import alone_with
from trapmeter.frames.store import FrameStore
from trapmeter.journal import Journal
from trapmeter.models.inputs import network_input
from trapmeter.records import Box
from trapmeter.runtimes.choice import Runtime
from trapmeter.runtimes.ensemble import Ensemble

BATCH = 8
Moment = tuple[str, float]
"""video_id and time in seconds."""


@dataclass(frozen=True, slots=True)
class VideoAnswers:
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
    def from_json(data: dict[str, Any]) -> VideoAnswers:
        """The inverse of `to_json`."""
        return VideoAnswers(data["video_id"], tuple(data["times_s"]), tuple(tuple(row) for row in data["metres"]))


@dataclass(frozen=True, slots=True)
class Answer:
    """An ensemble's answer for a moment: the plain mean of its members, and their standard deviation, in metres."""

    distance_m: float
    spread_m: float


def answer_moments(
    ensemble: Ensemble,
    store: FrameStore,
    moments: Sequence[Moment],
    boxes: Mapping[Moment, Box | None],
    journal_path: Path,
    *,
    flip: bool,
    progress: Callable[[int, int], None] = lambda *_: None,
    runtime: Runtime = Runtime.ONNXRUNTIME,
) -> dict[Moment, Answer]:
    """The ensemble's answer for each moment; otherwise as `member_answers`."""
    found = member_answers(ensemble, store, moments, boxes, journal_path, flip=flip, progress=progress, runtime=runtime)
    return {moment: Answer(float(np.mean(metres)), float(np.std(metres))) for moment, metres in found.items()}


def member_answers(
    ensemble: Ensemble,
    store: FrameStore,
    moments: Sequence[Moment],
    boxes: Mapping[Moment, Box | None],
    journal_path: Path,
    *,
    flip: bool,
    progress: Callable[[int, int], None] = lambda *_: None,
    runtime: Runtime = Runtime.ONNXRUNTIME,
) -> dict[Moment, tuple[float, ...]]:
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
    found: dict[Moment, tuple[float, ...]] = {}
    with alone_with(journal_path), Journal(journal_path, settings, VideoAnswers.from_json) as journal:
        for number, (video_id, times) in enumerate(sorted(times_of.items())):
            times_s = tuple(sorted(times))
            key = VideoAnswers(video_id, times_s, ()).key
            if key not in journal.done:
                journal.add(_answer_video(ensemble, store, video_id, times_s, boxes))
            for time_s, metres in zip(times_s, journal.done[key].metres, strict=True):
                found[video_id, time_s] = metres
            progress(number + 1, len(times_of))
    return found


def _answer_video(
    ensemble: Ensemble,
    store: FrameStore,
    video_id: str,
    times_s: tuple[float, ...],
    boxes: Mapping[Moment, Box | None],
) -> VideoAnswers:
    spec = ensemble.spec
    metres: list[tuple[float, ...]] = []
    for start in range(0, len(times_s), BATCH):
        windows = [
            network_input(
                store.window(video_id, time_s, spec.offsets_s, spec.edge), boxes.get((video_id, time_s)), spec
            )
            for time_s in times_s[start : start + BATCH]
        ]
        metres += [tuple(row) for row in ensemble.answers(np.stack(windows)).T.tolist()]
    return VideoAnswers(video_id, times_s, tuple(metres))
