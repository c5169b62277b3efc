"""Exports pass on every processor, and a refused one leaves the trained network intact."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from training_world import World, train_settings
from trapmeter.errors import ModelError
from trapmeter.models.bundle import read_bundle
from trapmeter.models.input_spec import InputSpec, Target
from trapmeter.models.runtimes.onnx_runtime import OnnxNetwork
from trapmeter.training.export import export_network
from trapmeter.training.network import DistanceNetwork, PooledNetwork
from trapmeter.training.run import train
from trapmeter.training.training_log import read_metrics

INPUT = InputSpec((32, 48), (-1.0, 0.0, 1.0), target=Target.METRES)
Runtime = Callable[[Callable[[np.ndarray], np.ndarray]], None]


def ten_metres() -> DistanceNetwork:
    """A network that predicts about 10 m, with a weight for each frame and position."""
    torch.manual_seed(0)
    backbone = nn.Sequential(nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(16 * INPUT.n_channels, 1))
    nn.init.constant_(backbone[-1].bias, 10.0)
    return DistanceNetwork(PooledNetwork(backbone), INPUT.target)


@pytest.fixture
def runtime(monkeypatch: pytest.MonkeyPatch) -> Runtime:
    """Changes onnxruntime's predictions with a function."""
    real = OnnxNetwork.metres

    def replace_with(change: Callable[[np.ndarray], np.ndarray]) -> None:
        monkeypatch.setattr(OnnxNetwork, "metres", lambda self, windows: change(real(self, windows)))

    return replace_with


def test_the_rounding_of_an_old_processor_passes(runtime: Runtime, tmp_path: Path) -> None:
    runtime(lambda metres: metres + 1.5e-4 * np.array([1.0, -1.0, 1.0]))
    export_network(ten_metres(), INPUT, tmp_path / "bundle", "ten", "MIT", {})
    assert read_bundle(tmp_path / "bundle").identity.model_id == "ten"


def test_a_difference_of_one_percent_leaves_no_bundle(runtime: Runtime, tmp_path: Path) -> None:
    runtime(lambda metres: metres * 1.01)
    with pytest.raises(ModelError, match="the exported network isn't the trained one"):
        export_network(ten_metres(), INPUT, tmp_path / "bundle", "ten", "MIT", {})
    assert not (tmp_path / "bundle").exists()


def test_frames_in_another_order_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = OnnxNetwork.metres

    def reversed_frames(self: OnnxNetwork, windows: np.ndarray) -> np.ndarray:
        frames = windows.reshape(len(windows), 3, 3, *INPUT.size_hw)
        return real(self, np.ascontiguousarray(frames[:, ::-1]).reshape(windows.shape))

    monkeypatch.setattr(OnnxNetwork, "metres", reversed_frames)
    with pytest.raises(ModelError, match="the exported network isn't the trained one"):
        export_network(ten_metres(), INPUT, tmp_path / "bundle", "ten", "MIT", {})


@pytest.mark.slow
def test_a_refused_export_is_repeated_later_without_training(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = train_settings(world, tmp_path)
    fold = tmp_path / "fold-0"
    with monkeypatch.context() as patch:
        patch.setattr(OnnxNetwork, "metres", lambda _, windows: np.full(len(windows), 399.0))
        with pytest.raises(ModelError, match="fold 0 is trained, but was not exported") as refused:
            train(settings, lambda _: None)
    assert str(fold / "best.safetensors") in str(refused.value)
    assert "run the same command again" in str(refused.value)
    assert not (fold / "finished.json").exists()
    assert not (fold / "bundle").exists()
    weights, metrics = (fold / "best.safetensors").read_bytes(), read_metrics(fold)
    assert len(metrics) == 3

    announced: list[str] = []
    (bundle,) = train(settings, announced.append)
    assert not any("epoch 3 of" in line for line in announced), "it was trained again"
    assert (fold / "best.safetensors").read_bytes() == weights
    assert read_metrics(fold) == metrics
    assert read_bundle(bundle).identity.model_id == "tiny-fold0"
