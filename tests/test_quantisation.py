"""A network in 8 bits: which nodes, which windows judge, what is refused, and that the result is a bundle like any other."""

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
    """A network with a head that looks, trained for an epoch."""
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
    """Labels that the network is off by so much at every moment."""
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


def test_the_result_is_a_bundle_that_tells_its_error(world: World, bundle: Path, tmp_path: Path) -> None:
    labels = relabelled(world, bundle, tmp_path / "labels.csv", 5.0)
    said: list[str] = []
    made = quantise(settings(world, bundle, tmp_path / "int8", labels=labels, metadata=None), said.append)
    assert said == ["calibrates on 24 windows, judges on 24 of other videos"]
    assert made.before_mae_m == pytest.approx(5.0, abs=1e-4)
    assert made.before_mae_m != made.after_mae_m == pytest.approx(5.0, rel=0.01)
    before, after = read_bundle(bundle), check_bundle(tmp_path / "int8")
    assert (after.identity.model_id, after.licence, after.spec) == ("tiny-int8", "MIT", before.spec)
    assert after.uncertainty == before.uncertainty
    assert after.provenance["quantised_from"] == before.identity.sha256
    assert after.provenance["fold"] == 0
    assert after.provenance["quantised"]["mae_after_m"] == made.after_mae_m
    kinds = {node.op_type for node in onnx.load(after.network).graph.node}
    assert {"QuantizeLinear", "DequantizeLinear"} <= kinds


def test_a_network_that_would_measure_worse_is_refused(world: World, bundle: Path, tmp_path: Path) -> None:
    # What is exactly right can only become worse.
    labels = relabelled(world, bundle, tmp_path / "labels.csv", 0.0)
    with pytest.raises(ModelError, match=r"more than 1% larger; nothing was written"):
        quantise(settings(world, bundle, tmp_path / "int8", labels=labels, metadata=None), lambda _: None)
    assert not (tmp_path / "int8").exists()


def test_openvino_runs_it_too(world: World, bundle: Path, tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    labels = relabelled(world, bundle, tmp_path / "labels.csv", 5.0)
    made = quantise(settings(world, bundle, tmp_path / "int8", labels=labels, metadata=None), lambda _: None)
    spec = made.bundle.spec
    windows = np.random.default_rng(0).integers(0, 256, (2, spec.n_channels, *spec.size_hw), np.uint8)
    wanted = open_network(made.bundle, Runtime.ONNXRUNTIME).metres(windows)
    assert open_network(made.bundle, Runtime.OPENVINO).metres(windows) == pytest.approx(wanted, abs=0.1)


def labels_of(*videos: str) -> list[Label]:
    return [Label(video, float(second), 3.0) for video in videos for second in range(2)]


@pytest.mark.parametrize(
    ("unseen", "judges"),
    [(set(), {"b", "d"}), ({"a"}, {"a"}), ({"a", "c", "elsewhere"}, {"a", "c"}), ({"elsewhere"}, {"b", "d"})],
)
def test_other_videos_judge_than_those_that_calibrate(unseen: set[str], judges: set[str]) -> None:
    calibrating, judging = split_labels(labels_of("a", "b", "c", "d"), frozenset(unseen))
    assert {label.video_id for label in judging} == judges
    assert {label.video_id for label in calibrating} == {"a", "b", "c", "d"} - judges
    assert len(calibrating) + len(judging) == 8


@pytest.mark.parametrize(("videos", "unseen"), [((), set()), (("a",), set()), (("a", "b"), {"a", "b"})])
def test_both_are_needed(videos: tuple[str, ...], unseen: set[str]) -> None:
    with pytest.raises(InputError, match="at least two videos"):
        split_labels(labels_of(*videos), frozenset(unseen))


def test_the_first_layers_and_the_head_stay_as_they_are(bundle: Path) -> None:
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


def test_no_windows_are_no_calibration(world: World, bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="at least 1, got 0"):
        settings(world, bundle, tmp_path, n_calibration=0)
