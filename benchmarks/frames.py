"""Filling a frame store and loading windows from it, against the method of the 2nd-place system.

The baseline is the 2nd-place system's method: `ffmpeg -vf fps=1:round=up` pipes each entire video in full size into numpy;
the pictures of the labelled windows are picked, resized to 270 x 480 with OpenCV and saved as PNG files. trapmeter fills a
store for the same labels in three ways: the default (scaled while decoding, JPEG), OpenCV's resize from full size as JPEG,
and the same as PNG. The PNG pictures must equal the baseline's, which is checked: exactly, except for MPEG-4, whose inverse
transform is rounded differently in other versions of FFmpeg (a few values differ by 1 or 2 of 255).

Each run is a process of its own, measured with the start of Python and of its workers. CPU seconds are user + system time of
all its processes; memory is the parent's peak plus the largest child's times the number of simultaneous children (FFmpeg:
one, trapmeter: one per job). Loading a window is the median over all labels of five pictures into one uint8 array, in CPU
milliseconds of one thread with the files cached, so that other work on the machine doesn't count. Runs alternate; medians
are printed.

    python benchmarks/frames.py [--runs 5] [--jobs 2] [--videos DIR --labels CSV | --long DIR]

By default it uses the demo's twelve clips of eight seconds; --long makes the one-minute clips of benchmarks/decode.py in DIR
and labels seven seconds of each, as in the competition. Needs Debian's ffmpeg.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

OFFSETS_S = (-2.0, -1.0, 0.0, 1.0, 2.0)
SIZE_HW = (270, 480)
BASELINE = "whole video, PNG files"
STORES = {
    "store, swscale-area, JPEG": ("swscale-area", "jpeg"),
    "store, opencv-linear, JPEG": ("opencv-linear", "jpeg"),
    "store, opencv-linear, PNG": ("opencv-linear", "png"),
}
LONG_LABELS_S = range(4, 60, 8)
FIGURES = ("wall s", "CPU s", "MB", "MB on disk", "ms per window")


def fill_frame_store(way: str, videos: Path, labels: Path, out: Path, jobs: int) -> None:
    """Fills a store as `trapmeter frames` does."""
    from trapmeter.frames.fill import fill_store
    from trapmeter.frames.requests import read_requests
    from trapmeter.frames.spec import Codec, StoreSpec
    from trapmeter.frames.store import FrameStore
    from trapmeter.models.input_spec import Resize

    resize, codec = STORES[way]
    store = FrameStore.create(out, StoreSpec(SIZE_HW, Resize(resize), Codec(codec)))
    requests, missing = read_requests([labels], videos, OFFSETS_S)
    report = fill_store(store, requests, jobs, missing=missing)
    assert not report.failures, report.failures


def fill_baseline(videos: Path, labels: Path, out: Path) -> None:
    """Pipes entire videos, and picks, resizes and saves their pictures."""
    import cv2
    import numpy as np

    for video_id, seconds in labelled(labels).items():
        path = videos / video_id
        size = ["-select_streams", "v", "-show_entries", "stream=width,height", "-of", "csv=p=0"]
        text = subprocess.run(
            ["ffprobe", "-v", "error", *size, path], capture_output=True, check=True, text=True
        ).stdout
        width, height = (int(part) for part in text.strip().strip(",").split(","))
        raw = ["-vf", "fps=1:round=up", "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
        pipe = subprocess.run(["ffmpeg", "-v", "error", "-i", path, *raw], capture_output=True, check=True).stdout
        pictures = np.frombuffer(pipe, np.uint8).reshape(-1, height, width, 3)
        for second in sorted({int(s + offset) for s in seconds for offset in OFFSETS_S}):
            if 0 <= second < len(pictures):
                small = cv2.resize(pictures[second], SIZE_HW[::-1], interpolation=cv2.INTER_LINEAR)
                cv2.imwrite(str(out / f"{video_id}-{second}.png"), cv2.cvtColor(small, cv2.COLOR_RGB2BGR))


def load(way: str, labels: Path, out: Path) -> float:
    """Median CPU milliseconds to load a window."""
    import cv2
    import numpy as np

    from trapmeter.frames.store import FrameStore

    cv2.setNumThreads(1)

    def from_files(video_id: str, second: int) -> np.ndarray:
        window = np.zeros((len(OFFSETS_S), *SIZE_HW, 3), np.uint8)
        for number, offset in enumerate(OFFSETS_S):
            path = out / f"{video_id}-{int(second + offset)}.png"
            if path.exists():
                cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB, dst=window[number])
        return window

    store = None if way == BASELINE else FrameStore.open(out)
    times = []
    for _ in range(3):
        for video_id, seconds in labelled(labels).items():
            for second in seconds:
                started = time.thread_time()
                window = from_files(video_id, second) if store is None else store.window(video_id, second, OFFSETS_S)
                times.append(time.thread_time() - started)
                assert window.any()
    return 1000 * statistics.median(times)


def labelled(labels: Path) -> dict[str, list[int]]:
    """The labelled seconds of each video."""
    seconds: dict[str, list[int]] = {}
    with labels.open(newline="") as file:
        for row in csv.DictReader(file):
            seconds.setdefault(row["video_id"], []).append(int(float(row["time"])))
    return seconds


def run_once(way: str, videos: Path, labels: Path, out: Path, jobs: int) -> None:
    """Makes one run in this process; prints the peak memory of parent and largest child in megabytes."""
    if way == BASELINE:
        fill_baseline(videos, labels, out)
    else:
        fill_frame_store(way, videos, labels, out, jobs)
    parent, child = (
        resource.getrusage(who).ru_maxrss / 1024 for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    print(json.dumps([parent, child]))


def measure(way: str, videos: Path, labels: Path, out: Path, jobs: int) -> tuple[float, ...]:
    """The FIGURES of one run."""
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    command = [sys.executable, __file__, "--jobs", str(jobs), "--one", way, videos, labels, out]
    started, before = time.perf_counter(), children_cpu_s()
    output = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout
    wall_s, cpu_s = time.perf_counter() - started, children_cpu_s() - before
    parent, child = json.loads(output)
    n_children = 1 if way == BASELINE else min(jobs, len(labelled(labels)))
    disk = sum(path.stat().st_size for path in out.rglob("*") if path.is_file()) / 1e6
    ms = float(subprocess.run([*command, "--load"], stdout=subprocess.PIPE, check=True, text=True).stdout)
    return wall_s, cpu_s, parent + n_children * child, disk, ms


def children_cpu_s() -> float:
    """CPU seconds of this process's finished descendants."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def check_same(labels: Path, baseline: Path, store_folder: Path) -> str:
    """Checks that the PNG store's pictures equal the baseline's; returns how many there are, as text."""
    import cv2
    import numpy as np

    from trapmeter.frames.store import FrameStore

    store = FrameStore.open(store_folder)
    differences = []
    for video_id in labelled(labels):
        for second in store.times(video_id):
            path = baseline / f"{video_id}-{int(second)}.png"
            if path.exists():  # the store also has the last second, for windows that repeat it
                expected = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
                difference = np.abs(expected.astype(int) - store.read(video_id, second))
                assert difference.mean() <= 0.05, f"{video_id} differs at {second} s by {difference.mean():.2f}"
                differences.append(int(difference.max()))
    assert len(differences) == len(list(baseline.glob("*.png")))
    n_same = differences.count(0)
    return f"{len(differences)} pictures, {n_same} of them identical, the others within {max(differences)}"


def long_clips(folder: Path) -> tuple[Path, Path]:
    """Makes one-minute clips and their labels."""
    from decode import make_clips

    folder.mkdir(parents=True, exist_ok=True)
    labels = folder / "labels.csv"
    rows = [f"{path.name},{second}\n" for path in make_clips(folder).values() for second in LONG_LABELS_S]
    labels.write_text("video_id,time\n" + "".join(rows))
    return folder, labels


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--videos", type=Path)
    parser.add_argument("--labels", type=Path)
    parser.add_argument("--long", type=Path)
    parser.add_argument("--one", nargs=4, help=argparse.SUPPRESS)
    parser.add_argument("--load", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        way, *paths = arguments.one
        videos, labels, out = map(Path, paths)
        if arguments.load:
            print(load(way, labels, out))
        else:
            run_once(way, videos, labels, out, arguments.jobs)
        return
    if shutil.which("ffmpeg") is None:
        sys.exit("ffmpeg is not installed: apt-get install ffmpeg")
    if arguments.long is not None:
        videos, labels = long_clips(arguments.long)
    elif arguments.videos is not None and arguments.labels is not None:
        videos, labels = arguments.videos, arguments.labels
    else:
        from trapmeter.demo.clips import CLIPS, TRUTH

        videos, labels = CLIPS, TRUTH
    ways = [BASELINE, *STORES]
    figures: dict[str, list[tuple[float, ...]]] = {way: [] for way in ways}
    with tempfile.TemporaryDirectory() as temporary:
        folders = {way: Path(temporary) / str(number) for number, way in enumerate(ways)}
        for _ in range(arguments.runs):
            for way in ways:
                figures[way].append(measure(way, videos, labels, folders[way], arguments.jobs))
        same = check_same(labels, folders[BASELINE], folders[ways[-1]])
    base = [statistics.median(column) for column in zip(*figures[BASELINE], strict=True)]
    print(f"{len(labelled(labels))} videos, {arguments.jobs} jobs, {same}")
    print("in brackets: as a share of the baseline\n")
    print(f"| | {' | '.join(FIGURES)} |\n|{' --- |' * (len(FIGURES) + 1)}")
    for way in ways:
        medians = [statistics.median(column) for column in zip(*figures[way], strict=True)]
        cells = [
            f"{m:.1f}" if way == BASELINE else f"{m:.1f} ({m / b:.2f})" for m, b in zip(medians, base, strict=True)
        ]
        print(f"| {way} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
