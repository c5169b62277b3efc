"""The box as numbers for the last layers, shown or hidden, and distances that follow a zoom."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from training_world import World, tiny_recipe
from trapmeter.errors import InputError
from trapmeter.frames.store import FrameStore
from trapmeter.models.inputs import box_mask
from trapmeter.records import Box
from trapmeter.runtimes.onnx import OnnxNetwork
from trapmeter.training.augment import no_augmentation
from trapmeter.training.dataset import Item, WindowDataset
from trapmeter.training.export import export
from trapmeter.training.network import box_numbers, make_network
from trapmeter.training.run import TrainSettings, train
from trapmeter.training.samples import read_samples

INPUT = replace(tiny_recipe().input, box_channel=True)


def mask(box: Box | None) -> torch.Tensor:
    return torch.from_numpy(box_mask(box, 40, 80).astype(np.float32) / 255)[None]


def test_numbers_are_the_boxs() -> None:
    (numbers,) = box_numbers(mask(Box(0.25, 0.5, 0.75, 1.0, 0.9)))
    expected = [1, 0.25, 0.5, 0.75, 1.0, 0.5, 0.5, np.log(0.5), np.log(0.5)]
    assert numbers.tolist() == pytest.approx(expected, abs=1e-6)


def test_without_a_box_all_numbers_are_0() -> None:
    assert box_numbers(mask(None)).abs().sum() == 0


def test_a_network_with_a_box_head_answers_by_the_box_and_exports() -> None:
    torch.manual_seed(0)
    network = make_network("test_efficientnet", INPUT, "none", box_head=True).eval()
    windows = torch.zeros(2, INPUT.n_channels, *INPUT.size_hw, dtype=torch.uint8)
    windows[0, -1] = torch.from_numpy(box_mask(Box(0.1, 0.1, 0.9, 0.9, 1.0), *INPUT.size_hw))
    with torch.no_grad():
        near, none = network(windows)
    assert near != none
    network.start_at(5.0)
    with torch.no_grad():
        assert network.metres(network(windows)).tolist() == pytest.approx([5.0, 5.0], rel=1e-4)


def test_the_exported_network_answers_alike(tmp_path: Path) -> None:
    network = make_network("test_efficientnet", INPUT, "none", box_head=True)
    # export itself compares with torch and refuses what differs.
    bundle = export(network, INPUT, tmp_path, "boxed", "MIT", {})
    assert OnnxNetwork(bundle).metres(np.zeros((3, INPUT.n_channels, *INPUT.size_hw), np.uint8)).shape == (3,)


def dataset(world: World, *, dropout: float = 0.0, **augment: object) -> WindowDataset:
    samples = read_samples(world.labels, world.metadata)
    settings = replace(no_augmentation(), **augment)
    return WindowDataset(FrameStore.open(world.store), samples, INPUT, settings, 0, dropout)


def test_boxes_are_hidden_as_often_as_asked_and_only_in_training(world: World) -> None:
    windows = dataset(world, dropout=0.5)
    shown = [bool(windows[Item(i, epoch)][0][-1].any()) for i in range(20) for epoch in range(5)]
    assert 30 <= sum(shown) <= 70
    assert all(bool(windows[Item(i, None)][0][-1].any()) for i in range(20))


def test_a_zoom_moves_pixels_box_and_distance_together(world: World) -> None:
    plain, zoomed = dataset(world), dataset(world, p_zoom=1.0, zoom=(1.5, 1.5))
    sample = read_samples(world.labels, world.metadata)[4]
    before, near_m = plain[Item(4, 0)][:2]
    after, nearer_m = zoomed[Item(4, 0)][:2]
    assert near_m == sample.distance_m
    assert nearer_m == pytest.approx(near_m / 1.5)
    height = [int((window[-1].amax(dim=1) > 0).sum()) for window in (before, after)]
    assert height[1] == pytest.approx(1.5 * height[0], abs=2)
    # The bright square grows with its box.
    bright = [int((window[3] > 150).any(dim=1).sum()) for window in (before, after)]
    assert bright[1] == pytest.approx(1.5 * bright[0], abs=2)


def test_a_fold_trains_with_all_of_it(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import trapmeter.training.export

    monkeypatch.setattr(trapmeter.training.export, "export", lambda *_: None)
    augment = replace(no_augmentation(), p_zoom=0.5)
    recipe = tiny_recipe(input=INPUT, box_head=True, box_dropout=0.2, augment=augment, epochs=1, start_at_median=True)
    said: list[str] = []
    train(TrainSettings(world.labels, world.metadata, world.store, tmp_path, recipe, n_folds=2, fold=0), said.append)
    assert any("epoch 1 of 1" in line for line in said)


def test_box_settings_need_a_box_channel() -> None:
    for changes in ({"box_dropout": 0.1}, {"box_head": True}):
        with pytest.raises(InputError, match="box channel"):
            tiny_recipe(**changes)
    with pytest.raises(InputError, match="between 0 and 1"):
        tiny_recipe(input=INPUT, box_dropout=1.5)
