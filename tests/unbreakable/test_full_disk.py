"""A disk that fills up at whatever moment: a clear error, nothing half written, and the same bytes once there is room."""

import csv
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path

import pytest

from conftest import MakeClip
from terminal import inside
from training_world import World, make_world, tiny_recipe
from unbreakable.clips import Survey, contents, half_written, make_survey, numbered
from unbreakable.disks import Disk, short_files, small_tmpfs

PAGE = 4096


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    with ExitStack() as stack:
        try:
            made = stack.enter_context(small_tmpfs(tmp_path, 4))
        except pytest.skip.Exception:
            made = stack.enter_context(short_files(tmp_path))
        yield made


@pytest.fixture
def survey(tmp_path: Path, make_clip: MakeClip) -> Survey:
    return make_survey(tmp_path, make_clip("full.mp4", n=40, rate=10), numbered(6))


def until_there_is_room(
    disk: Disk, out: Path, arguments: list[object], capsys: pytest.CaptureFixture[str]
) -> list[str]:
    """Gives the command again and again with ever more room until it is done; returns the errors on the way."""
    said = []
    for step in count():
        assert step < 8
        disk.leave(PAGE * 4**step // 4)
        status = inside(*arguments)
        disk.leave(None)
        errors = capsys.readouterr().err
        assert "Traceback" not in errors
        assert half_written(disk.folder) == []
        if status == 0:
            return said
        assert status == 2
        (error,) = (line for line in errors.splitlines() if line.startswith("trapmeter: "))
        assert "can't be written" in error, error
        assert any(word in error for word in ("No space left", "File too large", "free some space")), error
        # What is there is whole.
        for path in out.rglob("*.csv"):
            assert path.read_bytes().endswith(b"\n")
        said.append(error)
    raise AssertionError


def test_predict(disk: Disk, survey: Survey, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert inside(*survey.predict(tmp_path / "roomy")) == 0
    out = disk.folder / "out"
    errors = until_there_is_room(disk, out, survey.predict(out), capsys)
    # At several moments: the journal, the table, the report.
    assert len({error.split(" can't")[0] for error in errors}) >= 2
    assert (out / "distances.csv").read_bytes() == (tmp_path / "roomy/distances.csv").read_bytes()
    assert contents(out).keys() == contents(tmp_path / "roomy").keys()


def test_frames(disk: Disk, survey: Survey, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert inside(*survey.frames(tmp_path / "roomy")) == 0
    store = disk.folder / "store"
    errors = until_there_is_room(disk, store, survey.frames(store), capsys)
    assert any(".frames can't" in error for error in errors)
    assert contents(store) == contents(tmp_path / "roomy")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return make_world(tmp_path_factory.mktemp("world"))


@pytest.fixture
def train(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[object]]:
    """Arguments that train a tiny network, all but the output folder."""
    import torch

    import trapmeter.training.export
    import trapmeter.training.recipes

    monkeypatch.setattr(trapmeter.training.export, "export", lambda *_: None)
    monkeypatch.setattr(trapmeter.training.recipes, "recipe_named", lambda _: tiny_recipe(epochs=2))
    tables = ["--labels", world.labels, "--metadata", world.metadata, "--store", world.store]
    # Two threads wait for each other longer than either works at so small a network.
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield ["train", *tables, "--n-folds", 2, "--folds", 0]
    torch.set_num_threads(n_threads)


def learned(out: Path) -> list[dict[str, str]]:
    with (out / "fold-0/metrics.csv").open(encoding="utf-8") as file:
        return [{**row, "seconds": ""} for row in csv.DictReader(file)]


def test_train(disk: Disk, train: list[object], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert inside(*train, "--out", tmp_path / "roomy") == 0
    out = disk.folder / "out"
    errors = until_there_is_room(disk, out, [*train, "--out", out], capsys)
    assert any("state.pt" in error for error in errors)
    assert any("best.safetensors" in error for error in errors)
    assert learned(out) == learned(tmp_path / "roomy")
    for name in ("best.safetensors", "last.safetensors", "held_out.csv"):
        assert (out / "fold-0" / name).read_bytes() == (tmp_path / "roomy/fold-0" / name).read_bytes(), name
