"""The clock may jump during a run: only the time stamps in run.json depend on it."""

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from terminal import inside
from trapmeter.parallel.workers import TaskFailure, Work, run_tasks
from unbreakable.clips import Survey, contents, learned

pytestmark = pytest.mark.slow

JUMPING = Path(__file__).parent / "jumping"


def jumping(arguments: list[object]) -> subprocess.CompletedProcess[str]:
    """Runs the command with a jumping clock, also in its workers."""
    path = os.pathsep.join([str(JUMPING), *sys.path])
    code = "import sys, time; assert abs(time.time() - time.time()) > 1; from trapmeter.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
        timeout=3000,
    )


def test_predict_and_frames_do_not_depend_on_the_clock(survey: Survey, tmp_path: Path) -> None:
    assert inside(*survey.predict(tmp_path / "calm")) == 0
    for _ in range(2):  # the second resumes after the first
        done = jumping(survey.predict(tmp_path / "out"))
        assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "out/distances.csv").read_bytes() == (tmp_path / "calm/distances.csv").read_bytes()
    assert inside(*survey.frames(tmp_path / "calm-store")) == 0
    done = jumping(survey.frames(tmp_path / "store"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert contents(tmp_path / "store") == contents(tmp_path / "calm-store")


def test_train_does_not_depend_on_the_clock(
    train: list[object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert inside(*train, "--out", tmp_path / "calm") == 0
    real, rng = time.time, random.Random(0)
    with monkeypatch.context() as patch:
        patch.setattr(time, "time", lambda: real() + rng.uniform(-1e8, 1e8))
        assert inside(*train, "--out", tmp_path / "out") == 0
    assert learned(tmp_path / "out") == learned(tmp_path / "calm")


def test_time_limits_use_a_clock_that_never_jumps(monkeypatch: pytest.MonkeyPatch) -> None:
    real = time.time
    started = time.monotonic()
    monkeypatch.setattr(time, "time", lambda: real() + 1e6 * (time.monotonic() - started))
    tasks = ["__import__('time').sleep(1.5) or 'done'", "__import__('time').sleep(3600)"]
    results = dict(run_tasks(tasks, Work(eval, lambda task: 3.0 if "3600" in task else 1000.0), jobs=2))
    assert results[tasks[0]] == "done"
    assert results[tasks[1]] == TaskFailure("given up after 3 s: decoding hangs")
