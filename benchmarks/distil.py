"""CPU time and error of a distilled network, its teachers, and the 2nd-place system.

Runs the three networks that `benchmarks/simtrap.py` trained with `default_cpu` on the training videos of simtrap: on the
labelled seconds, and on the unlabelled half seconds between them. Then `trapmeter distil` trains a student with the same
backbone on 128 x 224 pixels, and all predict the test sites, which influenced no choice. CPU time is onnxruntime's on one
thread for the same windows, all methods in turn; the 2nd-place system's ten networks (TorchScript, float32, batches of eight,
flips) are timed by one network with random weights, times twenty.

    python benchmarks/distil.py --simtrap DIR --teachers DIR/default_cpu --out DIR

It takes an hour or two on two cores. After an interruption, the same command resumes.
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
from trapmeter.competition.inference import BATCH_SIZE, mean_predictions, predict_by_member
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
from trapmeter.records import Box, Frame, Observation, VideoSecond
from trapmeter.tables.drivendata import best_box_rows, read_labels
from trapmeter.training.recipes import student_cpu
from trapmeter.training.settings import DistilSettings
from trapmeter.windows import WIDE_OFFSETS_S

N_FOLDS = 3
TEACHERS_HW, STUDENT_HW = (135, 240), (128, 224)
LEAST_SCORE = 0.035
"""simtrap's own boxes are the best ones with at least this score, right or wrong."""


def half_seconds(labels: Path) -> list[VideoSecond]:
    """The half seconds between two successive labelled seconds of a video."""
    times: dict[str, set[float]] = defaultdict(set)
    for label in read_labels(labels):
        times[label.video_id].add(label.time_s)
    return [
        VideoSecond(video, t + 0.5) for video, known in sorted(times.items()) for t in sorted(known) if t + 1 in known
    ]


def write_boxes(data: Path, seconds: list[VideoSecond], path: Path) -> None:
    """Writes train_metadata.csv with rows for more seconds: the detector's best box at each."""
    known = best_box_rows(data / "train_metadata.csv")
    place = {video: (row.park, row.site_id) for (video, _), row in known.items()}
    times: dict[str, list[float]] = defaultdict(list)
    for video, time_s in seconds:
        times[video].append(time_s)
    detector = MegadetectorLite.load(EMBEDDED[DetectorPrecision.FLOAT32], min_score=LEAST_SCORE)
    rows = []
    for medium in find_media([data / "train_videos"]).media:
        times_s = times.get(medium.media_id, [])
        with open_medium(medium) as reader:
            for time_s, shown in zip(times_s, reader.frames(times_s), strict=True):
                boxes = detector.detect([shown.pixels])[0] if isinstance(shown, Frame) else []
                best = max(boxes, key=lambda box: box.score, default=None)
                cells = ("",) * 5 if best is None else (*(f"{v:.6f}" for v in best.xyxy), f"{best.score:.6f}")
                rows.append((medium.media_id, f"{time_s:g}", *cells, *place[medium.media_id]))
    with atomic_file(path) as file:
        file.write((data / "train_metadata.csv").read_text(encoding="utf-8"))
        csv.writer(file, lineterminator="\n").writerows(rows)


def fill(folder: Path, size_hw: tuple[int, int], tables: list[Path], videos: Path) -> FrameStore:
    """A frame store with the windows of all seconds in the tables."""
    store = FrameStore.create(folder, StoreSpec(size_hw))
    requests, missing = read_requests(tables, videos, WIDE_OFFSETS_S)
    fill_store(store, requests, jobs=2, missing=missing)
    return store


def prepare(data: Path, out: Path) -> None:
    """Writes the unlabelled seconds, their boxes, and the frames of all seconds."""
    out.mkdir(parents=True, exist_ok=True)
    unlabelled, boxes = out / "half-seconds.csv", out / "metadata.csv"
    seconds = half_seconds(data / "train_labels.csv")
    with atomic_file(unlabelled) as file:
        csv.writer(file, lineterminator="\n").writerows([("video_id", "time"), *seconds])
    for size_hw in (TEACHERS_HW, STUDENT_HW):
        name = "x".join(map(str, size_hw))
        fill(out / f"frames-{name}", size_hw, [data / "train_labels.csv", unlabelled], data / "train_videos")
        fill(out / f"frames-{name}", size_hw, [data / "submission_format.csv"], data / "test_videos")
    if not boxes.exists():
        write_boxes(data, seconds, boxes)


def teach(data: Path, teachers: Path, out: Path, seed: int) -> Path:
    """Trains the student, or resumes; returns its bundle."""
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
    """The bundles of the first round."""
    return [teachers / f"round-0/fold-{fold}/bundle" for fold in range(N_FOLDS)]


@dataclass(frozen=True)
class Method:
    """An ensemble of networks, and a frame store with frames of their size."""

    folders: list[Path]
    flip: bool
    store: Path

    def ensemble(self) -> Ensemble:
        """The networks in onnxruntime on one thread."""
        return Ensemble.load(self.folders, flip=self.flip)

    def windows(self, seconds: list[VideoSecond], boxes: dict[VideoSecond, Box | None]) -> np.ndarray:
        """The input for these seconds."""
        spec, store = read_bundle(self.folders[0]).spec, FrameStore.open(self.store)
        shown = [(store.window(*second, spec.offsets_s, spec.edge), boxes[second]) for second in seconds]
        return np.stack([network_input(frames, box, spec) for frames, box in shown])


def cpu_seconds(calls: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """CPU seconds per window by method, all in turn; the smallest of several rounds, since other work only adds."""
    least = dict.fromkeys(calls, np.inf)
    for _ in range(rounds):
        for name, call in calls.items():
            started = time.process_time()
            call()
            least[name] = min(least[name], (time.process_time() - started) / BATCH_SIZE)
    return least


def second_place_network() -> Callable[[], object]:
    """One L network of the 2nd-place system with random weights in TorchScript, for eight windows in float32."""
    import timm
    import torch

    torch.set_num_threads(1)
    spec = SECOND_PLACE_INPUT
    windows = torch.randint(0, 256, (BATCH_SIZE, spec.n_channels, *spec.size_hw), dtype=torch.uint8)
    network = timm.create_model("tf_efficientnetv2_l", pretrained=False, in_chans=spec.n_channels, num_classes=1).eval()
    with torch.inference_mode():
        script = torch.jit.freeze(torch.jit.script(network))
        script(windows / 255.0)

    def call() -> object:
        with torch.inference_mode():
            return script(windows / 255.0)

    return call


def main() -> None:
    """Runs the missing steps and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--simtrap", type=Path, required=True)
    parser.add_argument("--teachers", type=Path, required=True, help="folder that benchmarks/simtrap.py filled")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0, help="seed of the student's training")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of measuring CPU time")
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
    truth = {row.second: row.distance_m for row in read_labels(data / "test_labels.csv")}
    rows = best_box_rows(data / "test_metadata.csv")
    sites, boxes = [rows[second].site_id for second in truth], {second: rows[second].box for second in truth}
    seconds = list(truth)
    predictions = {
        name: mean_predictions(
            predict_by_member(
                method.ensemble(),
                FrameStore.open(method.store),
                seconds,
                boxes,
                out / f"{name}.jsonl",
                flip=method.flip,
            )
        )
        for name, method in methods.items()
    }
    errors = {
        name: np.array([abs(predicted[second].distance_m - truth[second]) for second in seconds])
        for name, predicted in predictions.items()
    }
    calls: dict[str, Callable[[], object]] = {
        name: partial(method.ensemble().metres, method.windows(seconds[:BATCH_SIZE], boxes))
        for name, method in methods.items()
    }
    observations = [Observation(*second, rows[second].box, 1, rows[second].site_id) for second in seconds]
    box_model = BoxModel.load(teachers.parent / "box-model")
    by_boxes = [distance.distance_m for distance in box_model.estimate(observations)]
    errors["box model, no pixels"] = np.abs(np.array(by_boxes) - list(truth.values()))
    # All boxes at once, since those of a site depend on each other.
    started = time.process_time()
    box_model.estimate(observations)
    a_box_s = (time.process_time() - started) / len(observations)
    single = "one network of the 2nd-place system"
    cpu_s = cpu_seconds({**calls, single: second_place_network()}, arguments.rounds)
    cpu_s["box model, no pixels"] = a_box_s
    cpu_s["the 2nd-place system's ten networks with flips"] = 2 * 10 * cpu_s.pop(single)

    teachers_error = errors["default_cpu, mean of 3 with flips"]
    print("\n| method | CPU ms per window | CPU s per video hour, every second | every 15 s | error at test sites, m |")
    print("| --- | --- | --- | --- | --- |")
    for name, window_s in sorted(cpu_s.items(), key=lambda item: -item[1]):
        error = "not measured"
        if name in errors:
            low, high = bootstrap_interval(errors[name], sites)
            error = f"{errors[name].mean():.3f} ({low:.2f} to {high:.2f})"
        print(f"| {name} | {1e3 * window_s:.2f} | {3600 * window_s:.1f} | {240 * window_s:.2f} | {error} |")
    difference = errors["student"] - teachers_error
    low, high = bootstrap_interval(difference, sites)
    print(
        f"\nstudent: {errors['student'].mean() / teachers_error.mean() - 1:+.1%} of its teachers' error, "
        f"{difference.mean():+.3f} m ({low:+.3f} to {high:+.3f} over sites)"
    )
    for name in ("default_cpu, mean of 3 with flips", "the 2nd-place system's ten networks with flips"):
        print(f"{name}: {cpu_s[name] / cpu_s['student']:.1f} times the student's CPU time")
    known = read_bundle(student).uncertainty
    assert known is not None
    intervals = known.distances(np.log1p([predictions["student"][second].distance_m for second in seconds]))
    covered = [d.low_m <= truth[second] <= d.high_m for d, second in zip(intervals, seconds, strict=True)]
    width_m = np.mean([d.high_m - d.low_m for d in intervals])
    print(f"90% intervals of the student cover {np.mean(covered):.0%} and are {width_m:.1f} m wide")


if __name__ == "__main__":
    main()
