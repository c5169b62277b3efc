"""Measures which animals `trapmeter predict` finds in videos: by the threshold of scores alone, and with the second look.

    python benchmarks/recall.py --simtrap DIR [--split test] [--videos N]
    python benchmarks/recall.py --clips DIR... [--sheet FILE.jpg]

The first form is on the videos of simtrap (rendered, every box known), one picture per second, through the same
pipeline as `predict`. An animal counts if at least 20 % of it are visible. It is found if a box overlaps it by IoU >=
0.3; each box is for one animal at most. Boxes on less visible animals count neither way, and all others are false. CPU
time is that of decoding and detection on one thread, both ways in turn for each video. A change of id: an animal's id
differs from its last one. The rules were learned on the training sites (`benchmarks/learn_evidence.py`).

The second form lists the boxes that the second look loses and adds in videos without truth, and draws the seconds with added
ones (green) and lost ones (red).
"""

from __future__ import annotations

import argparse
import csv
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import cv2
import numpy as np

from trapmeter.detect.candidates import Candidate
from trapmeter.detect.megadetector_lite import DEFAULT_MIN_SCORE, EMBEDDED, MegadetectorLite
from trapmeter.detect.precision import DetectorPrecision
from trapmeter.detect.second_look import FirstLook, small_copy
from trapmeter.geometry import match_boxes
from trapmeter.media.discovery import find_media, medium_kind
from trapmeter.media.reader import FitWithin
from trapmeter.media.video import open_video
from trapmeter.prediction.medium_pipeline import MediumTask, WorkerModels, process_medium
from trapmeter.prediction.worker_models import open_worker_models
from trapmeter.records import Box, Frame, Medium, MediumKind, Pixels

VISIBLE = 0.2
HEIGHTS = (0.06, 0.14, 0.22, 0.33, 1.01)
DISTANCES_M = (3.0, 5.0, 7.0, 10.0, 15.0, 99.0)

SHEET_COLUMNS, TILE_SIZE = 5, (320, 240)

Truth = dict[tuple[str, float], list[tuple[Box, float]]]
"""Box and visible share of each animal, by video and second."""


def read_truth(path: Path) -> Truth:
    """The drawn boxes, with the visible share as an animal's second value."""
    truth: Truth = defaultdict(list)
    for row in read_csv(path):
        if row["x1"]:
            truth[row["video_id"], float(row["time"])].append((_box(row), float(row["visible_fraction"])))
    return truth


def read_csv(path: Path) -> list[dict[str, str]]:
    """The rows of a table."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def video_paths(simtrap: Path, split: str) -> list[tuple[Path, str]]:
    """The videos of a split with their sites, in the order of sites."""
    rows = [row for row in read_csv(simtrap / "videos.csv") if row["split"] == split]
    rows.sort(key=lambda row: (row["site_id"], row["video_id"]))
    return [(simtrap / f"{split}_videos" / row["video_id"], row["site_id"]) for row in rows]


def look_twice(path: Path) -> list[tuple[float, tuple[Candidate, ...]]]:
    """The candidates at each second of a video."""
    models = _second_look_models()
    assert models.detector is not None and models.second_look is not None
    looks, times_s = [], []
    with open_video(path, FitWithin(*models.detector.input_hw)) as video:
        regular_s = video.regular_times(1.0)
        for time_s, frame in zip(regular_s, video.frames(regular_s), strict=True):
            if isinstance(frame, Frame):
                (boxes,) = models.detector.detect([frame.pixels])
                looks.append(FirstLook(tuple(boxes), small_copy(frame.pixels)))
                times_s.append(time_s)
    return list(zip(times_s, models.second_look.candidates(looks), strict=True))


@dataclass
class Totals:
    """Counts over seconds."""

    n_animals: int = 0
    n_found: int = 0
    n_false: int = 0
    n_seconds: int = 0

    def add(self, boxes: Sequence[Box], animals: Sequence[tuple[Box, float]]) -> dict[int, int]:
        """Adds a second; returns which box (by position) is on which animal."""
        pairs = match_boxes(boxes, [box for box, _ in animals])
        visible = [share >= VISIBLE for _, share in animals]
        self.n_animals += sum(visible)
        self.n_found += sum(visible[animal] for _, animal in pairs)
        self.n_false += len(boxes) - len(pairs)
        self.n_seconds += 1
        return {animal: box for box, animal in pairs}

    @property
    def recall(self) -> float:
        """The share of the visible animals that were found."""
        return self.n_found / max(self.n_animals, 1)

    @property
    def false_per_minute(self) -> float:
        """False boxes in a minute of video, one picture a second."""
        return 60 * self.n_false / max(self.n_seconds, 1)


@dataclass
class Figures:
    """What one way of finding animals achieves."""

    models: WorkerModels
    all: Totals = field(default_factory=Totals)
    blank: Totals = field(default_factory=Totals)
    groups: dict[str, list[bool]] = field(default_factory=lambda: defaultdict(list))
    cpu_s: float = 0.0
    n_links: int = 0
    n_changed_ids: int = 0

    def add(self, path: Path, truth: Mapping[float, list[dict[str, str]]]) -> None:
        """Processes a video. truth: the rows of its animals by second."""
        task = MediumTask(Medium(path.name, path, MediumKind.VIDEO), None, 1.0)
        started = time.process_time()
        result = process_medium(task, self.models)
        self.cpu_s += time.process_time() - started
        last_ids: dict[str, int] = {}
        for second in result.seconds:
            rows = truth.get(second.time_s, [])
            boxes = [box for box in second.boxes if box is not None]
            animals = [(_box(row), float(row["visible_fraction"])) for row in rows]
            box_of = self.all.add(boxes, animals)
            if not truth:
                self.blank.add(boxes, animals)
            for animal, row in enumerate(rows):
                if float(row["visible_fraction"]) >= VISIBLE:
                    for group in _groups(row):
                        self.groups[group].append(animal in box_of)
                if animal in box_of:
                    animal_id = second.animal_ids[box_of[animal]]
                    self.n_links += row["animal_id"] in last_ids
                    self.n_changed_ids += last_ids.get(row["animal_id"], animal_id) != animal_id
                    last_ids[row["animal_id"]] = animal_id


def _box(row: Mapping[str, str]) -> Box:
    return Box(*(float(row[name]) for name in ("x1", "y1", "x2", "y2")), 1.0)


def _groups(row: Mapping[str, str]) -> tuple[str, ...]:
    height, distance_m = float(row["y2"]) - float(row["y1"]), float(row["distance_m"])
    return (
        "by night" if row["night"] == "1" else "by day",
        f"height below {next(limit for limit in HEIGHTS if height < limit):.0%} of the picture",
        f"nearer than {next(limit for limit in DISTANCES_M if distance_m < limit):g} m",
    )


def _threshold_models() -> WorkerModels:
    return WorkerModels(MegadetectorLite.load(EMBEDDED[DetectorPrecision.INT8], min_score=DEFAULT_MIN_SCORE))


@cache
def _second_look_models() -> WorkerModels:
    return open_worker_models(
        detector=DetectorPrecision.INT8,
        min_score=DEFAULT_MIN_SCORE,
    )


def main() -> None:
    """Prints both ways side by side."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--simtrap", type=Path, help="folder with videos, videos.csv and truth.csv")
    parser.add_argument("--clips", type=Path, nargs="+", help="folders of videos without truth")
    parser.add_argument("--sheet", type=Path, help="draw the changed seconds of --clips here")
    parser.add_argument("--split", choices=("train", "test"), default="train")
    parser.add_argument("--videos", type=int, help="only so many videos, spread over the sites")
    arguments = parser.parse_args()
    if arguments.clips is not None:
        compare_clips(
            [medium.path for folder in arguments.clips for medium in find_media([folder]).media], arguments.sheet
        )
        return
    if arguments.simtrap is None:
        parser.error("give --simtrap or --clips")
    rows_of: dict[str, dict[float, list[dict[str, str]]]] = defaultdict(lambda: defaultdict(list))
    for row in read_csv(arguments.simtrap / "truth.csv"):
        if row["x1"]:
            rows_of[row["video_id"]][float(row["time"])].append(row)
    paths = [path for path, _ in video_paths(arguments.simtrap, arguments.split)]
    paths = paths if arguments.videos is None else paths[:: max(1, len(paths) // arguments.videos)][: arguments.videos]
    ways = (Figures(_threshold_models()), Figures(_second_look_models()))
    for path in paths:
        for way in ways:
            way.add(path, rows_of.get(path.name, {}))
    show(ways, len(paths))


def compare_clips(paths: Sequence[Path], sheet: Path | None) -> None:
    """Prints which boxes the second look loses and adds in each video, and draws them."""
    tiles: list[Pixels] = []
    print("| video | boxes by the threshold alone | lost | added |\n| --- | --- | --- | --- |")
    for path in paths:
        task = MediumTask(Medium(path.name, path, medium_kind(path)), None, 1.0)
        before, after = (process_medium(task, models) for models in (_threshold_models(), _second_look_models()))
        if before.failure:
            continue
        changes: dict[float, list[tuple[Box, bool]]] = defaultdict(list)
        for old, new in zip(before.seconds, after.seconds, strict=True):
            pairs = match_boxes(old.boxes, new.boxes)
            lost = set(range(len(old.boxes))) - {i for i, _ in pairs}
            added = set(range(len(new.boxes))) - {j for _, j in pairs}
            changes[old.time_s] += [(box, False) for i in lost if (box := old.boxes[i]) is not None]
            changes[old.time_s] += [(box, True) for j in added if (box := new.boxes[j]) is not None]
        flags = [is_added for boxes in changes.values() for _, is_added in boxes]
        n_before = sum(len(second.boxes) for second in before.seconds)
        print(f"| {path.name} | {n_before} | {len(flags) - sum(flags)} | {sum(flags)} |")
        tiles += [] if sheet is None else drawn_seconds(path, {t: boxes for t, boxes in changes.items() if boxes})
    if sheet is not None and tiles:
        tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % SHEET_COLUMNS)
        rows = [np.hstack(tiles[i : i + SHEET_COLUMNS]) for i in range(0, len(tiles), SHEET_COLUMNS)]
        cv2.imwrite(str(sheet), np.vstack(rows)[..., ::-1])


def drawn_seconds(path: Path, changes: Mapping[float, Sequence[tuple[Box, bool]]]) -> list[Pixels]:
    """Pictures of the changed seconds of a video: green boxes were added, red ones lost."""
    times_s, tiles = sorted(changes), []
    with open_video(path, FitWithin(640, 640)) as video:
        for time_s, frame in zip(times_s, video.frames(times_s), strict=True):
            if isinstance(frame, Frame):
                tile = np.ascontiguousarray(cv2.resize(frame.pixels, TILE_SIZE))
                for box, is_added in changes[time_s]:
                    left, top, right, bottom = (round(v * TILE_SIZE[i % 2]) for i, v in enumerate(box.xyxy))
                    colour = (0, 255, 0) if is_added else (255, 0, 0)
                    cv2.rectangle(tile, (left, top), (right, bottom), colour, 1)
                    cv2.putText(tile, f"{box.score:.2f}", (left, max(top - 2, 9)), 0, 0.35, colour)
                tiles.append(tile)
    return tiles


def show(ways: Sequence[Figures], n_videos: int) -> None:
    """Prints the table."""
    before = ways[0]
    print(f"{n_videos} videos, {before.all.n_seconds} seconds, {before.all.n_animals} animals\n")
    print("| | threshold of scores alone | with the second look |\n| --- | --- | --- |")

    def line(name: str, value: Callable[[Figures], str]) -> None:
        print(f"| {name} |", " | ".join(value(way) for way in ways), "|")

    line("animals found", lambda way: f"{way.all.recall:.1%}")
    for group in sorted(before.groups, key=lambda name: (name.split()[0], len(name), name)):
        line(f"... {group} ({len(before.groups[group])})", lambda way, g=group: f"{np.mean(way.groups[g]):.1%}")
    line("false boxes a minute", lambda way: f"{way.all.false_per_minute:.2f}")
    line(f"... in videos without animals ({before.blank.n_seconds} s)", lambda way: f"{way.blank.false_per_minute:.2f}")
    line("changed ids of links", lambda way: f"{way.n_changed_ids} of {way.n_links}")
    line("CPU ms per second", lambda way: f"{1000 * way.cpu_s / way.all.n_seconds:.1f}")
    line("CPU, ratio", lambda way: f"{way.cpu_s / before.cpu_s:.2f}")


if __name__ == "__main__":
    main()
