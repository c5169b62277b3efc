"""Quantisation: which nodes become integers, which windows judge, what is refused, and that the result is a bundle."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from training_world import World, make_world, tiny_recipe
from trapmeter.errors import InputError, ModelError
from trapmeter.frames.store import FrameStore
from trapmeter.models.bundle import read_bundle
from trapmeter.models.network_input import network_input
from trapmeter.models.runtimes.choice import Runtime
from trapmeter.models.runtimes.network import open_network
from trapmeter.models.runtimes.onnx_runtime import check_bundle
from trapmeter.quantisation import QuantiseSettings, quantisable_nodes, quantise, split_labels
from trapmeter.tables.drivendata import Label
from trapmeter.uncertainty import fit_uncertainty

pytestmark = pytest.mark.slow

pytest.importorskip("torch")

POINTS = np.linspace(0.5, 3.0, 200)
UNCERTAINTY = fit_uncertainty(POINTS, np.expm1(POINTS + 0.1 * np.sin(np.arange(200))), ["s"] * 200)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return make_world(tmp_path_factory.mktemp("quantise"))


@pytest.fixture(scope="module")
def bundle(world: World) -> Path:
    """An untrained network with a locating head."""
    import torch

    from trapmeter.training.export import export_network
    from trapmeter.training.network import make_network
    from trapmeter.training.recipes import Head

    recipe = tiny_recipe()
    torch.manual_seed(0)
    network = make_network(recipe.backbone, recipe.input, "none", Head.LOCATING)
    torch.nn.init.constant_(network.body.output_layer.bias, 1.5)
    folder = world.labels.parent / "fold-0" / "bundle"
    export_network(network, recipe.input, folder, "tiny", "MIT", {"fold": 0}, UNCERTAINTY)
    return folder


def settings(world: World, bundle: Path, out: Path, **changes: object) -> QuantiseSettings:
    return replace(QuantiseSettings(bundle, world.store, world.labels, out, world.metadata), **changes)


def relabelled(world: World, bundle: Path, path: Path, off_m: float) -> Path:
    """Labels from which the network differs by off_m in every second."""
    network, store = open_network(read_bundle(bundle), Runtime.ONNXRUNTIME), FrameStore.open(world.store)
    spec = network.bundle.spec
    with world.labels.open() as file, path.open("w", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(("video_id", "time", "distance"))
        for row in csv.DictReader(file):
            frames = store.window(row["video_id"], float(row["time"]), spec.offsets_s, spec.edge)
            (metres,) = network.metres(network_input(frames, None, spec)[None])
            writer.writerow((row["video_id"], row["time"], metres + off_m))
    return path


def test_the_result_is_a_bundle_with_its_error(world: World, bundle: Path, tmp_path: Path) -> None:
    labels = relabelled(world, bundle, tmp_path / "labels.csv", 5.0)
    lines: list[str] = []
    result = quantise(settings(world, bundle, tmp_path / "int8", labels=labels, metadata=None), lines.append)
    assert lines == ["calibrates on 24 windows, compares errors on 24 of other videos"]
    assert result.before_mae_m == pytest.approx(5.0, abs=1e-4)
    assert result.before_mae_m != result.after_mae_m == pytest.approx(5.0, rel=0.01)
    before, after = read_bundle(bundle), check_bundle(tmp_path / "int8")
    assert (after.identity.model_id, after.licence, after.spec) == ("tiny-int8", "MIT", before.spec)
    assert after.uncertainty == before.uncertainty
    assert after.provenance["quantised_from"] == before.identity.sha256
    assert after.provenance["fold"] == 0
    assert after.provenance["quantised"]["mae_after_m"] == result.after_mae_m
    kinds = {node.op_type for node in onnx.load(after.network).graph.node}
    assert {"QuantizeLinear", "DequantizeLinear"} <= kinds


def test_a_network_whose_error_would_grow_is_refused(world: World, bundle: Path, tmp_path: Path) -> None:
    # A network without any error can only become worse.
    labels = relabelled(world, bundle, tmp_path / "labels.csv", 0.0)
    with pytest.raises(ModelError, match=r"more than 1% larger; nothing was written"):
        quantise(settings(world, bundle, tmp_path / "int8", labels=labels, metadata=None), lambda _: None)
    assert not (tmp_path / "int8").exists()


def test_openvino_runs_a_quantised_network(world: World, bundle: Path, tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    labels = relabelled(world, bundle, tmp_path / "labels.csv", 5.0)
    result = quantise(settings(world, bundle, tmp_path / "int8", labels=labels, metadata=None), lambda _: None)
    spec = result.bundle.spec
    windows = np.random.default_rng(0).integers(0, 256, (2, spec.n_channels, *spec.size_hw), np.uint8)
    expected = open_network(result.bundle, Runtime.ONNXRUNTIME).metres(windows)
    assert open_network(result.bundle, Runtime.OPENVINO).metres(windows) == pytest.approx(expected, abs=0.1)


def labels_of(*videos: str) -> list[Label]:
    return [Label(video, float(second), 3.0) for video in videos for second in range(2)]


@pytest.mark.parametrize(
    ("held_out", "judges"),
    [(set(), {"b", "d"}), ({"a"}, {"a"}), ({"a", "c", "elsewhere"}, {"a", "c"}), ({"elsewhere"}, {"b", "d"})],
)
def test_videos_judge_that_were_not_used_for_calibration(held_out: set[str], judges: set[str]) -> None:
    for_calibration, for_judging = split_labels(labels_of("a", "b", "c", "d"), frozenset(held_out))
    assert {label.video_id for label in for_judging} == judges
    assert {label.video_id for label in for_calibration} == {"a", "b", "c", "d"} - judges
    assert len(for_calibration) + len(for_judging) == 8


@pytest.mark.parametrize(("videos", "held_out"), [((), set()), (("a",), set()), (("a", "b"), {"a", "b"})])
def test_calibration_and_judging_both_need_videos(videos: tuple[str, ...], held_out: set[str]) -> None:
    with pytest.raises(InputError, match="at least two videos"):
        split_labels(labels_of(*videos), frozenset(held_out))


def test_the_first_layers_and_the_head_stay_in_floats(bundle: Path) -> None:
    graph = onnx.load(read_bundle(bundle).network).graph
    chosen = set(quantisable_nodes(graph))
    convolutions = [node for node in graph.node if node.op_type == "Conv"]
    assert {node.input[1].split(".")[2] for node in convolutions if node.name in chosen} == {"backbone"}
    left = [node.input[1].split(".")[2] for node in convolutions if node.name not in chosen]
    assert left[:3] == ["backbone"] * 3
    assert set(left[3:]) == {"head"}
    assert {node.op_type for node in graph.node if node.name in chosen} <= {"Conv", "Clip", "Relu", "Add"}


def test_a_network_without_convolutions_is_refused(world: World, tmp_path: Path) -> None:
    from models.test_bundle_security import mean_network, replace_network
    from training_world import make_bundles

    (folder,) = make_bundles(tmp_path, 1)
    network = mean_network(shape=("n", 9, 32, 48))
    replace_network(folder, network.SerializeToString())
    with pytest.raises(ModelError, match="no convolutions"):
        quantise(settings(world, folder, tmp_path / "int8"), lambda _: None)


def test_calibration_needs_a_window(world: World, bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="at least 1, got 0"):
        settings(world, bundle, tmp_path, n_calibration=0)
