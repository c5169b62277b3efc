"""Which earlier trainings a folder may resume."""

import json
from pathlib import Path

import pytest
import torch

from training_world import tiny_recipe
from trapmeter.errors import RunError
from trapmeter.training.augment.settings import AugmentSettings
from trapmeter.training.checkpoints import check_settings, start_training
from trapmeter.training.distributed import ALONE
from trapmeter.training.network import make_network


def rewrite_recipe(folder: Path, **removed: str) -> None:
    """Removes fields from the recipe in training.json, as if an older version had written it."""
    path = folder / "training.json"
    content = json.loads(path.read_text())
    for part, name in removed.items():
        del (content["recipe"] if part == "recipe" else content["recipe"][part])[name]
    path.write_text(json.dumps(content))


def test_fields_that_an_older_version_lacked_count_as_their_defaults(tmp_path: Path) -> None:
    settings = {"recipe": tiny_recipe().to_json(), "fold": 0}
    check_settings(tmp_path, settings)
    rewrite_recipe(tmp_path, recipe="start_at_median", augment="p_grey", input="box_channel")
    check_settings(tmp_path, settings)
    changed = {**settings, "recipe": tiny_recipe(start_at_median=True).to_json()}
    with pytest.raises(RunError, match=r"recipe\.start_at_median was False, is True"):
        check_settings(tmp_path, changed)


def test_another_value_of_a_field_is_refused(tmp_path: Path) -> None:
    check_settings(tmp_path, {"recipe": tiny_recipe().to_json(), "fold": 0})
    with pytest.raises(RunError, match="fold was 0, is 1"):
        check_settings(tmp_path, {"recipe": tiny_recipe().to_json(), "fold": 1})


def test_a_field_that_is_no_setting_any_more_is_refused(tmp_path: Path) -> None:
    settings = {"recipe": tiny_recipe().to_json()}
    check_settings(tmp_path, {"recipe": {**settings["recipe"], "older": 1}})
    with pytest.raises(RunError, match=r"recipe\.older was 1, is None"):
        check_settings(tmp_path, settings)


def test_the_strength_of_a_change_that_never_happens_may_differ(tmp_path: Path) -> None:
    augment = AugmentSettings(p_flare=0.0, flare_discs=(6, 9))
    check_settings(tmp_path, {"recipe": tiny_recipe(augment=augment).to_json()})
    check_settings(tmp_path, {"recipe": tiny_recipe(augment=AugmentSettings(p_flare=0.0)).to_json()})
    with pytest.raises(RunError, match=r"recipe\.augment\.p_flare was 0\.0, is 0\.2"):
        check_settings(tmp_path, {"recipe": tiny_recipe().to_json()})


def test_a_training_with_the_discs_of_an_earlier_version_is_refused_with_the_reason(tmp_path: Path) -> None:
    check_settings(tmp_path, {"recipe": tiny_recipe(augment=AugmentSettings(flare_discs=(6, 9))).to_json()})
    with pytest.raises(RunError, match=r"flare_discs was \[6, 9\], is \[6, 10\]"):
        check_settings(tmp_path, {"recipe": tiny_recipe().to_json()})


def test_a_training_keeps_channels_last_also_in_its_running_mean() -> None:
    recipe = tiny_recipe(ema_decay=0.9)
    training = start_training(recipe, lambda: make_network(recipe.backbone, recipe.input, recipe.weights), ALONE)
    for network in (training.network, training.evaluated_network):
        kernels = [weights for weights in network.parameters() if weights.ndim == 4]
        assert kernels
        assert all(weights.is_contiguous(memory_format=torch.channels_last) for weights in kernels)
