"""Workers on Ray give the same bytes as local ones, even if a worker or the command is killed."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from conftest import MakeClip
from fakes import bright_models
from terminal import inside
from trapmeter.errors import RunError
from trapmeter.frames.fill import fill_store
from trapmeter.frames.requests import FrameRequest
from trapmeter.frames.spec import Codec, StoreSpec
from trapmeter.frames.store import FrameStore
from trapmeter.media.discovery import find_media
from trapmeter.parallel.workers import INTERNAL_ERROR, Engine, TaskFailure, Work
from trapmeter.prediction.medium_pipeline import WorkerModels
from trapmeter.prediction.run import run_prediction
from trapmeter.prediction.settings import PredictSettings
from trapmeter.tables.site_rules import FolderSite
from unbreakable.clips import Survey, make_survey

pytest.importorskip("ray", reason="Ray is not installed (extra `cluster`)")

from trapmeter.parallel.engine import check_machines
from trapmeter.parallel.ray_workers import CRASHED_REASON, run_tasks_on_ray

pytestmark = pytest.mark.slow


@pytest.fixture
def survey(tmp_path: Path, make_clip: MakeClip) -> Survey:
    """Six clips at two sites and a broken video."""
    names = [*(f"s{number % 2}/{number}.mp4" for number in range(6)), "s1/broken.avi"]
    survey = make_survey(tmp_path, make_clip("ray.mp4", n=40, rate=10), names)
    (survey.videos / "s1/broken.avi").write_bytes(b"RIFF" + bytes(500))
    return survey


def settings(survey: Survey, out: str) -> PredictSettings:
    folder = survey.videos.parent / out
    return PredictSettings((survey.videos,), out=folder, boxes=survey.boxes, site=FolderSite(1), jobs=2)


def distances(survey: Survey, out: str) -> bytes:
    return (survey.videos.parent / out / "distances.csv").read_bytes()


@pytest.mark.usefixtures("cluster")
def test_ray_gives_the_bytes_of_a_local_run_even_if_a_worker_is_killed(survey: Survey) -> None:
    run_prediction(settings(survey, "local"))
    killed = survey.videos.parent / "killed"
    steps = []
    run_prediction(
        settings(survey, "ray"),
        lambda *step: steps.append(step),
        Engine(partial(killing, marker=killed)),
    )
    assert killed.exists()
    assert distances(survey, "ray") == distances(survey, "local")
    assert [step for step in steps if step[0] == "look"][-1] == ("look", 7, 7, 1)


def killing(tasks: Iterable[Any], work: Work[Any, Any], *, jobs: int, marker: Path) -> Iterator[Any]:
    """Ray, with a worker that is killed by its first task."""
    return run_tasks_on_ray(tasks, replace(work, do=partial(die_once, work.do, marker)), jobs=jobs)


def die_once(do: Callable[[Any], Any], marker: Path, task: Any) -> Any:
    try:
        marker.touch(exist_ok=False)
    except FileExistsError:
        return do(task)
    os.kill(os.getpid(), signal.SIGKILL)
    return None


@pytest.mark.usefixtures("cluster")
def test_a_frame_store_is_filled_with_the_same_bytes(survey: Survey) -> None:
    media = [medium for medium in find_media([survey.videos]).media if medium.path.suffix == ".mp4"]
    wanted = [FrameRequest(medium, (0.0, 1.0, 2.0), (1.0,)) for medium in media]
    filled = []
    for name, engine in (("local", None), ("ray", run_tasks_on_ray)):
        store = FrameStore.create(survey.videos.parent / name, StoreSpec((48, 80), codec=Codec.PNG))
        report = fill_store(store, wanted, 2, engine=engine)
        assert (report.n_videos, report.n_frames, report.failures) == (6, 18, ())
        filled.append({path.name: path.read_bytes() for path in store.frame_file_paths()})
    assert filled[0] == filled[1]


@pytest.mark.usefixtures("cluster")
def test_a_task_that_hangs_crashes_or_fails_loses_only_itself() -> None:
    hangs, dies, errs = "__import__('time').sleep(3600)", "__import__('os')._exit(3)", "1 / 0"
    tasks = ["1 + 1", hangs, dies, errs, "None", "2 + 2"]
    results = dict(run_tasks_on_ray(tasks, Work(eval, lambda task: 1.0 if "sleep" in task else 600.0), jobs=2))
    assert results.pop(hangs) == TaskFailure("given up after 1 s: decoding hangs")
    assert results.pop(dies) == TaskFailure(CRASHED_REASON)
    failure = results.pop(errs)
    assert isinstance(failure, TaskFailure)
    assert failure.reason.startswith(f"{INTERNAL_ERROR} (ZeroDivisionError")
    assert results == {"1 + 1": 2, "None": None, "2 + 2": 4}


@pytest.mark.usefixtures("cluster")
def test_the_longest_tasks_start_first() -> None:
    tasks = ["sum([1])", "sum([2])", "sum([3])"]
    work = Work(eval, lambda task: float(task[5]) * 1000, start=partial(bright_models))
    results = list(run_tasks_on_ray(tasks, work, jobs=1))
    assert results == [(task, number) for task, number in zip(reversed(tasks), (3, 2, 1), strict=True)]


@pytest.mark.usefixtures("cluster")
def test_a_full_disk_or_a_worker_that_can_not_start_ends_the_run() -> None:
    full = "exec('from trapmeter.errors import RunError; raise RunError(\"the disk is full\")')"
    with pytest.raises(RunError, match="the disk is full"):
        list(run_tasks_on_ray([full], Work(eval, lambda _: 600.0), jobs=1))
    with pytest.raises(RunError, match=r"can't start: .*no models here"):
        list(run_tasks_on_ray(["1"], Work(eval, lambda _: 600.0, start=fail_to_start), jobs=1))
    with pytest.raises(RunError, match="3 workers of the cluster ended while starting"):
        list(run_tasks_on_ray(["1"], Work(eval, lambda _: 600.0, start=partial(os._exit, 3)), jobs=1))


def fail_to_start() -> WorkerModels:
    raise FileNotFoundError("no models here")


@pytest.mark.usefixtures("cluster")
def test_machines_with_another_version_or_a_missing_path_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = tmp_path / "missing"
    with pytest.raises(RunError, match=f"doesn't see {missing}; all machines need the same paths"):
        check_machines([tmp_path, missing])
    monkeypatch.setattr("trapmeter.parallel.engine.__version__", "9.9.9")
    with pytest.raises(RunError, match=r"has trapmeter 0\.1\.0, this machine 9\.9\.9.*nothing was started"):
        check_machines([tmp_path])


def test_a_missing_cluster_is_reported(survey: Survey, capsys: pytest.CaptureFixture[str]) -> None:
    call = ["predict", survey.videos, "--out", survey.videos.parent / "out"]
    cases = [
        (["--engine", "ray", "--ray-address", "127.0.0.1:9"], "no Ray cluster at 127.0.0.1:9: "),
        (["--engine", "ray", "--ray-address", "ray://127.0.0.1:9"], "no Ray cluster at ray://127.0.0.1:9: "),
        (["--engine", "ray", "--ray-address", "nowhere"], "auto, HOST:PORT or ray://HOST:PORT, got 'nowhere'"),
        (["--ray-address", "auto"], "--ray-address needs --engine ray"),
        (["--engine", "ray", "--shard", "1/2"], "--shard and --engine ray exclude each other"),
    ]
    for arguments, message in cases:
        assert inside(*call, *arguments) == 2
        assert message in capsys.readouterr().err
    assert not (survey.videos.parent / "out/seen.jsonl").exists()


def test_a_killed_command_ends_its_workers_and_resumes(survey: Survey) -> None:
    run_prediction(settings(survey, "local"))
    out = survey.videos.parent / "ray"
    command = [sys.executable, "-m", "trapmeter.cli", "predict", survey.videos, "--boxes", survey.boxes]
    command += ["--site", "folder:1", "--out", out, "--engine", "ray", "--jobs", "1"]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    journal, give_up = out / "seen.jsonl", time.monotonic() + 3000
    while not (journal.exists() and journal.read_bytes().count(b"\n") > 1):
        assert process.poll() is None
        assert time.monotonic() < give_up
        time.sleep(0.005)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    processed = [json.loads(line)["media_id"] for line in journal.read_bytes().splitlines()[1:]]
    assert 1 <= len(processed) < 7
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=3000)
    assert done.returncode == 3, done.stderr
    assert "Ray" not in done.stdout + done.stderr
    assert distances(survey, "ray") == distances(survey, "local")
    again = [json.loads(line)["media_id"] for line in journal.read_bytes().splitlines()[1:]]
    assert again[: len(processed)] == processed
    # A medium that failed is tried again.
    assert len(set(again)) == 7
    assert len(again) == 7 + processed.count("s1/broken.avi")
