"""Twenty random kills each: what is resumed ends with the bytes of an unbroken run."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import MakeClip
from training_world import World, make_world

HERE = Path(__file__).parents[1]
KILLS = 20

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="orphans are adopted by Linux' means")


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
    assert "Traceback" not in log, log[-3000:]
    assert told["kills"] == KILLS
    assert 0 < told["parent_only"] < KILLS
    assert told["midway"] >= KILLS // 2
    return [outs / str(number) for number in range(len(told["statuses"]) - 1)]


def contents(folder: Path) -> dict[str, bytes]:
    """All files but those that are hidden."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name[0] != "."
    }


def copies(make_clip: MakeClip, folder: Path, n: int) -> list[str]:
    """A folder with n short clips under it."""
    clip = make_clip(f"{folder.name}.mp4", n=40, rate=10).read_bytes()
    names = [f"S{number % 3}/{number:02d}.mp4" for number in range(n)]
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(clip)
    return names


def test_predict_killed_20_times_ends_with_the_same_bytes(tmp_path: Path, make_clip: MakeClip) -> None:
    names = copies(make_clip, tmp_path / "killed", 8)
    boxes = tmp_path / "boxes.csv"
    rows = [(name, t, 0.3, 0.4, 0.35 + t / 50, 0.7, 0.9, "p", "s") for name in names for t in range(4)]
    with boxes.open("w", newline="") as file:
        csv.writer(file).writerows(
            [("video_id", "time", "x1", "y1", "x2", "y2", "probability", "park", "site_id"), *rows]
        )
    argv = ["predict", tmp_path / "killed", "--out", "OUT", "--boxes", boxes, "--site", "folder:1", "-j", 2]
    before = "import trapmeter.cli, trapmeter.predict.run, trapmeter.report.html, matplotlib.backends.backend_svg, rich.progress"
    for out in kill_often(tmp_path, argv, before, seed=1, most=6):
        unbroken = tmp_path / "outs/unbroken"
        assert (out / "distances.csv").read_bytes() == (unbroken / "distances.csv").read_bytes()
        assert {path.name for path in out.iterdir()} == {path.name for path in unbroken.iterdir()}


def test_frames_killed_20_times_ends_with_the_same_store(tmp_path: Path, make_clip: MakeClip) -> None:
    names = copies(make_clip, tmp_path / "killed", 16)
    labels = tmp_path / "labels.csv"
    labels.write_text("video_id,time,distance\n" + "".join(f"{name},{t},5\n" for name in names for t in (1, 2)))
    argv = ["frames", "--labels", labels, "--videos", tmp_path / "killed", "--store", "OUT", "--size", "48x80", "-j", 2]
    before = "import trapmeter.cli, trapmeter.frames.fill, trapmeter.console, rich.progress, simplejpeg"
    for out in kill_often(tmp_path, argv, before, seed=2, most=10):
        assert contents(out) == contents(tmp_path / "outs/unbroken")
        assert not list(out.rglob("*.part")), "what kills left half written is swept away"


TRAIN = """
import sys
sys.path.insert(0, {here!r})
import torch, timm, torch.utils.tensorboard, matplotlib.backends.backend_agg
torch.set_num_threads(1)
import trapmeter.cli, trapmeter.training.run, trapmeter.training.export
from dataclasses import replace
from training_world import tiny_recipe
trapmeter.training.recipes.recipe_named = lambda _: tiny_recipe(epochs=5)
# Translating a network takes longer than training the tiny one.
trapmeter.training.export.export = lambda *_: None
"""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return make_world(tmp_path_factory.mktemp("world"))


def test_train_killed_20_times_ends_with_the_same_losses(tmp_path: Path, world: World) -> None:
    argv = ["train", "--labels", world.labels, "--metadata", world.metadata, "--store", world.store, "--out", "OUT"]
    argv += ["--n-folds", 2, "--folds", 0]
    for out in kill_often(tmp_path, argv, TRAIN.format(here=str(HERE)), seed=3, most=16):
        unbroken = tmp_path / "outs/unbroken/fold-0"
        with (out / "fold-0/metrics.csv").open() as one, (unbroken / "metrics.csv").open() as other:
            resumed, whole = ([{**row, "seconds": ""} for row in csv.DictReader(file)] for file in (one, other))
        assert resumed == whole
        assert len(whole) == 5
        for name in ("best.safetensors", "last.safetensors", "held_out.csv", "finished.json"):
            assert (out / "fold-0" / name).read_bytes() == (unbroken / name).read_bytes(), name
        assert not list(out.rglob("*.part"))
