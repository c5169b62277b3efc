"""Twenty random kills each: what is resumed ends with the bytes of an unbroken run."""

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

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="orphans are adopted by Linux' means")


CUT_OFF_AT_BIRTH = re.compile(
    r"Traceback \(most recent call last\):\n"
    r"(?:  .*\n)+?  File \".*multiprocessing/spawn\.py\", line \d+, in _main\n"
    r" +\w+ = reduction\.pickle\.load\(from_parent\)\n(?: +\^+\n)?"
    r"(?:EOFError|_pickle\.UnpicklingError|OSError|ConnectionResetError)\b"
)
"""Python's own words where a parent is killed before it has told its new worker what to do: none of our code runs yet."""


def kill_often(tmp_path: Path, argv: list[object], before: str, *, seed: int, most: int) -> list[Path]:
    """Kills the command 20 times in all; returns the folders of the resumed runs. most: things written before a kill."""
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
        timeout=1200,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    told = json.loads(done.stdout)
    log = (outs / "log").read_text()
    assert set(told["statuses"]) == {0}, log[-3000:]
    assert "Traceback" not in CUT_OFF_AT_BIRTH.sub("", log), log[-3000:]
    assert told["kills"] == KILLS
    assert 0 < told["parent_only"] < KILLS
    assert told["midway"] >= KILLS // 2
    return [outs / str(number) for number in range(len(told["statuses"]) - 1)]


def survey_of(tmp_path: Path, make_clip: MakeClip, n: int) -> Survey:
    return make_survey(tmp_path, make_clip("killed.mp4", n=40, rate=10), numbered(n))


def test_predict_killed_20_times_ends_with_the_same_bytes(tmp_path: Path, make_clip: MakeClip) -> None:
    argv = survey_of(tmp_path, make_clip, 6).predict(Path("OUT"), "--site", "folder:1", "--jobs", 2)
    before = "import trapmeter.cli, trapmeter.predict.run, trapmeter.report.html, matplotlib.backends.backend_svg"
    for out in kill_often(tmp_path, argv, before, seed=1, most=5):
        unbroken = tmp_path / "outs/unbroken"
        assert (out / "distances.csv").read_bytes() == (unbroken / "distances.csv").read_bytes()
        assert contents(out).keys() == contents(unbroken).keys()
        assert not half_written(out)


def test_frames_killed_20_times_ends_with_the_same_store(tmp_path: Path, make_clip: MakeClip) -> None:
    argv = survey_of(tmp_path, make_clip, 10).frames(Path("OUT"), "--jobs", 2)
    before = "import trapmeter.cli, trapmeter.frames.fill, trapmeter.console, rich.progress, simplejpeg"
    for out in kill_often(tmp_path, argv, before, seed=2, most=7):
        assert contents(out) == contents(tmp_path / "outs/unbroken")
        assert not half_written(out), "what kills left half written is swept away"


TRAIN = """
import sys
sys.path.insert(0, {here!r})
import torch, timm, torch.utils.tensorboard, matplotlib.backends.backend_agg
torch.set_num_threads(1)
import trapmeter.cli, trapmeter.training.run, trapmeter.training.export
from dataclasses import replace
from training_world import tiny_recipe
trapmeter.training.recipes.recipe_named = lambda _: tiny_recipe(epochs=4)
# Translating a network takes longer than training the tiny one.
trapmeter.training.export.export = lambda *_: None
"""


def test_train_killed_20_times_ends_with_the_same_losses(tmp_path: Path, world: World) -> None:
    argv = ["train", "--labels", world.labels, "--metadata", world.metadata, "--store", world.store, "--out", "OUT"]
    argv += ["--n-folds", 2, "--folds", 0]
    for out in kill_often(tmp_path, argv, TRAIN.format(here=str(HERE)), seed=3, most=12):
        unbroken = tmp_path / "outs/unbroken"
        assert learned(out) == learned(unbroken)
        assert len(learned(out)) == 4
        for name in ("best.safetensors", "last.safetensors", "held_out.csv", "finished.json"):
            assert (out / "fold-0" / name).read_bytes() == (unbroken / "fold-0" / name).read_bytes(), name
        assert not half_written(out)
