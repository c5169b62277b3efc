"""Learns the rules of trapmeter.detect.evidence on the training videos of simtrap (rendered, every box known).

    python benchmarks/learn_evidence.py --simtrap DIR --out src/trapmeter/detect/embedded/evidence.json

Looks twice at one picture per second, like `trapmeter predict`. A candidate is right if it overlaps (IoU >= 0.3) an animal
that is at least 20 % visible and that no likelier candidate took; candidates on less visible animals are left out. Both
logistic rules are fitted by maximum likelihood with a small ridge penalty. The second rule learns from what the first says at
sites that it was not fitted to. Prints recall and false boxes for candidates judged by rules of other sites (six groups of
sites), by the likelihood from which a candidate that doesn't reach the threshold of scores counts.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from recall import Totals, Truth, look_twice, read_truth, video_paths
from trapmeter.detect.candidates import Candidate
from trapmeter.detect.evidence import Evidence, Rule, features_alone, features_in_context
from trapmeter.detect.megadetector_lite import DEFAULT_MIN_SCORE, MegadetectorLite
from trapmeter.detect.second_look import SecondLook
from trapmeter.folds import folds_by_size
from trapmeter.geometry import SAME_ANIMAL_IOU as FOUND_IOU
from trapmeter.geometry import iou
from trapmeter.records import Box

N_GROUPS = 6
RIDGE = 1.0
VISIBLE = 0.2
LEFT_OUT = -1
THRESHOLDS = (0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5, 0.6)
LEAST, LEAST_OWN = 0.5, 0.2

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class LearningVideo:
    """The candidates of a video, and the animals that it shows."""

    name: str
    site_id: str
    seconds: list[tuple[float, tuple[Candidate, ...]]]
    truth: list[list[tuple[Box, float]]]


def read_videos(simtrap: Path, truth: Truth) -> list[LearningVideo]:
    """Looks twice at all training videos."""
    videos = []
    for path, site_id in video_paths(simtrap, "train"):
        seconds = look_twice(path)
        videos.append(LearningVideo(path.name, site_id, seconds, [truth.get((path.name, t), []) for t, _ in seconds]))
    return videos


def fit_rule(features: Floats, right: NDArray[np.int_]) -> Rule:
    """The logistic rule of the greatest likelihood, penalised by RIDGE on standardised features."""
    used = right != LEFT_OUT
    x, y = features[used], right[used].astype(np.float64)
    mean, spread = x.mean(axis=0), np.maximum(x.std(axis=0), 1e-6)
    z = np.column_stack([np.ones(len(x)), (x - mean) / spread])

    def loss(weights: Floats) -> tuple[float, Floats]:
        odds = z @ weights
        residual = 1 / (1 + np.exp(-odds)) - y
        penalty = np.concatenate([[0.0], weights[1:]])
        value = np.logaddexp(0.0, odds).sum() - y @ odds + RIDGE / 2 * penalty @ penalty
        return float(value), z.T @ residual + RIDGE * penalty

    weights = minimize(loss, np.zeros(z.shape[1]), jac=True, method="L-BFGS-B").x
    slopes = weights[1:] / spread
    return Rule(float(weights[0] - slopes @ mean), tuple(float(slope) for slope in slopes))


def right_alone(candidates: Sequence[Candidate], animals: Sequence[tuple[Box, float]]) -> list[int]:
    """For each candidate 1 if it overlaps a visible animal most, LEFT_OUT for a hardly visible one, else 0."""
    if not candidates or not animals:
        return [0] * len(candidates)
    overlap = iou(np.array([c.likelier.xyxy for c in candidates]), np.array([box.xyxy for box, _ in animals]))
    return [_verdict(row.max(), animals[row.argmax()][1]) for row in overlap]


def right_in_context(
    candidates: Sequence[Candidate], likelihood: Floats, animals: Sequence[tuple[Box, float]]
) -> list[int]:
    """The same, but each animal belongs to one candidate only: the likeliest that overlaps it."""
    right = [0] * len(candidates)
    if not candidates or not animals:
        return right
    overlap = iou(np.array([c.likelier.xyxy for c in candidates]), np.array([box.xyxy for box, _ in animals]))
    for i in np.argsort(-likelihood, kind="stable"):
        animal = int(overlap[i].argmax())
        right[i] = _verdict(overlap[i, animal], animals[animal][1])
        if right[i] != 0:
            overlap[:, animal] = 0.0
    return right


def _verdict(overlap: float, visible: float) -> int:
    if overlap < FOUND_IOU:
        return 0
    return 1 if visible >= VISIBLE else LEFT_OUT


class Learner:
    """The candidates of all videos as tables of features, and the rules fitted to some of the sites."""

    def __init__(self, videos: Sequence[LearningVideo]) -> None:
        self.videos = videos
        group_of = folds_by_size({video.site_id for video in videos}, N_GROUPS)
        self.groups = np.array([group_of[video.site_id] for video in videos])
        self.alone = [[features_alone(found) for _, found in video.seconds] for video in videos]
        self.right = [
            [right_alone(found, animals) for (_, found), animals in zip(video.seconds, video.truth, strict=True)]
            for video in videos
        ]

    def held_out(self) -> tuple[list[list[Floats]], Rule]:
        """The likelihoods of each video's candidates, by rules of other sites; and the final second rule."""
        alone: list[list[Floats]] = [[] for _ in self.videos]
        for group in range(N_GROUPS):
            rule = self.fit_alone(np.flatnonzero(self.groups != group))
            for i in np.flatnonzero(self.groups == group):
                alone[i] = [rule.likelihood(rows) for rows in self.alone[i]]
        context = [features_in_context(video.seconds, alone[i]) for i, video in enumerate(self.videos)]
        right = [
            [
                right_in_context(found, likely, animals)
                for (_, found), likely, animals in zip(video.seconds, alone[i], video.truth, strict=True)
            ]
            for i, video in enumerate(self.videos)
        ]

        def fit(members: NDArray[np.intp]) -> Rule:
            return fit_rule(
                np.concatenate([rows for i in members for rows in context[i]]),
                np.array([value for i in members for rows in right[i] for value in rows]),
            )

        likelihoods: list[list[Floats]] = [[] for _ in self.videos]
        for group in range(N_GROUPS):
            rule = fit(np.flatnonzero(self.groups != group))
            for i in np.flatnonzero(self.groups == group):
                likelihoods[i] = [rule.likelihood(rows) for rows in context[i]]
        return likelihoods, fit(np.arange(len(self.videos)))

    def fit_alone(self, members: NDArray[np.intp]) -> Rule:
        """The first rule, fitted to some of the videos."""
        return fit_rule(
            np.concatenate([rows for i in members for rows in self.alone[i]]),
            np.array([value for i in members for rows in self.right[i] for value in rows]),
        )


def main() -> None:
    """Learns both rules, prints the table and writes the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--simtrap", type=Path, required=True, help="folder with train_videos/, videos.csv and truth.csv"
    )
    parser.add_argument("--out", type=Path, help="write the rules here")
    arguments = parser.parse_args()
    learner = Learner(read_videos(arguments.simtrap, read_truth(arguments.simtrap / "truth.csv")))
    likelihoods, in_context = learner.held_out()
    alone = learner.fit_alone(np.arange(len(learner.videos)))
    print("| least likelihood | animals found | false boxes a minute |\n| --- | --- | --- |")
    for least in THRESHOLDS:
        totals = Totals()
        chooser = SecondLook(MegadetectorLite.load(), DEFAULT_MIN_SCORE, Evidence(alone, in_context, least, LEAST_OWN))
        for video, likely in zip(learner.videos, likelihoods, strict=True):
            for (_, found), values, animals in zip(video.seconds, likely, video.truth, strict=True):
                totals.add(chooser.animals(found, values), animals)
        print(f"| {least:g} | {totals.recall:.1%} | {totals.false_per_minute:.2f} |")
    for name, rule in (("alone", alone), ("in context", in_context)):
        print(name, round(rule.intercept, 3), *(round(weight, 3) for weight in rule.weights))
    if arguments.out is not None:
        rules = {
            name: {"intercept": round(rule.intercept, 4), "weights": [round(weight, 4) for weight in rule.weights]}
            for name, rule in (("alone", alone), ("in_context", in_context))
        }
        source = "benchmarks/learn_evidence.py on the 240 training videos of simtrap (rendered), 48 sites"
        content = {"learned_by": source, "least": LEAST, "least_own": LEAST_OWN, **rules}
        arguments.out.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
