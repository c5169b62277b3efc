"""Measures which boxes are marked static on simtrap, where the true boxes of all animals are known.

    trapmeter predict simtrap/train_videos --site sites-of-videos.csv --out results/
    python benchmarks/static_boxes.py --simtrap simtrap/ --results results/ --tables deep-chimpact/

Prints the measured boxes that show an animal and those that do not, and how many of each are marked static. A box shows an
animal if it overlaps the visible part of one by 0.3 or more at its second. An animal moves if its true boxes in the video
have an overlap below 0.85 with their median in at least a tenth of the seconds.
"""

from __future__ import annotations

import argparse
import csv
from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np

from trapmeter.boxmodel.training_data import read_labelled_observations
from trapmeter.detect.static_boxes import static_reasons
from trapmeter.geometry import SAME_ANIMAL_IOU, iou
from trapmeter.tables.distances import find_distances, read_distances

STILL_IOU = 0.85
MIN_SCORE = 0.25


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--simtrap", type=Path, required=True)
    parser.add_argument("--results", type=Path, required=True)
    parser.add_argument("--tables", type=Path, help="Deep Chimpact's tables, whose videos all show animals")
    arguments = parser.parse_args()
    if arguments.tables is not None:
        print_marked(arguments.tables)
    animals: dict[tuple[str, float], list[tuple[str, tuple[float, ...]]]] = defaultdict(list)
    tracks: dict[tuple[str, str], list[tuple[float, ...]]] = defaultdict(list)
    with (arguments.simtrap / "truth.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            if row["x1"]:
                box = tuple(float(row[name]) for name in ("x1", "y1", "x2", "y2"))
                animals[row["video_id"], float(row["time"])].append((row["animal_id"], box))
                tracks[row["video_id"], row["animal_id"]].append(box)
    is_moving = {}
    for key, boxes in tracks.items():
        corners = np.array(boxes)
        is_moving[key] = bool(np.quantile(iou(corners, np.median(corners, axis=0)[None])[:, 0], 0.1) < STILL_IOU)
    n_boxes: Counter[str] = Counter()
    n_static: Counter[str] = Counter()
    for estimate in read_distances(find_distances(arguments.results)):
        seen = estimate.observation
        if seen.box is None or estimate.distance is None:
            continue
        video_id = Path(seen.media_id).name
        shown = animals[video_id, round(seen.time_s)]
        overlaps = iou(np.array([seen.box.xyxy]), np.array([box for _, box in shown]).reshape(-1, 4))[0]
        kind = "no animal"
        if len(overlaps) and overlaps.max() >= SAME_ANIMAL_IOU:
            animal_id = shown[int(overlaps.argmax())][0]
            kind = "moving animal" if is_moving[video_id, animal_id] else "animal that stays in place"
        n_boxes[kind] += 1
        n_static[kind] += estimate.is_static
    print("| box shows | boxes | marked static | share |")
    print("| --- | --- | --- | --- |")
    for kind in ("no animal", "moving animal", "animal that stays in place"):
        print(f"| {kind} | {n_boxes[kind]:,} | {n_static[kind]:,} | {n_static[kind] / max(n_boxes[kind], 1):.1%} |")


def print_marked(tables: Path) -> None:
    """Prints how many boxes of the tables are marked, of those that predict would use."""
    rows = [row.observation for row in read_labelled_observations(tables)]
    sure = [replace(row, animal_id=1) for row in rows if row.box is not None and row.box.score >= MIN_SCORE]
    n_marked = sum(map(bool, static_reasons(sure)))
    print(f"{tables}: {n_marked:,} of {len(sure):,} boxes are marked ({n_marked / len(sure):.1%})\n")


if __name__ == "__main__":
    main()
