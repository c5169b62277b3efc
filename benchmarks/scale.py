"""Beyond one machine: planning and merging a million rows, the cost of an engine, and Ray Core against Ray Data.

plan     finds the media, reads a table of times with this many rows, and assigns the media to eight shards
join     joins eight generated journals with this many rows (60 per medium) into one, checked and in order
measure  estimates distances for half of the rows (an animal in every other second), and writes distances.csv
engine   tiny photos through this machine's processes and through Ray, 40 and then 240 of them: the difference per photo is
         the cost of the engine itself
workers  eight copies of the demo's clips with one Ray worker and with two, and 40 tasks that wait for 0.1 s, which show how
         evenly work is distributed even if the processors are busy
data     the demo's clips with Ray Core actors that decode and detect, and with Ray Data with a stage for each

Each part runs in a process of its own. CPU seconds are those of all its processes; memory is the peak of its main process.

    python benchmarks/scale.py [--rows 1000000] [--parts plan join measure engine workers data]

Needs the extra `cluster`; `data` needs pyarrow too.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from trapmeter.demo.clips import CLIPS
from trapmeter.prediction.medium_result import MediumResult, SecondResult
from trapmeter.records import Box, Status

PARTS = ("plan", "join", "measure", "engine", "workers", "data")
ROWS_OF_A_MEDIUM = 60
N_SHARDS = 8
N_COPIES = 8
"""Copies of the demo's clips: enough that loading the models hardly counts."""


class Processes(threading.Thread):
    """Measures this process and its descendants, since the CPU time of Ray's killed processes is reported nowhere."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._ticks: dict[int, int] = {}
        self.start()

    def run(self) -> None:
        """Samples five times per second."""
        while True:
            self.sample()
            time.sleep(0.2)

    def sample(self) -> float:
        """CPU seconds of all these processes so far."""
        parents, ticks = {}, {}
        for path in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = path.read_text().rpartition(")")[2].split()
            except OSError:
                continue
            pid = int(path.parent.name)
            parents[pid], ticks[pid] = int(fields[1]), int(fields[11]) + int(fields[12])
        for pid, spent in ticks.items():
            above: int | None = pid
            while above not in (None, os.getpid()):
                above = parents.get(above)
            if above is not None:
                self._ticks[pid] = max(spent, self._ticks.get(pid, 0))
        return sum(self._ticks.values()) / os.sysconf("SC_CLK_TCK")


PROCESSES = Processes()


@contextmanager
def timed(what: str) -> Iterator[None]:
    """Prints wall and CPU seconds of the block, for this process and its descendants."""
    wall, cpu = time.perf_counter(), PROCESSES.sample()
    yield
    spent = PROCESSES.sample() - cpu
    print(f"  {what:<44}{time.perf_counter() - wall:8.1f} s wall {spent:8.1f} s CPU", flush=True)


def plan(folder: Path, rows: int) -> None:
    """From names to shards."""
    from trapmeter.parallel.sharding import Shard, items_of_shard
    from trapmeter.prediction.plan import plan_run
    from trapmeter.prediction.settings import PredictSettings

    make_media(folder / "media", rows)
    with (folder / "times.csv").open("w") as file:
        file.write("video_id,time\n")
        for name in names(rows):
            file.writelines(f"{name},{second}\n" for second in range(ROWS_OF_A_MEDIUM))
    settings = PredictSettings((folder / "media",), out=folder / "out", times=folder / "times.csv")
    with timed(f"plan {rows:,} rows"):
        work = plan_run(settings)
        share = items_of_shard(work.task_plan.tasks, Shard(1, N_SHARDS), lambda task: task.medium.path)
    print(f"  {len(work.task_plan.tasks):,} media, {len(share):,} in the first of {N_SHARDS} shards")


def join(folder: Path, rows: int) -> None:
    """From several journals to one."""
    from trapmeter.journal import find_entries, join_journals

    line = json.dumps(medium_result("NAME").to_json(), separators=(",", ":"))
    paths = [folder / f"{number}.jsonl" for number in range(N_SHARDS)]
    all_names = names(rows)
    for number, path in enumerate(paths):
        with path.open("w") as file:
            file.write('{"trapmeter_journal":1,"settings":{}}\n')
            file.writelines(line.replace("NAME", name) + "\n" for name in all_names[number::N_SHARDS])
    with timed(f"join {rows:,} rows"):
        found = {
            seen.key: (seen, place) for path in paths for seen, place in find_entries(path, {}, MediumResult.from_json)
        }
        join_journals([found[name][1] for name in all_names], {}, folder / "joined.jsonl")
    size = (folder / "joined.jsonl").stat().st_size
    print(f"  {len(found):,} media, {size / 1e6:,.0f} MB")


def measure(folder: Path, rows: int) -> None:
    """From detections to a table of distances."""
    from trapmeter.boxmodel.model import BoxModel
    from trapmeter.prediction.estimates import estimate_distances as measure_all
    from trapmeter.prediction.estimators import BoxEstimator
    from trapmeter.tables.distances import write_distances

    media = [medium_result(name) for name in names(rows)]
    sites = {medium.media_id: medium.media_id.partition("/")[0] for medium in media}
    model = BoxEstimator(BoxModel.load())
    with timed(f"measure {rows:,} rows"):
        estimates = measure_all(media, sites, model)
    with timed("write them"):
        write_distances(folder / "distances.csv", estimates)


def medium_result(name: str) -> MediumResult:
    """A medium with an approaching animal in the first half of its seconds."""
    half = ROWS_OF_A_MEDIUM // 2
    boxes = [Box(0.41, 0.52, 0.45 + t / half / 2, 0.56 + t / half / 3, 0.87) for t in range(half)]
    some = [SecondResult(float(t), Status.MEASURED, "", (box,), (1,)) for t, box in enumerate(boxes)]
    none = [SecondResult(float(t), Status.NO_ANIMAL) for t in range(half, ROWS_OF_A_MEDIUM)]
    return MediumResult(name, 1, 1, (*some, *none))


def names(rows: int) -> list[str]:
    """Names of enough media with ROWS_OF_A_MEDIUM rows each."""
    return [f"S{number // 1000:04d}/{number:07d}.mp4" for number in range(-(-rows // ROWS_OF_A_MEDIUM))]


def make_media(folder: Path, rows: int) -> None:
    """Makes empty files."""
    for name in names(rows):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def engine(folder: Path, _: int) -> None:
    """The cost of an engine per medium."""
    import numpy as np
    from PIL import Image

    from trapmeter.parallel.engine import connect_to_ray
    from trapmeter.parallel.ray_workers import run_tasks_on_ray
    from trapmeter.parallel.workers import TaskRunner, TimeLimits, run_tasks
    from trapmeter.prediction.medium_pipeline import MediumTask, WorkerModels
    from trapmeter.prediction.worker_models import process_media
    from trapmeter.records import Medium, MediumKind
    from trapmeter.tables.boxes import MediumBoxes

    path = folder / "small.png"
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(path)
    boxes = MediumBoxes(path.name, failure="none")

    def run(n: int, on: TaskRunner) -> None:
        tasks = [MediumTask(Medium(f"{i}.png", path, MediumKind.PHOTO), (0.0,), 1.0, boxes) for i in range(n)]
        assert sum(1 for _ in process_media(tasks, WorkerModels, 2, TimeLimits(), on)) == n

    for n in (40, 240, 1240):
        with timed(f"local, {n} photos"):
            run(n, run_tasks)
    with timed("Ray with its start"), connect_to_ray(None, jobs=2):
        for n in (40, 240, 1240):
            with timed(f"Ray, {n} photos"):
                run(n, run_tasks_on_ray)


def workers(folder: Path, _: int) -> None:
    """One worker against two."""
    from trapmeter.parallel.engine import connect_to_ray
    from trapmeter.parallel.ray_workers import run_tasks_on_ray
    from trapmeter.parallel.workers import Engine, Work
    from trapmeter.prediction.run import run_prediction
    from trapmeter.prediction.settings import PredictSettings

    survey = folder / "survey"
    for copy in range(N_COPIES):
        shutil.copytree(CLIPS, survey / str(copy))
    with connect_to_ray(None, jobs=2):
        for jobs in (1, 2):
            with timed(f"{jobs} of Ray's workers, waiting"):
                waits = run_tasks_on_ray(range(40), Work(wait, limit_s=lambda _: 60.0, start=lambda: None), jobs=jobs)
                assert sum(1 for _ in waits) == 40
            settings = PredictSettings((survey,), out=folder / str(jobs), jobs=jobs)
            with timed(f"{jobs} of Ray's workers"):
                run = run_prediction(settings, engine=Engine(run_tasks_on_ray))
            print(f"    looking took {run.facts['seconds']['look']:.1f} s wall", flush=True)


def wait(_: int) -> None:
    """A task that doesn't use the processor."""
    time.sleep(0.1)


def data(folder: Path, _: int) -> None:
    """Ray Core against Ray Data."""
    from trapmeter.detect.megadetector_lite import DEFAULT_MIN_SCORE
    from trapmeter.detect.precision import DetectorPrecision
    from trapmeter.media.discovery import find_media
    from trapmeter.parallel.workers import TimeLimits
    from trapmeter.prediction.medium_pipeline import MediumTask
    from trapmeter.prediction.worker_models import open_worker_models, process_media

    media = find_media([CLIPS]).media
    open_models = partial(
        open_worker_models,
        detector=DetectorPrecision.INT8,
        min_score=DEFAULT_MIN_SCORE,
    )

    def by_core() -> int:
        from trapmeter.parallel.ray_workers import run_tasks_on_ray

        tasks = [MediumTask(medium, None, 1.0) for medium in media]
        return sum(len(seen.seconds) for seen in process_media(tasks, open_models, 2, TimeLimits(), run_tasks_on_ray))

    def by_data() -> int:
        import ray.data

        ray.data.DataContext.get_current().enable_progress_bars = False
        rows = ray.data.from_items([{"path": str(medium.path)} for medium in media], override_num_blocks=len(media))
        frames = rows.flat_map(decoded, num_cpus=0.5)
        found = frames.map_batches(
            Detecting,
            batch_size=1,
            num_cpus=0.5,
            compute=ray.data.ActorPoolStrategy(size=2),
            fn_constructor_args=[open_models],
        )
        return sum(1 for _ in found.iter_rows())

    from trapmeter.parallel.engine import connect_to_ray

    ways: dict[str, Callable[[], int]] = {"Ray Core: an actor decodes and detects": by_core, "Ray Data": by_data}
    for what, way in ways.items():
        with connect_to_ray(None, jobs=2), timed(what):
            n = way()
        print(f"    {n} pictures")


def decoded(row: dict[str, Any]) -> list[dict[str, Any]]:
    """The pictures of a clip, one per second, as the detector needs them."""
    from trapmeter.media.discovery import medium_kind
    from trapmeter.media.opening import open_medium
    from trapmeter.media.reader import FitWithin
    from trapmeter.records import Frame, Medium

    path = Path(row["path"])
    kind = medium_kind(path)
    assert kind is not None
    with open_medium(Medium(path.name, path, kind), FitWithin(640, 640)) as reader:
        times_s = reader.regular_times(1.0)
        shown = [frame for frame in reader.frames(times_s) if isinstance(frame, Frame)]
    return [{"media_id": path.name, "time_s": frame.time_s, "pixels": frame.pixels} for frame in shown]


class Detecting:
    """A stage of Ray Data."""

    def __init__(self, open_models: Callable[[], Any]) -> None:
        self._detector = open_models().detector

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Boxes of one picture."""
        import numpy as np

        boxes = self._detector.detect([np.ascontiguousarray(pixels) for pixels in batch["pixels"]])
        return {"media_id": batch["media_id"], "n": np.array([len(found) for found in boxes])}


def main() -> None:
    """Runs the parts, each in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if not arguments.here:
        for part in arguments.parts:
            print(part, flush=True)
            subprocess.run(
                [sys.executable, __file__, "--here", "--parts", part, "--rows", str(arguments.rows)], check=True
            )
        return
    functions = {"plan": plan, "join": join, "measure": measure, "engine": engine, "workers": workers, "data": data}
    with tempfile.TemporaryDirectory() as folder:
        functions[arguments.parts[0]](Path(folder), arguments.rows)
    print(f"  peak of the main process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3:,.0f} MB")


if __name__ == "__main__":
    main()
