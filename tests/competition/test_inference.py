"""An ensemble over a frame store: the mean over networks and mirror images, resumed after an interruption."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from training_world import World, make_bundles, make_world
from trapmeter.competition.inference import (
    EnsemblePrediction,
    InferenceSettings,
    mean_predictions,
    predict_by_member,
    predict_from_store,
)
from trapmeter.competition.submission import write_pseudolabels_for, write_submission_for
from trapmeter.errors import InputError, ModelError, RunError
from trapmeter.frames.store import FrameStore
from trapmeter.models.bundle import read_bundle
from trapmeter.models.network_input import mirror_input, network_input
from trapmeter.models.runtimes.choice import Runtime
from trapmeter.models.runtimes.network import Ensemble
from trapmeter.models.runtimes.onnx_runtime import OnnxNetwork
from trapmeter.records import Box, VideoSecond

pytestmark = pytest.mark.slow

torch = pytest.importorskip("torch")

STORED = [VideoSecond("v00.mp4", 0.0), VideoSecond("v00.mp4", 3.0), VideoSecond("v01.mp4", 1.0)]
NOT_STORED = [VideoSecond("gone.mp4", 0.0), VideoSecond("v01.mp4", 99.0)]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return make_world(tmp_path_factory.mktemp("stored"))


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two untrained networks."""
    return make_bundles(tmp_path_factory.mktemp("bundles"))


def predict(
    world: World, bundles: list[Path], journal: Path, *, flip: bool = True
) -> dict[VideoSecond, EnsemblePrediction]:
    ensemble = Ensemble.load(bundles, flip=flip)
    store = FrameStore.open(world.store)
    return mean_predictions(predict_by_member(ensemble, store, [*STORED, *NOT_STORED], {}, journal, flip=flip))


def test_a_prediction_is_the_plain_mean_over_networks_and_mirror_images(
    world: World, bundles: list[Path], tmp_path: Path
) -> None:
    predictions = predict(world, bundles, tmp_path / "answers.jsonl")
    assert list(predictions) == STORED
    spec = read_bundle(bundles[0]).spec
    window = network_input(FrameStore.open(world.store).window("v01.mp4", 1.0, spec.offsets_s, spec.edge), None, spec)
    by_member = [
        float(OnnxNetwork(read_bundle(folder)).metres(view[None])[0])
        for folder in bundles
        for view in (window, mirror_input(window))
    ]
    assert predictions[STORED[2]].distance_m == pytest.approx(np.mean(by_member), abs=1e-5)
    assert predictions[STORED[2]].spread_m == pytest.approx(np.std(by_member), abs=1e-5)


def test_an_interrupted_call_resumes_and_another_ensemble_is_refused(
    world: World, bundles: list[Path], tmp_path: Path
) -> None:
    journal = tmp_path / "answers.jsonl"
    complete = predict(world, bundles, journal)
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(lines[:2]) + lines[2][:9])
    assert predict(world, bundles, journal) == complete
    with pytest.raises(RunError, match="flip was True, is False"):
        predict(world, bundles, journal, flip=False)
    with pytest.raises(RunError, match="networks was"):
        predict(world, bundles[:1], journal)


def test_answers_for_other_boxes_are_refused(world: World, bundles: list[Path], tmp_path: Path) -> None:
    bundle = read_bundle(bundles[0])
    bundle = replace(bundle, spec=replace(bundle.spec, box_channel=True))
    network: Any = SimpleNamespace(bundle=bundle, metres=lambda windows, facts=None: np.ones(len(windows)))
    ensemble, store, journal = Ensemble([network], flip=False), FrameStore.open(world.store), tmp_path / "answers.jsonl"
    predict_by_member(ensemble, store, STORED, {}, journal, flip=False)
    boxes = {STORED[0]: Box(0.1, 0.1, 0.5, 0.5, 0.9)}
    with pytest.raises(RunError, match=r"boxes was 'none', is .*; choose another --out, or delete .*answers\.jsonl"):
        predict_by_member(ensemble, store, STORED, boxes, journal, flip=False)


def test_tables_are_written_from_plain_paths(world: World, bundles: list[Path], tmp_path: Path) -> None:
    form, submission, pseudolabels = (tmp_path / name for name in ("form.csv", "out/submission.csv", "pseudo.csv"))
    form.write_text("video_id,time\n" + "".join(f"{v},{t:g}\n" for v, t in (*NOT_STORED, *STORED)))
    settings = InferenceSettings(store=world.store, models=tuple(bundles), flip=True, runtime=Runtime.ONNXRUNTIME)
    lines: list[str] = []
    assert write_submission_for(str(form), settings, str(submission), lines.append) == (5, 2)
    assert lines == ["networks run in onnxruntime: requested"]
    distances = [float(row.split(",")[2]) for row in submission.read_text().splitlines()[1:]]
    predictions = predict(world, bundles, tmp_path / "answers.jsonl")
    expected = [predictions[second].distance_m for second in STORED]
    assert distances == pytest.approx([np.median(expected), np.median(expected), *expected], abs=1e-4)
    assert (submission.parent / "submission.csv.answers.jsonl").exists()
    assert write_pseudolabels_for(str(form), settings, str(pseudolabels), lines.append).n_kept <= 3
    assert predict_from_store(STORED, settings, tmp_path / "answers.jsonl", lines.append) == predictions


def test_what_cannot_be_written_or_has_no_row_is_refused_first(
    world: World, bundles: list[Path], tmp_path: Path
) -> None:
    form = tmp_path / "form.csv"
    form.write_text("video_id,time\n")
    settings = InferenceSettings(store=world.store, models=tuple(bundles), runtime=Runtime.ONNXRUNTIME)
    for write in (write_submission_for, write_pseudolabels_for):
        with pytest.raises(InputError, match="no row below the header"):
            write(form, settings, tmp_path / "out.csv", print)
    form.write_text("video_id,time\nv00.mp4,0\n")
    for write in (write_submission_for, write_pseudolabels_for):
        with pytest.raises(RunError, match="is a folder, expected the name of a file"):
            write(form, settings, tmp_path, print)
    with pytest.raises(InputError, match="--threads: expected at least 1, got 0"):
        InferenceSettings(store=world.store, models=tuple(bundles), threads=0)


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
