"""After twenty random kills each, resumed runs have the bytes of an uninterrupted one."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import MakeClip
from training_world import World
from unbreakable.clips import Survey, contents, half_written, learned, make_survey, numbered

HERE = Path(__file__).parents[1]
KILLS = 20

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="adopting orphaned processes needs Linux"),
]


TRACE = re.compile(r"Traceback \(most recent call last\):\n((?:  .*\n)+)")
FRAME = re.compile(r'^  File "(.+)", line \d+, in (\w+|<module>)$', re.MULTILINE)


def own_tracebacks(log: str) -> list[str]:
    """The tracebacks in the log, except those of Python for a worker that starts while its parent is killed.

    Such a worker finds its instructions cut off (EOFError) or its semaphores gone (FileNotFoundError). All frames of its
    traceback are in multiprocessing, since no code of trapmeter runs yet.
    """
    tracebacks = []
    for body in TRACE.findall(log):
        files = [file for file, _ in FRAME.findall(body)]
        is_starting = files[:1] == ["<string>"] and "in spawn_main" in body
        if not is_starting or not all("/multiprocessing/" in file for file in files[1:]):
            tracebacks.append(body)
    return tracebacks


@pytest.mark.parametrize(
    ("frames", "n_own"),
    [
        (["<string>", "/lib/multiprocessing/spawn.py", "/lib/multiprocessing/synchronize.py"], 0),
        (["<string>", "/lib/multiprocessing/spawn.py", "/src/trapmeter/watching.py"], 1),
        (["/bin/trapmeter", "/lib/multiprocessing/spawn.py"], 1),
        ([], 1),
    ],
)
def test_only_a_worker_that_is_starting_may_leave_a_traceback(frames: list[str], n_own: int) -> None:
    lines = [f'  File "{file}", line 3, in spawn_main\n    call()\n    ^^^^^^\n' for file in frames] or ["  lost\n"]
    log = "before\nTraceback (most recent call last):\n" + "".join(lines) + "OSError: gone\nafter\n"
    assert len(own_tracebacks(log)) == n_own


def kill_often(tmp_path: Path, argv: list[object], before: str, *, seed: int, most: int) -> list[Path]:
    """Kills the command 20 times in all and returns the folders of the resumed runs. most: changes before a kill."""
    outs = tmp_path / "outs"
    outs.mkdir()
    job = {
        "argv": [str(a) for a in argv],
        "outs": str(outs),
        "kills": KILLS,
        "seed": seed,
        "before": before,
        "most": most,
    }
    (tmp_path / "job.json").write_text(json.dumps(job))
    done = subprocess.run(
        [sys.executable, HERE / "killing.py", tmp_path / "job.json"],
        capture_output=True,
        text=True,
        check=False,
        timeout=12_000,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    report = json.loads(done.stdout)
    log = (outs / "log").read_text()
    assert set(report["statuses"]) == {0}, log[-3000:]
    assert not own_tracebacks(log), log[-3000:]
    assert log.count("Traceback") == len(TRACE.findall(log)), log[-3000:]
    assert report["kills"] == KILLS
    assert 0 < report["parent_only"] < KILLS
    assert report["midway"] >= KILLS // 2
    return [outs / str(number) for number in range(len(report["statuses"]) - 1)]


def survey_of(tmp_path: Path, make_clip: MakeClip, n: int) -> Survey:
    return make_survey(tmp_path, make_clip("killed.mp4", n=40, rate=10), numbered(n))


def test_predict_killed_20_times_ends_with_the_same_bytes(tmp_path: Path, make_clip: MakeClip) -> None:
    argv = survey_of(tmp_path, make_clip, 6).predict(Path("OUT"), "--site", "folder:1", "--jobs", 2)
    before = (
        "import trapmeter.cli, trapmeter.prediction.run, trapmeter.report.run_report, matplotlib.backends.backend_svg"
    )
    for out in kill_often(tmp_path, argv, before, seed=1, most=5):
        expected = tmp_path / "outs/uninterrupted"
        assert (out / "distances.csv").read_bytes() == (expected / "distances.csv").read_bytes()
        assert contents(out).keys() == contents(expected).keys()
        assert not half_written(out)


def test_frames_killed_20_times_ends_with_the_same_store(tmp_path: Path, make_clip: MakeClip) -> None:
    argv = survey_of(tmp_path, make_clip, 10).frames(Path("OUT"), "--jobs", 2)
    before = "import trapmeter.cli, trapmeter.frames.fill, trapmeter.console, rich.progress, simplejpeg"
    for out in kill_often(tmp_path, argv, before, seed=2, most=7):
        assert contents(out) == contents(tmp_path / "outs/uninterrupted")
        assert not half_written(out), "partial files of killed runs are removed"


TRAIN = """
import sys
sys.path.insert(0, {here!r})
import torch, timm, torch.utils.tensorboard, matplotlib.backends.backend_agg
torch.set_num_threads(1)
import trapmeter.cli, trapmeter.training.run, trapmeter.training.export
from dataclasses import replace
from training_world import tiny_recipe
trapmeter.training.recipes.RECIPES["tiny"] = lambda: tiny_recipe(epochs=4)
# Exporting a network takes longer than training the tiny one.
trapmeter.training.export.export_network = lambda *_: None
"""


def test_train_killed_20_times_ends_with_the_same_losses(tmp_path: Path, world: World) -> None:
    argv = ["train", "--labels", world.labels, "--metadata", world.metadata, "--store", world.store, "--out", "OUT"]
    argv += ["--recipe", "tiny", "--n-folds", 2, "--folds", 0]
    for out in kill_often(tmp_path, argv, TRAIN.format(here=str(HERE)), seed=3, most=12):
        expected = tmp_path / "outs/uninterrupted"
        assert learned(out) == learned(expected)
        assert len(learned(out)) == 4
        for name in ("best.safetensors", "last.safetensors", "held_out.csv", "finished.json"):
            assert (out / "fold-0" / name).read_bytes() == (expected / "fold-0" / name).read_bytes(), name
        assert not half_written(out)
