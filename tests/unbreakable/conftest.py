"""A small survey, and the arguments of a tiny training."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import MakeClip
from training_world import World, make_world, tiny_recipe
from unbreakable.clips import Survey, make_survey, numbered


@pytest.fixture
def survey(tmp_path: Path, make_clip: MakeClip) -> Survey:
    """Six clips at three sites."""
    return make_survey(tmp_path, make_clip("survey.mp4", n=40, rate=10), numbered(6))


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Labels and frames for the training."""
    return make_world(tmp_path_factory.mktemp("world"))


@pytest.fixture
def train(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[object]]:
    """Arguments that train a tiny network, without the output folder."""
    import torch

    import trapmeter.training.export
    import trapmeter.training.recipes

    # Exporting a network takes longer than training the tiny one.
    monkeypatch.setattr(trapmeter.training.export, "export_network", lambda *_: None)
    monkeypatch.setitem(trapmeter.training.recipes.RECIPES, "tiny", lambda: tiny_recipe(epochs=2))
    tables = ["--labels", world.labels, "--metadata", world.metadata, "--store", world.store]
    # With so small a network, two threads would mostly wait for each other.
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield ["train", *tables, "--recipe", "tiny", "--n-folds", 2, "--folds", 0]
    torch.set_num_threads(n_threads)
