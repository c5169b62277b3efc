"""The recipes' numbers, what the optimiser and the loss do with them, and the recipes' names."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import nn

from trapmeter.errors import InputError
from trapmeter.models.input_spec import InputSpec, Resize, Target
from trapmeter.settings import settings_of
from trapmeter.training import losses
from trapmeter.training.augment.settings import AugmentSettings
from trapmeter.training.checkpoints import parameter_groups, with_synced_norms
from trapmeter.training.dataset import GroundTruth
from trapmeter.training.distributed import Ranks
from trapmeter.training.locating_head import AnimalLocation
from trapmeter.training.losses import batch_loss, weighted_l1
from trapmeter.training.network import DistanceNetwork, NetworkOutput, PooledNetwork, make_network
from trapmeter.training.recipes import (
    RECIPES,
    CosineSchedule,
    Head,
    Precision,
    Recipe,
    default,
    find_recipe,
    second_place,
)
from trapmeter.training.settings import DistilSettings, TrainSettings
from trapmeter.windows import Edge


def test_second_place_has_the_numbers_of_the_2nd_place_system() -> None:
    recipe = second_place()
    assert recipe.backbone == "tf_efficientnetv2_l.in21k"
    assert recipe.input.size_hw == (270, 480)
    assert recipe.input.offsets_s == (-1, -2, 0, 1, 2)
    assert recipe.input.edge is Edge.BLACK
    assert recipe.input.resize is Resize.OPENCV_LINEAR
    assert recipe.input.target is Target.METRES
    assert recipe.input.n_channels == 15
    assert (recipe.schedule.lr, recipe.schedule.eta_min, recipe.schedule.t_max) == (1e-3, 1e-5, 25)
    assert (recipe.epochs, recipe.batch_size, recipe.accumulate) == (80, 32, 5)
    assert (recipe.weight_decay, recipe.clip_norm) == (5e-6, 5.0)
    assert recipe.precision is Precision.FP16
    assert recipe.ema_decay is None


def test_weight_decay_applies_to_matrices_only() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 1))
    decayed, free = parameter_groups(network, 5e-6)
    assert decayed["weight_decay"] == 5e-6
    assert free["weight_decay"] == 0.0
    assert [tuple(p.shape) for p in decayed["params"]] == [(4, 3, 3, 3), (1, 4)]
    assert [tuple(p.shape) for p in free["params"]] == [(4,), (4,), (4,), (1,)]


def test_the_loss_is_the_weighted_mean_absolute_error() -> None:
    raw, expected = torch.tensor([1.0, 2.0, 3.0]), torch.tensor([2.0, 2.0, 5.0])
    assert float(weighted_l1(raw, expected, torch.ones(3))) == pytest.approx(1.0)
    assert float(weighted_l1(raw, expected, torch.tensor([1.0, 1.0, 0.5]))) == pytest.approx(2 / 3)


@pytest.mark.parametrize("world_size", [1, 2, 3, 5])
def test_the_mean_loss_of_a_batchs_parts_is_the_loss_of_the_batch(
    world_size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = torch.Generator().manual_seed(0)
    raw, metres, weight, box_weight = (torch.rand(5, generator=generator, dtype=torch.float64) for _ in range(4))
    corners = torch.rand(5, 2, generator=generator) / 2
    truth = GroundTruth(metres, weight, torch.cat([corners, corners + 0.3], dim=1), 3 * box_weight, torch.arange(5))
    cells, numbers = torch.rand(5, 3, 4, generator=generator), torch.rand(5, 4, generator=generator)
    recipe = replace(default(), batch_size=5)
    network = DistanceNetwork(PooledNetwork(nn.Linear(1, 1)), Target.LOG1P)
    monkeypatch.setattr(losses, "sum_tensor", lambda *_: (3 * box_weight).sum())

    def part(rank: int, of: int) -> float:
        own = slice(rank, None, of)
        output = NetworkOutput(raw[own], AnimalLocation(cells[own], numbers[own]))
        return float(batch_loss(recipe, network, output, GroundTruth(*(x[own] for x in truth)), Ranks(rank, of)))

    parts = [part(rank, world_size) for rank in range(world_size)]
    assert sum(parts) / world_size == pytest.approx(part(0, 1), rel=1e-6)


def test_synced_norms_change_neither_names_nor_predictions() -> None:
    network = make_network(
        "test_efficientnet", replace(default().input, size_hw=(32, 48)), "none", Head.LOCATING
    ).eval()
    windows = torch.randint(0, 256, (2, network_channels(network), 32, 48), dtype=torch.uint8)
    before, names = network(windows).raw, list(network.state_dict())
    shared = with_synced_norms(network)
    assert not any(type(part) is nn.BatchNorm2d for part in shared.modules())
    assert sum(isinstance(part, nn.SyncBatchNorm) for part in shared.modules()) > 10
    assert list(shared.state_dict()) == names
    assert torch.equal(shared.eval()(windows).raw, before)


def network_channels(network: nn.Module) -> int:
    return next(part.in_channels for part in network.modules() if isinstance(part, nn.Conv2d))


def test_recipes_are_found_by_name() -> None:
    for name in RECIPES:
        assert find_recipe(name).name == name
    with pytest.raises(InputError, match="second_place"):
        find_recipe("third_place")


def test_declarations_are_imported_without_heavy_packages() -> None:
    code = "import sys, trapmeter.training.settings\nprint(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True).stdout.split()
    assert not {"torch", "timm", "cv2", "scipy", "numpy", "pydantic"} & set(loaded)


@pytest.mark.parametrize("kind", [TrainSettings, DistilSettings, Recipe, CosineSchedule, AugmentSettings, InputSpec])
def test_every_setting_has_help(kind: type) -> None:
    assert [setting.name for setting in settings_of(kind) if not setting.help.strip()] == []


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: CosineSchedule(lr=0.0), "--lr: expected more than 0, got 0"),
        (lambda: CosineSchedule(lr=1e-6), "--eta-min: expected at most the learning rate"),
        (lambda: replace(default(), epochs=0), "--epochs: expected at least 1, got 0"),
        (lambda: replace(default(), seed=-1), "--seed: expected at least 0, got -1"),
        (lambda: replace(default(), ema_decay=1.0), "--ema-decay: expected more than 0 and less than 1, got 1"),
        (lambda: replace(default(), clip_norm=float("nan")), "--clip-norm: expected more than 0, got nan"),
    ],
)
def test_settings_out_of_range_are_refused(make: Callable[[], object], text: str) -> None:
    with pytest.raises(InputError, match=text):
        make()
