"""Measures recall, precision and CPU time of the built-in detectors by threshold.

On the training videos of simtrap (rendered, every box known; every fourth video unless --all), one picture per second.
A box is right if it overlaps (IoU >= 0.3) an animal that is at least 20 % visible; boxes on less visible animals count
neither way. The threshold was chosen on this table; nothing is trained, so sites need not be held out.

    python benchmarks/detect.py --simtrap DIR [--all]
"""

from __future__ import annotations

import argparse
import csv
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
from scipy.optimize import linear_sum_assignment

from trapmeter.detect.megadetector_lite import DEFAULT_MIN_SCORE, EMBEDDED, MegadetectorLite
from trapmeter.detect.precision import DetectorPrecision
from trapmeter.geometry import iou
from trapmeter.media.reader import FitWithin
from trapmeter.media.video import open_video
from trapmeter.records import Box, Frame

THRESHOLDS = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.7)
Truth = dict[tuple[str, float], list[tuple[Box, float]]]


def read_truth(path: Path) -> Truth:
    """Box and visible share of each animal, by video and second."""
    truth: Truth = defaultdict(list)
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            if row["x1"]:
                box = Box(*(float(row[name]) for name in ("x1", "y1", "x2", "y2")), 1.0)
                truth[row["video_id"], float(row["time"])].append((box, float(row["visible_fraction"])))
    return truth


def pairs(boxes: list[Box], animals: list[Box]) -> list[tuple[int, int, float]]:
    """Pairs of a box and the animal under it, with their overlap."""
    if not boxes or not animals:
        return []
    overlap = iou(np.array([box.xyxy for box in boxes]), np.array([box.xyxy for box in animals]))
    best = zip(*linear_sum_assignment(-overlap), strict=True)
    return [(i, j, float(overlap[i, j])) for i, j in best if overlap[i, j] >= 0.3]


def count_hits(boxes: list[Box], animals: list[tuple[Box, float]]) -> tuple[int, int, int]:
    """The numbers of right boxes, wrong boxes and visible animals at one second."""
    visible = [share >= 0.2 for _, share in animals]
    if not boxes or not animals:
        return 0, len(boxes), sum(visible)
    hit = [visible[j] for _, j, _ in pairs(boxes, [box for box, _ in animals])]
    right, hardly_visible = sum(hit), len(hit) - sum(hit)
    return right, len(boxes) - right - hardly_visible, sum(visible)


class DetectorFigures:
    """Figures of one detector."""

    def __init__(self) -> None:
        self.cpu_s = 0.0
        self._counts = {threshold: np.zeros(3, int) for threshold in THRESHOLDS}
        self._height_errors: list[float] = []
        self._overlaps: list[float] = []

    def add(self, boxes: list[Box], animals: list[tuple[Box, float]], cpu_s: float) -> None:
        """Adds the boxes of a second."""
        self.cpu_s += cpu_s
        for threshold in THRESHOLDS:
            self._counts[threshold] += count_hits([box for box in boxes if box.score >= threshold], animals)
        likely = [box for box in boxes if box.score >= DEFAULT_MIN_SCORE]
        visible = [box for box, share in animals if share >= 0.5]
        for i, j, overlap in pairs(likely, visible):
            self._overlaps.append(overlap)
            ratio = (likely[i].y2 - likely[i].y1) / (visible[j].y2 - visible[j].y1)
            self._height_errors.append(abs(np.log(ratio)))

    def show(self, kind: DetectorPrecision, n_seconds: int, reference_cpu_s: float) -> None:
        """Prints its table."""
        print(
            f"\n{kind}: {1000 * self.cpu_s / n_seconds:.0f} CPU ms per picture on one thread, "
            f"{reference_cpu_s / self.cpu_s:.2f} times less than float32; boxes on animals seen by half or more: overlap "
            f"{np.mean(self._overlaps):.3f}, heights wrong by {np.mean(self._height_errors):.1%}\n"
        )
        print("| threshold | boxes right | animals found | F1 |\n| --- | --- | --- | --- |")
        for threshold, (right, wrong, animals) in self._counts.items():
            precision, recall = right / max(1, right + wrong), right / animals
            mark = " (default)" if threshold == DEFAULT_MIN_SCORE else ""
            f1 = 2 * precision * recall / max(1e-9, precision + recall)
            print(f"| {threshold:g}{mark} | {precision:.1%} | {recall:.1%} | {f1:.3f} |")


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--simtrap", type=Path, required=True, help="folder with train_videos/ and truth.csv")
    parser.add_argument("--all", action="store_true", help="all training videos")
    arguments = parser.parse_args()
    truth = read_truth(arguments.simtrap / "truth.csv")
    videos = sorted((arguments.simtrap / "train_videos").iterdir())[:: 1 if arguments.all else 4]
    detectors = {kind: MegadetectorLite.load(EMBEDDED[kind], min_score=min(THRESHOLDS)) for kind in DetectorPrecision}
    figures_of = {kind: DetectorFigures() for kind in DetectorPrecision}
    n_seconds = 0
    for path in videos:
        with open_video(path, FitWithin(*detectors[DetectorPrecision.INT8].input_hw)) as video:
            times_s = video.regular_times(1.0)
            for time_s, frame in zip(times_s, video.frames(times_s), strict=True):
                assert isinstance(frame, Frame)
                n_seconds += 1
                for kind, detector in detectors.items():
                    started = time.process_time()
                    (boxes,) = detector.detect([frame.pixels])
                    figures_of[kind].add(boxes, truth.get((path.name, time_s), []), time.process_time() - started)
    print(f"{len(videos)} videos, {n_seconds} seconds")
    for kind, figures in figures_of.items():
        figures.show(kind, n_seconds, figures_of[DetectorPrecision.FLOAT32].cpu_s)


if __name__ == "__main__":
    main()
