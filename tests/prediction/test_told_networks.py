"""Networks that take facts, from the user's options to the rows of distances.csv, in every runtime."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from conftest import MakeClip
from fakes import HEIGHT
from prediction_world import medium_task
from training_world import World, make_world, tiny_recipe
from trapmeter.calibration.animal_facts import AnimalFacts
from trapmeter.calibration.field_facts import FieldFacts
from trapmeter.errors import ModelError
from trapmeter.facts import NO_FACTS, Facts
from trapmeter.media.reader import MediumFacts
from trapmeter.models.bundle import read_bundle, write_bundle
from trapmeter.models.fact_inputs import FACT_INPUTS
from trapmeter.models.input_spec import FrameEncoding, InputSpec
from trapmeter.models.runtimes.agreement import example_facts, example_windows
from trapmeter.models.runtimes.choice import Runtime
from trapmeter.models.runtimes.network import Ensemble, open_network
from trapmeter.models.runtimes.onnx_runtime import OnnxNetwork, check_bundle
from trapmeter.prediction.camera_correction import (
    TOLD_ALL,
    CameraCorrection,
    CameraInputs,
    ToldFacts,
    told_by_networks,
)
from trapmeter.prediction.estimators import DetectedAnimal, NetworkEstimator
from trapmeter.prediction.medium_pipeline import WorkerModels, process_medium
from trapmeter.prediction.network_facts import facts_of_medium, stated_facts
from trapmeter.prediction.run import run_prediction
from trapmeter.prediction.settings import PredictSettings
from trapmeter.records import Box, Distance, Observation
from trapmeter.tables.boxes import MediumBoxes
from trapmeter.tables.cameras import CameraSetup
from trapmeter.tables.species import ShoulderHeight, shoulder_height_of
from trapmeter.tables.species_names import Identification
from trapmeter.uncertainty import Uncertainty, fit_uncertainty

BOX = Box(0.4, 0.3, 0.6, 0.5, 0.9)
NAMES = (
    "log_tan_half_vfov",
    "log_tan_half_hfov",
    "log_shoulder_m",
    "log_camera_height_m",
    "tan_pitch",
    "log_box_height",
)
SPEC = InputSpec(
    size_hw=(32, 48), offsets_s=(-1.0, 0.0, 1.0), frames=FrameEncoding.MOTION, box_channel=True, facts=NAMES
)


def settings(**changes: object) -> PredictSettings:
    return PredictSettings((Path("card"),), out=Path("out"), **changes)  # type: ignore[arg-type]


def inputs(**changes: object) -> CameraInputs:
    return replace(CameraInputs({"a": "S1", "b": "S2"}, {}), **changes)


def test_stated_facts_come_from_the_table_then_from_options_and_the_package() -> None:
    known = inputs(
        cameras={"S1": CameraSetup(30.0, 1.5, -5.0, 1.6)},
        mountings={"a": CameraSetup(None, 3.0, -9.0), "b": CameraSetup(None, 2.0, -7.0)},
        animals=AnimalFacts(by_medium={"b": Identification("Meles meles")}),
    )
    assert stated_facts("a", known, settings(hfov_deg=50.0)) == Facts(30.0, 1.6, None, 1.5, -5.0)
    assert stated_facts("b", known, settings(hfov_deg=50.0)) == Facts(
        50.0, None, shoulder_height_of("badger").height_m, 2.0, -7.0
    )
    assert stated_facts("c", inputs(), settings()) == NO_FACTS


def test_the_file_fills_in_the_lens_only_if_requested() -> None:
    photo = MediumFacts("png", 400, 300, None, None, 0.0, hfov_deg=60.0)
    assert facts_of_medium(NO_FACTS, photo, exif=False) == Facts(aspect_ratio=4 / 3)
    assert facts_of_medium(NO_FACTS, photo, exif=True) == Facts(60.0, 4 / 3)
    assert facts_of_medium(Facts(40.0, 1.5), photo, exif=True) == Facts(40.0, 1.5)
    by_model = replace(photo, hfov_deg=None, camera_make="RECONYX", camera_model="HYPERFIRE 2 COVERT")
    assert facts_of_medium(NO_FACTS, by_model, exif=True).hfov_deg == 38.2
    # A frame store doesn't know the pictures' format.
    assert facts_of_medium(Facts(40.0), None, exif=True) == Facts(40.0, 16 / 9)


class RecordingNetworks:
    """Networks that keep the facts that they are told."""

    def __init__(self, spec: InputSpec) -> None:
        self.spec = spec
        self.told: list[list[float]] = []

    def predict_members(
        self, windows: NDArray[np.uint8], facts: NDArray[np.float32] | None = None
    ) -> NDArray[np.float64]:
        assert facts is not None
        self.told += facts.tolist()
        return np.ones((1, len(windows)))


def test_each_animal_is_told_with_its_own_box(make_clip: MakeClip) -> None:
    clip = make_clip("told.mp4", n=20, rate=10)
    boxes = MediumBoxes(clip.name, ((0.0, (BOX, Box(0.1, 0.1, 0.3, 0.9, 0.8))), (1.0, (BOX,))))
    networks = RecordingNetworks(SPEC)
    task = medium_task(clip, boxes=boxes, facts=Facts(40.0, shoulder_m=0.5))
    result = process_medium(task, WorkerModels(networks=networks))
    heights = [round(float(np.exp(row[-1])), 3) for row in networks.told]
    assert heights == [0.2, 0.8, 0.2]
    assert {round(float(np.exp(row[2])), 3) for row in networks.told} == {0.5}
    assert np.isnan([row[3] for row in networks.told]).all()
    assert result.told == task.told
    assert "0.5" in task.told


class Fixed:
    """Estimates what the networks predict."""

    identity = HEIGHT

    def estimate(self, animals: Sequence[DetectedAnimal]) -> list[Distance]:
        metres = [animal.network_distances_m[0] for animal in animals]
        return [Distance(m, 0.7 * m, 1.4 * m, tuple(m * (0.7 + 0.07 * i) for i in range(10))) for m in metres]


@pytest.mark.parametrize(
    ("told", "changes"),
    [
        (ToldFacts(), True),
        (ToldFacts(network_lens=True), True),
        (ToldFacts(network_lens=True, shoulder=True), True),
        (ToldFacts(network_lens=True, mounting=True), True),
        (ToldFacts(network_lens=True, mounting=True, shoulder=True), False),
    ],
)
def test_distances_are_not_corrected_for_what_networks_were_told(told: ToldFacts, *, changes: bool) -> None:
    facts = FieldFacts({"a": CameraSetup(20.0, 1.5, -5.0)}, AnimalFacts(shoulder=ShoulderHeight(0.3)))
    animal = DetectedAnimal(Observation("a", 0.0, BOX, 1, "S1"), (5.0,))
    (distance,) = CameraCorrection(Fixed(), facts, told).estimate([animal])
    assert (distance.distance_m != pytest.approx(5.0)) == changes


def test_what_networks_and_blends_were_told() -> None:
    assert told_by_networks((), is_blended=False) == ToldFacts()
    assert told_by_networks(NAMES, is_blended=False) == TOLD_ALL
    assert told_by_networks(("log_shoulder_m",), is_blended=False) == ToldFacts(shoulder=True)
    # Both models of a blend know the size, or none.
    assert told_by_networks(NAMES, is_blended=True) == TOLD_ALL
    assert told_by_networks(("log_shoulder_m",), is_blended=True) == ToldFacts()
    assert told_by_networks(("log_tan_half_hfov",), is_blended=True) == ToldFacts(network_lens=True)


def uncertainty(spread: float) -> Uncertainty:
    points = np.linspace(0.5, 3.0, 200)
    return fit_uncertainty(points, np.expm1(points + spread * np.sin(np.arange(200))), ["s"] * 200)


def width(distance: Distance) -> float:
    return distance.high_m - distance.low_m


def test_animals_of_told_size_have_intervals_of_their_own(tmp_path: Path) -> None:
    told = write_bundle(tmp_path / "a", b"x", "a", SPEC, "MIT", {}, uncertainty(0.3), uncertainty(0.1))
    plain = write_bundle(tmp_path / "b", b"x", "b", SPEC, "MIT", {}, uncertainty(0.3))
    row = Observation("a", 0.0, BOX, 1, "S1")
    animals = [DetectedAnimal(row, (5.0,)), DetectedAnimal(row, (5.0,), Facts(hfov_deg=40, shoulder_m=0.5))]
    without, known = NetworkEstimator([told], flip=False).estimate(animals)
    assert width(known) < 0.6 * width(without)
    same, alike = NetworkEstimator([plain], flip=False).estimate(animals)
    assert same == alike == without
    card = json.loads((tmp_path / "b/bundle.json").read_text())
    assert "uncertainty_told" not in card


@pytest.mark.parametrize(
    ("facts", "is_told"),
    [
        (FieldFacts({"a": CameraSetup(40.0)}, AnimalFacts(shoulder=ShoulderHeight(0.5))), True),
        (FieldFacts({"a": CameraSetup(40.0)}), False),
        (FieldFacts({}, AnimalFacts(shoulder=ShoulderHeight(0.5))), False),
    ],
)
def test_a_size_is_told_by_lens_and_shoulder_height(facts: FieldFacts, *, is_told: bool) -> None:
    received: list[DetectedAnimal] = []

    class Recorder(Fixed):
        def estimate(self, animals: Sequence[DetectedAnimal]) -> list[Distance]:
            received.extend(animals)
            return super().estimate(animals)

    animal = DetectedAnimal(Observation("a", 0.0, BOX, 1, "S1"), (5.0,))
    CameraCorrection(Recorder(), facts, told_by_networks(NAMES, is_blended=False)).estimate([animal])
    CameraCorrection(Recorder(), facts, ToldFacts()).estimate([animal])
    assert [animal.is_size_known for animal in received] == [is_told, False]


# With an exported network.


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    pytest.importorskip("torch")
    return make_world(tmp_path_factory.mktemp("told"))


@pytest.fixture(scope="module")
def bundle(world: World) -> Path:
    """An untrained network that takes facts."""
    import torch

    from trapmeter.training.export import export_network
    from trapmeter.training.fact_features import FactFeatures
    from trapmeter.training.network import make_network
    from trapmeter.training.recipes import Head

    torch.manual_seed(0)
    network = make_network(tiny_recipe().backbone, SPEC, "none", Head.LOCATING)
    torch.nn.init.constant_(network.body.output_layer.bias, 2.0)
    with torch.no_grad():
        # Facts count more than in an untrained network.
        network.body.head.hidden.weight[:, -FactFeatures.N_EMBEDDED :] *= 30
    # The export compares torch and onnxruntime, with all facts, none and some.
    export_network(network, SPEC, world.labels.parent / "bundle", "told", "MIT", {})
    return world.labels.parent / "bundle"


@pytest.mark.slow
@pytest.mark.parametrize("runtime", [Runtime.TORCH, Runtime.OPENVINO])
def test_runtimes_agree_on_facts(bundle: Path, runtime: Runtime) -> None:
    if runtime is Runtime.OPENVINO:
        pytest.importorskip("openvino")
    read = check_bundle(bundle)
    windows, facts = example_windows(SPEC), example_facts(SPEC)
    expected = OnnxNetwork(read).metres(windows, facts)
    found = open_network(read, runtime)
    assert found.metres(windows, facts) == pytest.approx(expected, rel=0.02)
    assert len(set(found.metres(windows[[0, 0, 0]], facts).tolist())) == 3
    # Unknown facts are the same as none.
    unknown = np.full_like(facts, np.nan)
    assert found.metres(windows, unknown).tolist() == found.metres(windows).tolist()


@pytest.mark.slow
def test_an_ensemble_passes_facts_to_both_views(bundle: Path) -> None:
    ensemble = Ensemble.load([bundle], flip=True)
    windows, facts = example_windows(SPEC), example_facts(SPEC)
    told, untold = ensemble.predict_members(windows, facts), ensemble.predict_members(windows)
    assert told.shape == (2, 3)
    assert ((told != untold)[:, [0, 2]]).all()
    assert (told[:, 1] == untold[:, 1]).all()
    with pytest.raises(ValueError, match="expected facts float32"):
        ensemble.predict_members(windows, facts[:, :2])


@pytest.mark.slow
def test_a_network_must_take_the_facts_that_its_card_names(bundle: Path, tmp_path: Path) -> None:
    network = (bundle / "model.onnx").read_bytes()
    for wrong in ((), NAMES[:-1]):
        card = write_bundle(tmp_path / str(len(wrong)), network, "wrong", replace(SPEC, facts=wrong), "MIT", {})
        with pytest.raises(ModelError, match="expected the input"):
            OnnxNetwork(read_bundle(card.folder))


def distances(out: Path) -> list[tuple[str, str]]:
    with (out / "distances.csv").open() as file:
        return [(row["distance_m"], row["model_id"]) for row in csv.DictReader(file)]


def predict(world: World, bundle: Path, out: Path, **changes: object) -> list[tuple[str, str]]:
    given = {"paths": (world.videos,), "boxes": world.metadata, "times": world.labels, "models": (bundle,), "jobs": 1}
    run_prediction(PredictSettings(**{**given, "out": out, "runtime": Runtime.ONNXRUNTIME, **changes}))
    return distances(out)


@pytest.mark.slow
def test_predict_tells_the_network_what_the_user_states(world: World, bundle: Path, tmp_path: Path) -> None:
    untold = predict(world, bundle, tmp_path / "untold")
    lens = predict(world, bundle, tmp_path / "lens", hfov_deg=30.0)
    both = predict(world, bundle, tmp_path / "both", hfov_deg=30.0, shoulder_m=0.3)
    assert len({rows[0][0] for rows in (untold, lens, both)}) == 3
    assert both[0][1] == "told; with lens 30 deg, shoulder 0.30 m"
    # The distance is what the network predicts from this input, and nothing else.
    from trapmeter.frames.windows import decoded_windows
    from trapmeter.models.network_input import fact_inputs, network_input
    from trapmeter.records import Medium, MediumKind
    from trapmeter.tables.drivendata import read_metadata

    first = read_metadata(world.metadata)[0]
    (window,) = decoded_windows(Medium("v", world.videos / first.video_id, MediumKind.VIDEO), [first.time_s], SPEC)
    told = fact_inputs([first.box], SPEC, [Facts(30.0, 96 / 64, 0.3)])
    (metres,) = OnnxNetwork(read_bundle(bundle)).metres(network_input(window, first.box, SPEC)[None], told)
    assert float(both[0][0]) == pytest.approx(metres, abs=0.01)


@pytest.mark.slow
def test_a_run_with_other_facts_runs_the_network_again(world: World, bundle: Path, tmp_path: Path) -> None:
    fresh = predict(world, bundle, tmp_path / "fresh", hfov_deg=30.0)
    predict(world, bundle, tmp_path / "resumed")
    assert predict(world, bundle, tmp_path / "resumed", hfov_deg=30.0) == fresh
    assert (tmp_path / "resumed/distances.csv").read_bytes() == (tmp_path / "fresh/distances.csv").read_bytes()


@pytest.mark.slow
def test_predict_takes_facts_from_the_command_line(world: World, bundle: Path, tmp_path: Path) -> None:
    from trapmeter.cli import main

    cameras = tmp_path / "cameras.csv"
    cameras.write_text("site_id,hfov_deg,height_m,pitch_deg\nsite,30,1.2,-4\n")
    sites = tmp_path / "sites.csv"
    sites.write_text("media_id,site_id\n" + "".join(f"v{i:02d}.mp4,site\n" for i in range(12)))
    command = ["predict", str(world.videos), "--boxes", str(world.metadata), "--times", str(world.labels), "-j", "1"]
    command += ["--model", str(bundle), "--runtime", "onnxruntime", "--out", str(tmp_path / "out")]
    command += ["--site", str(sites), "--cameras", str(cameras), "--species", "red fox"]
    with pytest.raises(SystemExit) as ended:
        main(command)
    assert not ended.value.code
    by_table = distances(tmp_path / "out")
    assert by_table[0][1].startswith("told; with lens 30 deg, height and pitch, shoulder 0.4")
    assert by_table[0][0] != predict(world, bundle, tmp_path / "untold")[0][0]


@pytest.mark.slow
def test_a_network_that_takes_facts_is_quantised(world: World, bundle: Path, tmp_path: Path) -> None:
    from trapmeter.quantisation import QuantiseSettings, quantise

    far = tmp_path / "labels.csv"
    far.write_text("video_id,time,distance\n" + "".join(f"v{i:02d}.mp4,{t},60\n" for i in range(12) for t in range(4)))
    quantise(QuantiseSettings(bundle, world.store, far, tmp_path / "int8", world.metadata), lambda _: None)
    small, windows, facts = check_bundle(tmp_path / "int8"), example_windows(SPEC), example_facts(SPEC)
    expected = OnnxNetwork(read_bundle(bundle)).metres(windows, facts)
    assert OnnxNetwork(small).metres(windows, facts) == pytest.approx(expected, rel=0.1)
    assert small.spec == SPEC


@pytest.mark.slow
def test_a_teacher_is_told_what_the_samples_know(world: World, bundle: Path, tmp_path: Path) -> None:
    from trapmeter.competition.inference import predict_by_member
    from trapmeter.frames.store import FrameStore
    from trapmeter.training.samples import read_samples

    samples = read_samples(world.labels, world.metadata)[:3]
    ensemble, store = Ensemble.load([bundle], flip=False), FrameStore.open(world.store)
    seconds, boxes = [sample.second for sample in samples], {sample.second: sample.box for sample in samples}
    known = {second: Facts(30.0, 1.5, 0.3) for second in seconds}
    told = predict_by_member(ensemble, store, seconds, boxes, tmp_path / "told", flip=False, facts=known)
    untold = predict_by_member(ensemble, store, seconds, boxes, tmp_path / "untold", flip=False)
    assert all(told[second] != untold[second] for second in seconds)


def test_all_numbers_can_be_told() -> None:
    spec = replace(SPEC, facts=tuple(FACT_INPUTS))
    facts = example_facts(spec)
    assert np.isnan(facts).sum(axis=1).tolist() == [0, len(FACT_INPUTS), (len(FACT_INPUTS) + 1) // 2]
