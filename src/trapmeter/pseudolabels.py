"""Turns an ensemble's answers for unlabelled videos into samples to train on."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from trapmeter.errors import InputError
from trapmeter.files import whole_file
from trapmeter.predict.stored import Answer, Moment


@dataclass(frozen=True, slots=True)
class PseudolabelSettings:
    """Which answers become samples, and how much they count."""

    max_relative_spread: float | None = 0.3
    """Answers whose members differ by more than this share of the distance (standard deviation) are left out; None: all are
    taken and count as much as labels, as in the 2nd-place system."""

    def __post_init__(self) -> None:
        if self.max_relative_spread is not None and not self.max_relative_spread > 0:
            raise InputError(f"--max-spread is a share above 0, got {self.max_relative_spread:g}")

    def weight(self, answer: Answer) -> float | None:
        """From 1 where all members agree to 0.1 at the threshold; None beyond it."""
        if self.max_relative_spread is None:
            return 1.0
        # Nearer than a metre, a fixed difference would be any share of the distance.
        share = answer.spread_m / max(answer.distance_m, 1.0) / self.max_relative_spread
        return None if share > 1 else 1.0 - 0.9 * share


def write_pseudolabels(path: Path, answers: Mapping[Moment, Answer], settings: PseudolabelSettings) -> tuple[int, int]:
    """Writes video_id, time, distance, weight and spread for `train --extra`; returns how many were kept and left out."""
    n_kept = 0
    with whole_file(path) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("video_id", "time", "distance", "weight", "spread"))
        for (video_id, time_s), answer in sorted(answers.items()):
            weight = settings.weight(answer)
            if weight is not None:
                n_kept += 1
                row = (f"{answer.distance_m:.4f}", f"{weight:.4f}", f"{answer.spread_m:.4f}")
                writer.writerow((video_id, f"{time_s:g}", *row))
    return n_kept, len(answers) - n_kept
