"""Whole distillations of tiny networks: a student from two teachers, resumed after a kill, with and without labels."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from training_world import World, make_bundles, make_world, tiny_recipe
from trapmeter.distillation import complete_windows, distil
from trapmeter.errors import InputError, ModelError, RunError
from trapmeter.frames.store import FrameStore
from trapmeter.models.bundle import read_bundle
from trapmeter.models.runtimes.onnx_runtime import check_bundle
from trapmeter.training.settings import DistilSettings, PseudolabelSettings
from trapmeter.training.training_log import read_metrics
from trapmeter.uncertainty import fit_uncertainty

pytestmark = pytest.mark.slow

pytest.importorskip("torch")

POINTS = np.linspace(0.5, 3.0, 200)
UNCERTAINTY = fit_uncertainty(POINTS, np.expm1(POINTS + 0.1 * np.sin(np.arange(200))), ["s"] * 200)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return make_world(tmp_path_factory.mktemp("distil"))


@pytest.fixture(scope="module")
def teachers(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ...]:
    """Each in a fold of its own, the first of which knows what it had not seen."""
    made = make_bundles(tmp_path_factory.mktemp("teachers"), uncertainty=UNCERTAINTY)
    folders = [path.parent / f"fold-{number}" / "bundle" for number, path in enumerate(made)]
    for path, folder in zip(made, folders, strict=True):
        shutil.copytree(path, folder)
    (folders[0].parent / "held_out.csv").write_text("video_id,time,distance,truth,site_id\nv00.mp4,0,1.5,2,s0\n")
    return tuple(folders)


def settings(world: World, teachers: tuple[Path, ...], out: Path, **changes: object) -> DistilSettings:
    made = DistilSettings(
        teachers=teachers,
        store=world.store,
        out=out,
        recipe=tiny_recipe(epochs=2),
        pseudolabels=PseudolabelSettings(None),
    )
    return replace(made, **changes)


def quiet(_: str) -> None:
    pass


def losses(out: Path) -> list[float]:
    return [record.loss for record in read_metrics(out / "student")]


@pytest.fixture
def no_export(monkeypatch: pytest.MonkeyPatch) -> None:
    """Translating a network to ONNX takes longer than training the tiny one."""
    import trapmeter.training.export

    monkeypatch.setattr(trapmeter.training.export, "export_network", lambda *_: None)


def test_a_student_is_a_bundle_like_any_other(world: World, teachers: tuple[Path, ...], tmp_path: Path) -> None:
    said: list[str] = []
    asked = settings(world, teachers, tmp_path, labels=world.labels, metadata=world.metadata, licence="MIT")
    folder = distil(asked, said.append)
    bundle = check_bundle(folder)
    assert (bundle.identity.model_id, bundle.licence) == ("tiny-student", "MIT")
    # The teachers are one another's likes, so that their mean is as sure as each of them.
    assert bundle.uncertainty.belt_low == pytest.approx(UNCERTAINTY.belt_low)
    origin = bundle.provenance["distilled_from"]
    assert [teacher["sha256"] for teacher in origin["teachers"]] == [read_bundle(t).identity.sha256 for t in teachers]
    assert "held_out" not in bundle.provenance
    assert any(
        "48 labelled moments, 4 of them answered by teachers that had not seen the video; 0 others" in s for s in said
    )
    with (tmp_path / "targets.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["video_id"] for row in rows if row["teachers_unseen"] == "1"} == {"v00.mp4"}
    said.clear()
    assert distil(asked, said.append) == folder
    assert f"student: finished before; bundle in {folder}" in said


@pytest.mark.usefixtures("no_export")
def test_without_labels_all_that_is_stored_is_asked_about(
    world: World, teachers: tuple[Path, ...], tmp_path: Path
) -> None:
    distil(settings(world, teachers, tmp_path), quiet)
    facts = json.loads((tmp_path / "student/training.json").read_text())
    assert facts["recipe"]["name"] == "tiny"
    with (tmp_path / "targets.csv").open() as file:
        rows = list(csv.DictReader(file))
    store = FrameStore.open(world.store)
    assert [(row["video_id"], float(row["time"])) for row in rows] == complete_windows(store, tiny_recipe().input)
    assert len(rows) == 48
    assert all(float(row["distance"]) == pytest.approx(float(row["teachers"]), abs=1e-4) for row in rows)
    assert len(losses(tmp_path)) == 2
    # Nothing is held out, so that the last weights are the ones that are kept.
    assert (tmp_path / "student/best.safetensors").read_bytes() == (tmp_path / "student/last.safetensors").read_bytes()


@pytest.mark.usefixtures("no_export")
def test_moments_without_a_box_are_left_out_where_boxes_are_known(
    world: World, teachers: tuple[Path, ...], tmp_path: Path
) -> None:
    table = tmp_path / "metadata.csv"
    lines = world.metadata.read_text().splitlines()
    table.write_text("\n".join([lines[0], *lines[5:], "v00.mp4,1,,,,,,park,s0"]) + "\n")
    times = tmp_path / "times.csv"
    times.write_text("\n".join(["video_id,time", *(f"v{n:02d}.mp4,{t}" for n in range(3) for t in range(4))]) + "\n")
    distil(settings(world, teachers, tmp_path / "out", metadata=table, moments=times), quiet)
    with (tmp_path / "out/targets.csv").open() as file:
        assert {row["video_id"] for row in csv.DictReader(file)} == {"v01.mp4", "v02.mp4"}


DISTIL = """
import sys
from pathlib import Path
sys.path[:0] = {path!r}
from training_world import tiny_recipe
from trapmeter.distillation import distil
from trapmeter.training.settings import DistilSettings
from trapmeter.training.settings import PseudolabelSettings
settings = DistilSettings(
    teachers=tuple(map(Path, {teachers!r})), store=Path({store!r}), out=Path({out!r}), recipe=tiny_recipe(epochs=5),
    pseudolabels=PseudolabelSettings(None),
)
distil(settings, lambda text: print(text, flush=True), lambda *done: print("answered", done, flush=True))
"""


def code_of(world: World, teachers: tuple[Path, ...], out: Path) -> str:
    return DISTIL.format(
        path=[str(Path(__file__).parents[1])],
        teachers=[str(path) for path in teachers],
        store=str(world.store),
        out=str(out),
    )


@pytest.mark.usefixtures("no_export")
def test_killed_while_asking_or_training_it_goes_on_to_the_same_student(
    world: World, teachers: tuple[Path, ...], tmp_path: Path
) -> None:
    asked = settings(world, teachers, tmp_path / "whole", recipe=tiny_recipe(epochs=5))
    distil(asked, quiet)
    code = code_of(world, teachers, tmp_path / "killed")
    for line_to_kill_at in ("answered (3, 12)", "epoch 2 of"):
        process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        for line in process.stdout:
            if line_to_kill_at in line:
                break
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()
    distil(replace(asked, out=tmp_path / "killed"), quiet)
    assert losses(tmp_path / "killed") == losses(tmp_path / "whole")
    names = ("targets.csv", "student/last.safetensors")
    assert all((tmp_path / "killed" / n).read_bytes() == (tmp_path / "whole" / n).read_bytes() for n in names)


def test_of_two_processes_one_asks_and_both_train(world: World, teachers: tuple[Path, ...], tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(code_of(world, teachers, tmp_path / "two"))
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "--standalone"]
    done = subprocess.run(
        [*command, str(tmp_path / "script.py")], capture_output=True, text=True, check=False, timeout=2400
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.count("epoch 5 of 5") == 1, "one process talks"
    assert len((tmp_path / "two/answers.jsonl").read_text().splitlines()) == 1 + 12, "a header, and each video once"
    assert done.stdout.count("2 processes, 2 of a step's 4 windows each") == 1
    assert check_bundle(tmp_path / "two/student/bundle").identity.model_id == "tiny-student"


@pytest.mark.usefixtures("no_export")
def test_it_begins_with_a_teachers_weights(world: World, teachers: tuple[Path, ...], tmp_path: Path) -> None:
    distil(settings(world, teachers, tmp_path / "first"), quiet)
    start = tmp_path / "first/student/last.safetensors"
    distil(settings(world, teachers, tmp_path / "second", start=start), quiet)
    assert losses(tmp_path / "second")[0] < losses(tmp_path / "first")[0]
    with pytest.raises(RunError, match=r"start was '[0-9a-f]+', is None"):
        distil(settings(world, teachers, tmp_path / "second"), quiet)
    other = tiny_recipe(input=replace(tiny_recipe().input, offsets_s=(0.0,)))
    with pytest.raises(ModelError, match="weights of another network than the recipe's"):
        distil(settings(world, teachers, tmp_path / "third", start=start, recipe=other), quiet)


def test_what_can_not_be_done_is_said_before_the_teachers_are_asked(
    world: World, teachers: tuple[Path, ...], tmp_path: Path
) -> None:
    larger = tiny_recipe(input=replace(tiny_recipe().input, size_hw=(64, 96)))
    with pytest.raises(InputError, match="--size 64x96"):
        distil(settings(world, teachers, tmp_path, recipe=larger), quiet)
    times = tmp_path / "times.csv"
    times.write_text("video_id,time\nv00.mp4,0.5\n")
    with pytest.raises(InputError, match="the store lacks"):
        distil(settings(world, teachers, tmp_path, moments=times), quiet)
    assert not (tmp_path / "answers.jsonl").exists()
