"""Distillations of tiny networks: a student from two teachers, with and without labels, resumed after a kill."""

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
    """Two teachers in folds of their own; beside the first one is the table of its held-out videos."""
    made = make_bundles(tmp_path_factory.mktemp("teachers"), uncertainty=UNCERTAINTY)
    folders = [path.parent / f"fold-{number}" / "bundle" for number, path in enumerate(made)]
    for path, folder in zip(made, folders, strict=True):
        shutil.copytree(path, folder)
    (folders[0].parent / "held_out.csv").write_text("video_id,time,distance,truth,site_id\nv00.mp4,0,1.5,2,s0\n")
    return tuple(folders)


def settings(world: World, teachers: tuple[Path, ...], out: Path, **changes: object) -> DistilSettings:
    plain = DistilSettings(
        teachers=teachers,
        store=world.store,
        out=out,
        recipe=tiny_recipe(epochs=2),
        pseudolabels=PseudolabelSettings(None),
    )
    return replace(plain, **changes)


def quiet(_: str) -> None:
    pass


def losses(out: Path) -> list[float]:
    return [record.loss for record in read_metrics(out / "student")]


@pytest.fixture
def no_export(monkeypatch: pytest.MonkeyPatch) -> None:
    """Skips the export to ONNX, which takes longer than training the tiny network."""
    import trapmeter.training.export

    monkeypatch.setattr(trapmeter.training.export, "export_network", lambda *_: None)


def test_a_student_is_a_bundle_like_any_other(world: World, teachers: tuple[Path, ...], tmp_path: Path) -> None:
    announced: list[str] = []
    labelled = settings(world, teachers, tmp_path, labels=world.labels, metadata=world.metadata, licence="MIT")
    folder = distil(labelled, announced.append)
    bundle = check_bundle(folder)
    assert (bundle.identity.model_id, bundle.licence) == ("tiny-student", "MIT")
    # The teachers have equal uncertainties, so their mean is that of each.
    assert bundle.uncertainty.belt_low == pytest.approx(UNCERTAINTY.belt_low)
    origin = bundle.provenance["distilled_from"]
    assert [teacher["sha256"] for teacher in origin["teachers"]] == [read_bundle(t).identity.sha256 for t in teachers]
    assert "held_out" not in bundle.provenance
    expected = "48 labelled seconds, 4 of them predicted by teachers not trained on the video; 0 unlabelled seconds"
    assert any(expected in line for line in announced)
    with (tmp_path / "targets.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["video_id"] for row in rows if row["teachers_unseen"] == "1"} == {"v00.mp4"}
    announced.clear()
    assert distil(labelled, announced.append) == folder
    assert f"student: already finished; bundle in {folder}" in announced


@pytest.mark.usefixtures("no_export")
def test_without_labels_all_complete_windows_are_used(world: World, teachers: tuple[Path, ...], tmp_path: Path) -> None:
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
    # Nothing is held out, so the last weights count as the best.
    assert (tmp_path / "student/best.safetensors").read_bytes() == (tmp_path / "student/last.safetensors").read_bytes()


@pytest.mark.usefixtures("no_export")
def test_with_metadata_seconds_without_a_box_are_left_out(
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
from trapmeter.training.settings import DistilSettings, PseudolabelSettings
settings = DistilSettings(
    teachers=tuple(map(Path, {teachers!r})), store=Path({store!r}), out=Path({out!r}), recipe=tiny_recipe(epochs=5),
    pseudolabels=PseudolabelSettings(None),
)
distil(settings, lambda text: print(text, flush=True), lambda _, done, total, __: print("predicted", done, total, flush=True))
"""


def code_of(world: World, teachers: tuple[Path, ...], out: Path) -> str:
    return DISTIL.format(
        path=[str(Path(__file__).parents[1])],
        teachers=[str(path) for path in teachers],
        store=str(world.store),
        out=str(out),
    )


@pytest.mark.usefixtures("no_export")
def test_a_killed_distillation_resumes_to_the_same_student(
    world: World, teachers: tuple[Path, ...], tmp_path: Path
) -> None:
    uninterrupted = settings(world, teachers, tmp_path / "uninterrupted", recipe=tiny_recipe(epochs=5))
    distil(uninterrupted, quiet)
    code = code_of(world, teachers, tmp_path / "killed")
    for line_to_kill_at in ("predicted 3 12", "epoch 2 of"):
        process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        for line in process.stdout:
            if line_to_kill_at in line:
                break
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()
    distil(replace(uninterrupted, out=tmp_path / "killed"), quiet)
    assert losses(tmp_path / "killed") == losses(tmp_path / "uninterrupted")
    names = ("targets.csv", "student/last.safetensors")
    assert all((tmp_path / "killed" / n).read_bytes() == (tmp_path / "uninterrupted" / n).read_bytes() for n in names)


def test_of_two_processes_one_runs_the_teachers_and_both_train(
    world: World, teachers: tuple[Path, ...], tmp_path: Path
) -> None:
    (tmp_path / "script.py").write_text(code_of(world, teachers, tmp_path / "two"))
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "--standalone"]
    done = subprocess.run(
        [*command, str(tmp_path / "script.py")], capture_output=True, text=True, check=False, timeout=2400
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.count("epoch 5 of 5") == 1, "one process announces"
    assert len((tmp_path / "two/answers.jsonl").read_text().splitlines()) == 1 + 12, "a header, and each video once"
    assert done.stdout.count("2 processes, 2 of a step's 4 windows each") == 1
    assert check_bundle(tmp_path / "two/student/bundle").identity.model_id == "tiny-student"


@pytest.mark.usefixtures("no_export")
def test_a_student_can_start_from_other_weights(world: World, teachers: tuple[Path, ...], tmp_path: Path) -> None:
    distil(settings(world, teachers, tmp_path / "first"), quiet)
    start = tmp_path / "first/student/last.safetensors"
    distil(settings(world, teachers, tmp_path / "second", start=start), quiet)
    assert losses(tmp_path / "second")[0] < losses(tmp_path / "first")[0]
    with pytest.raises(RunError, match=r"start was '[0-9a-f]+', is None"):
        distil(settings(world, teachers, tmp_path / "second"), quiet)
    other = tiny_recipe(input=replace(tiny_recipe().input, offsets_s=(0.0,)))
    with pytest.raises(ModelError, match="these weights belong to another network"):
        distil(settings(world, teachers, tmp_path / "third", start=start, recipe=other), quiet)


def test_missing_frames_are_reported_before_the_teachers_run(
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
