"""One small network, taught by an ensemble, beside its teachers and what the 2nd place ran: CPU time and error.

Takes the three networks that `benchmarks/simtrap.py` trained by `default_cpu`, lets them answer for the training videos of
simtrap (the labelled seconds, and the half seconds between them, which nobody labelled), and trains a student of the same
backbone on 128 x 224 pixels by `trapmeter distil`. Then both answer for the test sites, which nothing was chosen by. CPU time
is that of onnxruntime on one thread for the same windows, all methods in turn; the 2nd place's ten networks (TorchScript,
float32, batches of eight, flips) are timed by one network with random weights, times twenty.

    python benchmarks/distil.py --simtrap DIR --teachers DIR/default_cpu --out DIR

An hour or two on two cores. It can be broken off at any time: the same command goes on, with --out as it was.
"""

from __future__ import annotations

import argparse
import csv
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from trapmeter.boxmodel.model import BoxModel
from trapmeter.competition.inference import BATCH_SIZE, predict_seconds
from trapmeter.detect.megadetector_lite import EMBEDDED, MegadetectorLite
from trapmeter.detect.precision import DetectorPrecision
from trapmeter.distillation import distil
from trapmeter.files import atomic_file
from trapmeter.frames.fill import fill_store
from trapmeter.frames.requests import read_requests
from trapmeter.frames.spec import StoreSpec
from trapmeter.frames.store import FrameStore
from trapmeter.media.discovery import find_media
from trapmeter.media.opening import open_medium
from trapmeter.metrics import bootstrap_interval
from trapmeter.models.bundle import read_bundle
from trapmeter.models.input_spec import SECOND_PLACE_INPUT
from trapmeter.models.network_input import network_input
from trapmeter.models.runtimes.choice import Runtime, choose_runtime
from trapmeter.models.runtimes.network import Ensemble
from trapmeter.records import Box, Frame, Observation
from trapmeter.tables.drivendata import best_box_rows, read_labels
from trapmeter.training.recipes import student_cpu
from trapmeter.training.settings import DistilSettings
from trapmeter.windows import WIDE_OFFSETS_S

N_FOLDS = 3
TEACHERS_HW, STUDENT_HW = (135, 240), (128, 224)
LEAST_SCORE = 0.035
"""simtrap's own boxes are the best ones of at least this score, right or wrong."""


def half_seconds(labels: Path) -> list[tuple[str, float]]:
    """The moments between two labelled seconds of a video that follow each other."""
    times: dict[str, set[float]] = defaultdict(set)
    for label in read_labels(labels):
        times[label.video_id].add(label.time_s)
    return [(video, t + 0.5) for video, known in sorted(times.items()) for t in sorted(known) if t + 1 in known]


def write_boxes(data: Path, moments: list[tuple[str, float]], path: Path) -> None:
    """train_metadata.csv with rows for more moments: the detector's best box at each."""
    known = best_box_rows(data / "train_metadata.csv")
    place = {video: (row.park, row.site_id) for (video, _), row in known.items()}
    times: dict[str, list[float]] = defaultdict(list)
    for video, time_s in moments:
        times[video].append(time_s)
    detector = MegadetectorLite.load(EMBEDDED[DetectorPrecision.FLOAT32], min_score=LEAST_SCORE)
    rows = []
    for medium in find_media([data / "train_videos"]).media:
        asked = times.get(medium.media_id, [])
        with open_medium(medium) as reader:
            for time_s, shown in zip(asked, reader.frames(asked), strict=True):
                boxes = detector.detect([shown.pixels])[0] if isinstance(shown, Frame) else []
                best = max(boxes, key=lambda box: box.score, default=None)
                cells = ("",) * 5 if best is None else (*(f"{v:.6f}" for v in best.xyxy), f"{best.score:.6f}")
                rows.append((medium.media_id, f"{time_s:g}", *cells, *place[medium.media_id]))
    with atomic_file(path) as file:
        file.write((data / "train_metadata.csv").read_text(encoding="utf-8"))
        csv.writer(file, lineterminator="\n").writerows(rows)


def fill(folder: Path, size_hw: tuple[int, int], tables: list[Path], videos: Path) -> FrameStore:
    """A frame store with the windows of all moments in the tables."""
    store = FrameStore.create(folder, StoreSpec(size_hw))
    wanted, missing = read_requests(tables, videos, WIDE_OFFSETS_S)
    fill_store(store, wanted, jobs=2, missing=missing)
    return store


def prepare(data: Path, out: Path) -> None:
    """The unlabelled moments, their boxes, and the frames of all."""
    out.mkdir(parents=True, exist_ok=True)
    unlabelled, boxes = out / "half-seconds.csv", out / "metadata.csv"
    moments = half_seconds(data / "train_labels.csv")
    with atomic_file(unlabelled) as file:
        csv.writer(file, lineterminator="\n").writerows([("video_id", "time"), *moments])
    for size_hw in (TEACHERS_HW, STUDENT_HW):
        name = "x".join(map(str, size_hw))
        fill(out / f"frames-{name}", size_hw, [data / "train_labels.csv", unlabelled], data / "train_videos")
        fill(out / f"frames-{name}", size_hw, [data / "submission_format.csv"], data / "test_videos")
    if not boxes.exists():
        write_boxes(data, moments, boxes)


def teach(data: Path, teachers: Path, out: Path, seed: int) -> Path:
    """Trains the student, or goes on; returns its bundle."""
    chosen = choose_runtime(Runtime.AUTO)
    settings = DistilSettings(
        teachers=tuple(bundles(teachers)),
        store=out / "frames-128x224",
        out=out / "distil",
        recipe=replace(student_cpu(), seed=seed),
        teachers_store=out / "frames-135x240",
        labels=data / "train_labels.csv",
        metadata=out / "metadata.csv",
        moments=out / "half-seconds.csv",
        animals=data / "truth.csv",
        start=teachers / "round-0/fold-0/best.safetensors",
    )
    return distil(settings, lambda text: print(text, flush=True), runtime=chosen.runtime)


def bundles(teachers: Path) -> list[Path]:
    """Those of the first round."""
    return [teachers / f"round-0/fold-{fold}/bundle" for fold in range(N_FOLDS)]


@dataclass(frozen=True)
class Method:
    """Networks that answer together, and where frames of their size are."""

    folders: list[Path]
    flip: bool
    store: Path

    def ensemble(self) -> Ensemble:
        """On one thread of onnxruntime."""
        return Ensemble.load(self.folders, flip=self.flip)

    def windows(self, moments: list[tuple[str, float]], boxes: dict[tuple[str, float], Box | None]) -> np.ndarray:
        """The input for moments."""
        spec, store = read_bundle(self.folders[0]).spec, FrameStore.open(self.store)
        shown = [(store.window(v, t, spec.offsets_s, spec.edge), boxes[v, t]) for v, t in moments]
        return np.stack([network_input(frames, box, spec) for frames, box in shown])


def cpu_seconds(asks: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """CPU seconds of a window by method, all in turn; the least of several rounds, since other work only ever adds."""
    least = dict.fromkeys(asks, np.inf)
    for _ in range(rounds):
        for name, ask in asks.items():
            started = time.process_time()
            ask()
            least[name] = min(least[name], (time.process_time() - started) / BATCH_SIZE)
    return least


def second_place_network() -> Callable[[], object]:
    """One L network of the 2nd place with random weights, as TorchScript runs it: eight windows in float32."""
    import timm
    import torch

    torch.set_num_threads(1)
    spec = SECOND_PLACE_INPUT
    windows = torch.randint(0, 256, (BATCH_SIZE, spec.n_channels, *spec.size_hw), dtype=torch.uint8)
    network = timm.create_model("tf_efficientnetv2_l", pretrained=False, in_chans=spec.n_channels, num_classes=1).eval()
    with torch.inference_mode():
        script = torch.jit.freeze(torch.jit.script(network))
        script(windows / 255.0)

    def ask() -> object:
        with torch.inference_mode():
            return script(windows / 255.0)

    return ask


def main() -> None:
    """Runs what is missing and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--simtrap", type=Path, required=True)
    parser.add_argument("--teachers", type=Path, required=True, help="as benchmarks/simtrap.py left them")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0, help="of the student's training")
    parser.add_argument("--rounds", type=int, default=5, help="of measuring CPU time")
    arguments = parser.parse_args()
    data, teachers, out = arguments.simtrap, arguments.teachers, arguments.out
    prepare(data, out)
    student = teach(data, teachers, out, arguments.seed)

    large, small = (out / f"frames-{height}x{width}" for height, width in (TEACHERS_HW, STUDENT_HW))
    methods = {
        "default_cpu, mean of 3 with flips": Method(bundles(teachers), True, large),
        "default_cpu, one network": Method(bundles(teachers)[:1], False, large),
        "student": Method([student], False, small),
    }
    truth = {(row.video_id, row.time_s): row.distance_m for row in read_labels(data / "test_labels.csv")}
    rows = best_box_rows(data / "test_metadata.csv")
    sites, boxes = [rows[moment].site_id for moment in truth], {moment: rows[moment].box for moment in truth}
    moments = list(truth)
    answers = {
        name: predict_seconds(
            method.ensemble(), FrameStore.open(method.store), moments, boxes, out / f"{name}.jsonl", flip=method.flip
        )
        for name, method in methods.items()
    }
    errors = {
        name: np.array([abs(told[moment].distance_m - truth[moment]) for moment in moments])
        for name, told in answers.items()
    }
    asks: dict[str, Callable[[], object]] = {
        name: partial(method.ensemble().metres, method.windows(moments[:BATCH_SIZE], boxes))
        for name, method in methods.items()
    }
    seen = [Observation(v, t, rows[v, t].box, 1, rows[v, t].site_id) for v, t in moments]
    box_model = BoxModel.load(teachers.parent / "box-model")
    by_boxes = [distance.distance_m for distance in box_model.estimate(seen)]
    errors["box model, no pixels"] = np.abs(np.array(by_boxes) - list(truth.values()))
    # All at once, since the boxes of a site are each other's context; told for as many as a network's batch.
    started = time.process_time()
    box_model.estimate(seen)
    a_box_s = (time.process_time() - started) / len(seen)
    an_l = "one network of the 2nd place"
    cpu_s = cpu_seconds({**asks, an_l: second_place_network()}, arguments.rounds)
    cpu_s["box model, no pixels"] = a_box_s
    cpu_s["the 2nd place's ten networks with flips"] = 2 * 10 * cpu_s.pop(an_l)

    teachers_error = errors["default_cpu, mean of 3 with flips"]
    print("\n| method | CPU ms a window | CPU s per video hour, each second | each 15 s | error at test sites, m |")
    print("| --- | --- | --- | --- | --- |")
    for name, seconds in sorted(cpu_s.items(), key=lambda item: -item[1]):
        told = "not known here"
        if name in errors:
            low, high = bootstrap_interval(errors[name], sites)
            told = f"{errors[name].mean():.3f} ({low:.2f} to {high:.2f})"
        print(f"| {name} | {1e3 * seconds:.2f} | {3600 * seconds:.1f} | {240 * seconds:.2f} | {told} |")
    off = errors["student"] - teachers_error
    low, high = bootstrap_interval(off, sites)
    print(
        f"\nstudent: {errors['student'].mean() / teachers_error.mean() - 1:+.1%} of its teachers' error, "
        f"{off.mean():+.3f} m ({low:+.3f} to {high:+.3f} over sites)"
    )
    for name in ("default_cpu, mean of 3 with flips", "the 2nd place's ten networks with flips"):
        print(f"{name}: {cpu_s[name] / cpu_s['student']:.1f} times the student's CPU time")
    known = read_bundle(student).uncertainty
    assert known is not None
    intervals = known.distances(np.log1p([answers["student"][moment].distance_m for moment in moments]))
    held = [d.low_m <= truth[moment] <= d.high_m for d, moment in zip(intervals, moments, strict=True)]
    width_m = np.mean([d.high_m - d.low_m for d in intervals])
    print(f"90 % intervals of the student hold {np.mean(held):.0%}, {width_m:.1f} m wide")


if __name__ == "__main__":
    main()
