"""A DrivenData submission out of an ensemble's answers."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

from trapmeter.errors import InputError
from trapmeter.files import whole_file
from trapmeter.predict.stored import Answer, Moment


def write_submission(
    path: Path, moments: Sequence[Moment], answers: Mapping[Moment, Answer], round_to_m: float | None = None
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
    with whole_file(path) as file:
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
