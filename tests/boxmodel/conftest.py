from __future__ import annotations

from pathlib import Path

import pytest

from boxmodel.pinhole_world import QUICK, make_samples
from trapmeter.boxmodel.training_data import LabelledObservation


@pytest.fixture(scope="session")
def world() -> list[LabelledObservation]:
    return make_samples()


@pytest.fixture(scope="session")
def bundle(world: list[LabelledObservation], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small bundle trained on the pinhole world. Copy it before you change it."""
    pytest.importorskip("lightgbm", reason="training needs the extra 'boxmodel'")
    pytest.importorskip("onnx", reason="training needs the extra 'boxmodel'")
    from trapmeter.boxmodel.training import train_box_model

    folder = tmp_path_factory.mktemp("boxmodel") / "bundle"
    train_box_model(world, folder, QUICK, lambda _: None)
    return folder
