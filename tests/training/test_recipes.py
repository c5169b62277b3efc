"""The numbers of the 2nd-place system."""

import pytest
import torch
from torch import nn

from trapmeter.errors import InputError
from trapmeter.models.spec import Resize, Target
from trapmeter.training.losses import weighted_l1
from trapmeter.training.recipes import RECIPES, Precision, recipe_named, second_place
from trapmeter.training.state import parameter_groups
from trapmeter.windows import Edge


def test_second_place_has_the_references_numbers() -> None:
    recipe = second_place()
    assert recipe.backbone == "tf_efficientnetv2_l.in21k"
    assert recipe.input.size_hw == (270, 480)
    assert recipe.input.offsets_s == (-1, -2, 0, 1, 2)
    assert recipe.input.edge is Edge.BLACK
    assert recipe.input.resize is Resize.OPENCV_LINEAR
    assert recipe.input.target is Target.METRES
    assert recipe.input.n_channels == 15
    assert (recipe.schedule.lr, recipe.schedule.eta_min, recipe.schedule.t_max) == (1e-3, 1e-5, 25)
    assert (recipe.epochs, recipe.batch_size, recipe.accumulate) == (80, 32, 1)
    assert (recipe.weight_decay, recipe.clip_norm) == (5e-6, 5.0)
    assert recipe.precision is Precision.FP16
    assert recipe.ema_decay is None


def test_only_matrices_decay() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 1))
    decayed, free = parameter_groups(network, 5e-6)
    assert decayed["weight_decay"] == 5e-6
    assert free["weight_decay"] == 0.0
    assert [tuple(p.shape) for p in decayed["params"]] == [(4, 3, 3, 3), (1, 4)]
    assert [tuple(p.shape) for p in free["params"]] == [(4,), (4,), (4,), (1,)]


def test_the_loss_is_the_mean_absolute_error_by_weight() -> None:
    raw, wanted = torch.tensor([1.0, 2.0, 3.0]), torch.tensor([2.0, 2.0, 5.0])
    assert float(weighted_l1(raw, wanted, torch.ones(3))) == pytest.approx(1.0)
    assert float(weighted_l1(raw, wanted, torch.tensor([1.0, 1.0, 0.5]))) == pytest.approx(2 / 3)


def test_recipes_have_their_names() -> None:
    for name in RECIPES:
        assert recipe_named(name).name == name
    with pytest.raises(InputError, match="second_place"):
        recipe_named("third_place")
