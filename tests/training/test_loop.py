"""Trainings of a tiny network: files, repeatability, two processes, refusals, and the batches of an epoch."""

import csv
import gc
import multiprocessing
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from training_world import World, tiny_recipe, train_settings
from trapmeter.errors import InputError, RunError
from trapmeter.frames.store import FrameStore
from trapmeter.training.augment.settings import no_augmentation
from trapmeter.training.dataset import DatasetItem, WindowDataset, training_batches, validation_batches
from trapmeter.training.loading import WindowLoader
from trapmeter.training.run import train
from trapmeter.training.samples import read_samples
from trapmeter.training.settings import FoldsBy
from trapmeter.training.training_log import draw_all_curves, read_metrics

pytestmark = pytest.mark.slow


@pytest.fixture
def no_export(monkeypatch: pytest.MonkeyPatch) -> None:
    """Skips the export to ONNX, which takes longer than training the tiny network."""
    import trapmeter.training.export

    monkeypatch.setattr(trapmeter.training.export, "export_network", lambda *_: None)


def losses(out: Path) -> list[tuple[float, float]]:
    return [(record.loss, record.held_out_mae_m) for record in read_metrics(out / "fold-0")]


def quiet(_: str) -> None:
    pass


def test_a_training_writes_all_its_files_and_runs_once(world: World, tmp_path: Path) -> None:
    announced: list[str] = []
    bundles = train(train_settings(world, tmp_path, fold=None), announced.append)
    assert bundles == [tmp_path / f"fold-{fold}" / "bundle" for fold in range(2)]
    for fold in range(2):
        names = {path.name for path in (tmp_path / f"fold-{fold}").iterdir()}
        assert {
            "best.safetensors",
            "last.safetensors",
            "metrics.csv",
            "held_out.csv",
            "curve.png",
            "finished.json",
            "tensorboard",
        } <= names
        assert len(losses(tmp_path)) == 3
    assert any("fold 1" in line for line in announced)
    # Every sample is held out exactly once over the folds.
    held_out = [row for fold in range(2) for row in csv.DictReader((tmp_path / f"fold-{fold}/held_out.csv").open())]
    assert len({(row["video_id"], row["time"]) for row in held_out}) == len(held_out) == 48
    # A second call trains nothing.
    announced.clear()
    train(train_settings(world, tmp_path, fold=None), announced.append)
    assert sum("already finished" in line for line in announced) == 2


@pytest.mark.usefixtures("no_export")
def test_the_same_seed_gives_the_same_numbers(world: World, tmp_path: Path) -> None:
    train(train_settings(world, tmp_path / "a"), quiet)
    train(train_settings(world, tmp_path / "b"), quiet)
    assert losses(tmp_path / "a") == losses(tmp_path / "b")
    train(train_settings(world, tmp_path / "c", recipe=tiny_recipe(seed=1)), quiet)
    assert losses(tmp_path / "a") != losses(tmp_path / "c")


TRAIN = """
import sys
from pathlib import Path
sys.path[:0] = {path!r}
from training_world import World, tiny_recipe, train_settings
from trapmeter.training.run import train
world = World(*(Path(p) for p in {world!r}))
settings = train_settings(world, Path({out!r}), tiny_recipe(epochs={epochs}))
train(settings, lambda text: print(text, flush=True))
"""


def script(world: World, out: Path, epochs: int) -> str:
    paths = [str(p) for p in (world.labels, world.metadata, world.videos, world.store)]
    here = [str(Path(__file__).parents[1])]
    return TRAIN.format(path=here, world=paths, out=str(out), epochs=epochs)


def test_two_processes_validate_each_held_out_sample_once(world: World, tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(script(world, tmp_path / "two", 2))
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "--standalone"]
    done = subprocess.run(
        [*command, str(tmp_path / "script.py")], capture_output=True, text=True, check=False, timeout=2400
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.count("epoch 2 of 2") == 1, "one process announces"
    rows = list(csv.DictReader((tmp_path / "two/fold-0/held_out.csv").open()))
    n = len({(row["video_id"], row["time"]) for row in rows})
    assert n == len(rows)
    mae = np.mean([abs(float(row["distance"]) - float(row["truth"])) for row in rows])
    assert mae == pytest.approx(
        min(record.held_out_mae_m for record in read_metrics(tmp_path / "two/fold-0")), abs=1e-3
    )


@pytest.mark.usefixtures("no_export")
def test_other_settings_in_the_same_folder_are_refused(world: World, tmp_path: Path) -> None:
    train(train_settings(world, tmp_path, recipe=tiny_recipe(epochs=1)), quiet)
    with pytest.raises(RunError, match=r"recipe.epochs was 1, is 2"):
        train(train_settings(world, tmp_path, recipe=tiny_recipe(epochs=2)), quiet)


def test_a_loss_that_is_not_finite_stops_the_training(world: World, tmp_path: Path) -> None:
    from trapmeter.training.recipes import CosineSchedule

    wild = tiny_recipe(schedule=CosineSchedule(lr=1e30, eta_min=0.0, t_max=3), clip_norm=1e30)
    with pytest.raises(RunError, match="the loss is"):
        train(train_settings(world, tmp_path, recipe=wild), quiet)


def test_missing_frames_are_reported_before_training(world: World, tmp_path: Path) -> None:
    labels = tmp_path / "labels.csv"
    labels.write_text(world.labels.read_text() + "unknown.mp4,0,5\nv00.mp4,99,5\n")
    with pytest.raises(InputError, match=r"lacks 2 frames, such as unknown.mp4"):
        train(train_settings(world, tmp_path / "out", labels=labels), quiet)


@pytest.mark.usefixtures("no_export")
def test_pseudolabels_of_held_out_sites_are_left_out(world: World, tmp_path: Path) -> None:
    extra = tmp_path / "extra.csv"
    rows = "".join(f"v{number:02d}.mp4,1,4.0,0.5\n" for number in range(12))
    extra.write_text("video_id,time,distance,weight\n" + rows)
    announced: list[str] = []
    train(train_settings(world, tmp_path / "out", extra=extra, recipe=tiny_recipe(epochs=1)), announced.append)
    # Three of the six sites, two videos each, are held out.
    assert any("(6 pseudolabels)" in line for line in announced)


@pytest.mark.usefixtures("no_export")
def test_sites_in_several_folds_are_reported(world: World, tmp_path: Path) -> None:
    announced: list[str] = []
    train(train_settings(world, tmp_path, folds_by=FoldsBy.VIDEO, recipe=tiny_recipe(epochs=1)), announced.append)
    assert "sites are in several folds" in announced[0]
    assert "--folds-by site avoids this" in announced[0]


@pytest.mark.parametrize("world_size", [1, 2, 3, 4])
def test_processes_share_the_batches_of_a_single_process(world_size: int) -> None:
    whole = training_batches(50, 3, 7, 4, 1, 0, 1)
    parts = [training_batches(50, 3, 7, 4, 1, rank, world_size) for rank in range(world_size)]
    assert all(len(batch) == 4 for batch in whole), "the last incomplete batch is dropped"
    assert len(whole) == 12
    for number, batch in enumerate(whole):
        shared = [item for part in parts for item in part[number]]
        assert len(shared) == len(set(shared)) == 4
        assert set(shared) == set(batch)
    held_out = [i.index for r in range(world_size) for batch in validation_batches(50, 4, r, world_size) for i in batch]
    assert sorted(held_out) == list(range(50))


@pytest.mark.parametrize("world_size", [1, 2, 3, 5, 10])
def test_each_batch_goes_to_one_process_if_their_number_divides_the_steps(world_size: int) -> None:
    whole = training_batches(95, 3, 7, 8, 5, 0, 1)
    assert len(whole) == 10, "the last incomplete step is dropped"
    if world_size == 10:
        with pytest.raises(InputError, match="at most 8"):
            training_batches(95, 3, 7, 8, 5, 0, world_size)
        return
    parts = [training_batches(95, 3, 7, 8, 5, rank, world_size) for rank in range(world_size)]
    if world_size == 5:
        assert [part[step] for step in range(2) for part in parts] == whole
    else:
        assert {len(part) for part in parts} == {10}
        for number, batch in enumerate(whole):
            assert sorted(item.index for part in parts for item in part[number]) == sorted(i.index for i in batch)
    with pytest.raises(InputError, match="too few for a step of 5 batches of 8"):
        training_batches(39, 3, 7, 8, 5, 0, 1)


def test_each_epoch_is_shuffled_differently() -> None:
    assert training_batches(50, 0, 7, 4, 1, 0, 1) != training_batches(50, 1, 7, 4, 1, 0, 1)
    with pytest.raises(InputError, match="too few for a batch"):
        training_batches(3, 0, 7, 4, 1, 0, 1)
    with pytest.raises(InputError, match="at most 4"):
        training_batches(50, 0, 7, 4, 1, 0, 5)


def test_windows_depend_on_sample_and_epoch_only(world: World) -> None:
    from trapmeter.training.augment.settings import second_place_augmentation

    samples = read_samples(world.labels, world.metadata)
    store = FrameStore.open(world.store)
    first, second = (
        WindowDataset(store, samples, tiny_recipe(augment=second_place_augmentation(), seed=5)) for _ in range(2)
    )
    assert torch.equal(first[DatasetItem(3, 1)][0], second[DatasetItem(3, 1)][0])
    assert not torch.equal(first[DatasetItem(3, 1)][0], first[DatasetItem(3, 2)][0])
    assert torch.equal(first[DatasetItem(3, None)][0], second[DatasetItem(3, None)][0])


def test_the_loader_processes_stay_from_epoch_to_epoch(world: World) -> None:
    samples = read_samples(world.labels, world.metadata)
    windows = WindowDataset(FrameStore.open(world.store), samples, tiny_recipe(augment=no_augmentation()))
    batches = [training_batches(len(samples), epoch, 0, 16, 1, 0, 1) for epoch in range(2)]
    batches += [validation_batches(5, 4, 0, 1, first=43), []]
    here, there = (WindowLoader(windows, n_workers, is_pinned=False) for n_workers in (0, 2))
    before = {process.pid for process in multiprocessing.active_children()}
    workers = []
    state = torch.get_rng_state()
    for wanted in batches:
        loaded = list(there.load(wanted))
        workers.append({process.pid for process in multiprocessing.active_children()} - before)
        for (found, _, truth), (expected, *_), items in zip(loaded, here.load(wanted), wanted, strict=True):
            assert torch.equal(found, expected)
            assert truth.sample.tolist() == [item.index for item in items]
    assert len(workers[0]) == 2
    assert workers.count(workers[0]) == 4
    assert torch.equal(torch.get_rng_state(), state), "dropout must not depend on when the loaders started"
    del there
    gc.collect()
    assert not workers[0] & {process.pid for process in multiprocessing.active_children()}


def test_an_error_in_a_loader_process_has_its_own_message(world: World, tmp_path: Path) -> None:
    samples = [replace(sample, video_id="gone.mp4") for sample in read_samples(world.labels, world.metadata)]
    windows = WindowDataset(FrameStore.open(world.store), samples, tiny_recipe(augment=no_augmentation()))
    with pytest.raises(InputError) as caught:
        list(WindowLoader(windows, 1, is_pinned=False).load(validation_batches(2, 1, 0, 1)))
    assert "Traceback" not in str(caught.value)


def test_a_fold_that_is_too_small_is_noticed_before_any_fold_trains(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from trapmeter.training import run

    monkeypatch.setattr(run, "train_one", lambda *_: pytest.fail("a fold was trained"))
    sizes = []
    for n_folds, batch_size in ((4, 36), (2, 30)):
        settings = train_settings(world, tmp_path, tiny_recipe(batch_size=batch_size), n_folds=n_folds, fold=None)
        with pytest.raises(InputError, match=r"fold \d: \d+ samples are too few .* smaller --batch-size$") as caught:
            train(settings, quiet)
        sizes.append(str(caught.value).split()[2])
    assert sizes == ["32", "24"]
    with pytest.raises(InputError, match="smaller --batch-size or --accumulate"):
        train(train_settings(world, tmp_path, tiny_recipe(accumulate=8)), quiet)


def test_the_curves_of_all_folds_are_one_picture(tmp_path: Path) -> None:
    assert draw_all_curves(tmp_path) is None
    for fold in (0, 1, 10):
        folder = tmp_path / f"fold-{fold}"
        folder.mkdir()
        rows = "".join(f"{epoch},0.001,{2 / (epoch + 1)},{3 / (epoch + 1) + fold},1\n" for epoch in range(5))
        (folder / "metrics.csv").write_text(f"epoch,learning_rate,loss,held_out_mae_m,seconds\n{rows}")
    (tmp_path / "fold-3").mkdir()
    assert draw_all_curves(tmp_path) == tmp_path / "curves.png"
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
