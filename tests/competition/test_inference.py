"""An ensemble over a frame store: the mean over networks and flips, submission, pseudolabels, going on after a break."""

import csv
from pathlib import Path

import numpy as np
import pytest

from training_world import World, make_bundles, make_world
from trapmeter.competition.inference import EnsemblePrediction, predict_seconds, write_pseudolabels, write_submission
from trapmeter.errors import InputError, ModelError, RunError
from trapmeter.frames.store import FrameStore
from trapmeter.models.bundle import read_bundle
from trapmeter.models.network_input import mirror_input, network_input
from trapmeter.models.runtimes.network import Ensemble
from trapmeter.models.runtimes.onnx_runtime import OnnxNetwork
from trapmeter.training.settings import PseudolabelSettings

pytestmark = pytest.mark.slow

torch = pytest.importorskip("torch")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return make_world(tmp_path_factory.mktemp("stored"))


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two untrained networks."""
    return make_bundles(tmp_path_factory.mktemp("bundles"))


def answers(
    world: World, bundles: list[Path], journal: Path, *, flip: bool = True
) -> dict[tuple[str, float], EnsemblePrediction]:
    ensemble = Ensemble.load(bundles, flip=flip)
    moments = [("v00.mp4", 0.0), ("v00.mp4", 3.0), ("v01.mp4", 1.0), ("gone.mp4", 0.0), ("v01.mp4", 99.0)]
    return predict_seconds(ensemble, FrameStore.open(world.store), moments, {}, journal, flip=flip)


def test_the_answer_is_the_plain_mean_over_networks_and_flips(
    world: World, bundles: list[Path], tmp_path: Path
) -> None:
    found = answers(world, bundles, tmp_path / "answers.jsonl")
    assert set(found) == {("v00.mp4", 0.0), ("v00.mp4", 3.0), ("v01.mp4", 1.0)}
    spec = read_bundle(bundles[0]).spec
    window = network_input(FrameStore.open(world.store).window("v01.mp4", 1.0, spec.offsets_s, spec.edge), None, spec)
    each = [
        float(OnnxNetwork(read_bundle(folder)).metres(view[None])[0])
        for folder in bundles
        for view in (window, mirror_input(window))
    ]
    assert found["v01.mp4", 1.0].distance_m == pytest.approx(np.mean(each), abs=1e-5)
    assert found["v01.mp4", 1.0].spread_m == pytest.approx(np.std(each), abs=1e-5)


def test_broken_off_it_goes_on_and_another_ensemble_is_refused(
    world: World, bundles: list[Path], tmp_path: Path
) -> None:
    journal = tmp_path / "answers.jsonl"
    whole = answers(world, bundles, journal)
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(lines[:2]) + lines[2][:9])
    assert answers(world, bundles, journal) == whole
    with pytest.raises(RunError, match="flip was True, is False"):
        answers(world, bundles, journal, flip=False)
    with pytest.raises(RunError, match="networks was"):
        answers(world, bundles[:1], journal)


def test_a_damaged_or_foreign_bundle_is_refused(bundles: list[Path], tmp_path: Path) -> None:
    for name in ("bundle.json", "model.onnx"):
        (tmp_path / name).write_bytes((bundles[0] / name).read_bytes())
    data = bytearray((tmp_path / "model.onnx").read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / "model.onnx").write_bytes(data)
    with pytest.raises(ModelError, match="expected sha256"):
        read_bundle(tmp_path)
    (tmp_path / "bundle.json").write_text("{}")
    with pytest.raises(ModelError, match="not a card"):
        read_bundle(tmp_path)
    with pytest.raises(ModelError, match="no bundle there"):
        read_bundle(tmp_path / "nowhere")


def read(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def test_a_submission_keeps_the_order_and_leaves_no_row_out(tmp_path: Path) -> None:
    known = {
        ("b.mp4", 1.0): EnsemblePrediction(3.26, 0.1),
        ("a.mp4", 0.0): EnsemblePrediction(4.24, 0.1),
        ("c.mp4", 0.0): EnsemblePrediction(9.0, 0.1),
    }
    order = [("b.mp4", 1.0), ("gone.mp4", 5.0), ("a.mp4", 0.0), ("c.mp4", 0.0)]
    assert write_submission(tmp_path / "s.csv", order, known) == 1
    rows = read(tmp_path / "s.csv")
    assert [(row["video_id"], row["time"]) for row in rows] == [(v, f"{t:g}") for v, t in order]
    assert [float(row["distance"]) for row in rows] == [3.26, 4.24, 4.24, 9.0]
    write_submission(tmp_path / "r.csv", order, known, round_to_m=0.5)
    assert [row["distance"] for row in read(tmp_path / "r.csv")] == ["3.5", "4", "4", "9"]
    with pytest.raises(InputError, match="no moment could be answered"):
        write_submission(tmp_path / "e.csv", order, {})


def test_pseudolabels_count_by_agreement(tmp_path: Path) -> None:
    known = {
        ("a.mp4", 0.0): EnsemblePrediction(5.0, 0.0),
        ("a.mp4", 1.0): EnsemblePrediction(5.0, 0.75),
        ("a.mp4", 2.0): EnsemblePrediction(5.0, 2.0),
    }
    assert write_pseudolabels(tmp_path / "p.csv", known, PseudolabelSettings(0.3)) == (2, 1)
    assert [float(row["weight"]) for row in read(tmp_path / "p.csv")] == [1.0, pytest.approx(0.55)]
    # The 2nd place took all, as if they were labels.
    assert write_pseudolabels(tmp_path / "all.csv", known, PseudolabelSettings(None)) == (3, 0)
    assert {row["weight"] for row in read(tmp_path / "all.csv")} == {"1.0000"}
