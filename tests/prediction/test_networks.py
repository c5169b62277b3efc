"""Networks in a run: from videos or a frame store, for each animal or for the whole picture."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from conftest import MakeClip
from fakes import BrightDetector, BrightnessNetworks
from prediction_world import medium_task
from training_world import World, make_bundles, make_world
from trapmeter.competition.inference import mean_predictions, predict_by_member
from trapmeter.errors import InputError, ModelError
from trapmeter.models.bundle import Bundle
from trapmeter.models.input_spec import InputSpec
from trapmeter.prediction.medium_pipeline import MediumTask, WorkerModels, process_medium
from trapmeter.prediction.run import run_prediction
from trapmeter.prediction.settings import PredictSettings
from trapmeter.prediction.stages import WHOLE_PICTURE_DOUBT
from trapmeter.prediction.worker_models import WorkerPlan, plan_workers
from trapmeter.records import Box, ModelIdentity, Status
from trapmeter.tables.boxes import MediumBoxes
from trapmeter.uncertainty import fit_uncertainty

pytestmark = pytest.mark.slow

POINTS = np.linspace(0.5, 3.0, 200)
UNCERTAINTY = fit_uncertainty(POINTS, np.expm1(POINTS + 0.1 * np.sin(np.arange(200))), ["s"] * 200)
INPUT = InputSpec(size_hw=(32, 48), offsets_s=(-1.0, 0.0, 1.0))
LEFT, RIGHT = Box(0.0, 0.25, 0.5, 0.75, 0.9), Box(0.5, 0.0, 1.0, 1.0, 0.8)


@pytest.fixture
def clip(make_clip: MakeClip) -> Path:
    return make_clip("networks.mp4", n=40, rate=10)


def task(clip: Path, *boxes: Box) -> MediumTask:
    table = MediumBoxes(clip.name, ((1.0, boxes), (2.0, boxes))) if boxes else None
    return medium_task(clip, times_s=(0.0, 1.0, 2.0, 9.0), boxes=table)


def test_networks_run_only_on_seconds_with_animals(clip: Path) -> None:
    networks = BrightnessNetworks(INPUT)
    result = process_medium(task(clip, LEFT), WorkerModels(networks=networks))
    assert networks.batches == [2]
    assert [len(second.answers) for second in result.seconds] == [0, 1, 1, 0]
    low, high = result.seconds[1].answers[0]
    assert high == pytest.approx(low + 1)
    assert result.network_s > 0


def test_networks_run_on_the_animals_that_the_detector_found(clip: Path) -> None:
    networks = BrightnessNetworks(INPUT)
    result = process_medium(task(clip), WorkerModels(BrightDetector(), networks))
    assert [bool(second.answers) for second in result.seconds] == [bool(second.boxes) for second in result.seconds]


def test_a_network_with_a_box_channel_predicts_each_animal(clip: Path) -> None:
    with_boxes = InputSpec(size_hw=(32, 48), offsets_s=(-1.0, 0.0, 1.0), box_channel=True)
    sure = task(clip, replace(LEFT, score=1.0), replace(RIGHT, score=1.0))
    one, other = process_medium(sure, WorkerModels(networks=BrightnessNetworks(with_boxes))).seconds[1].answers
    # The mask of the left box covers a quarter of the picture, that of the right one a half.
    assert other[0] - one[0] == pytest.approx(255 / 4)


def test_a_prediction_for_the_whole_picture_is_marked_as_doubtful(clip: Path) -> None:
    networks = BrightnessNetworks(INPUT)
    second = process_medium(task(clip, LEFT, RIGHT), WorkerModels(networks=networks)).seconds[1]
    assert second.answers[0] == second.answers[1]
    assert second.reason == WHOLE_PICTURE_DOUBT
    assert networks.batches == [2]


def test_without_detection_each_second_is_measured_as_one_animal(clip: Path) -> None:
    result = process_medium(task(clip), WorkerModels(networks=BrightnessNetworks(INPUT)))
    assert [second.status for second in result.seconds] == [Status.MEASURED] * 3 + [Status.PAST_END]
    assert result.seconds[0].boxes == (None,)
    assert result.seconds[0].animal_ids == (0,)
    assert type(result).from_json(json.loads(json.dumps(result.to_json()))) == result


def test_the_windows_of_many_animals_come_in_batches(clip: Path) -> None:
    with_boxes = InputSpec(size_hw=(32, 48), offsets_s=(0.0,), box_channel=True)
    herd = [Box(i / 20, 0.1, i / 20 + 0.04, 0.2, 0.9) for i in range(18)]
    networks = BrightnessNetworks(with_boxes)
    result = process_medium(task(clip, *herd), WorkerModels(networks=networks))
    assert sum(networks.batches) == 36
    assert max(networks.batches) <= 8
    assert [len(second.answers) for second in result.seconds] == [0, 18, 18, 0]


def test_large_networks_get_fewer_workers_with_more_threads(tmp_path: Path) -> None:
    small, large = (
        Bundle(ModelIdentity(name, "0" * 64), INPUT, None, "MIT", {}, tmp_path / name) for name in ("small", "large")
    )
    for bundle, size in ((small, 1_000), (large, 3_000_000_000)):
        bundle.folder.mkdir()
        with bundle.network.open("wb") as file:
            file.truncate(size)
    assert plan_workers(8, 100, [small.network]) == WorkerPlan(8, 1)
    assert plan_workers(8, 2, [small.network]) == WorkerPlan(2, 4)
    assert plan_workers(8, 100, [large.network]) == WorkerPlan(1, 8)
    assert plan_workers(64, 100, [large.network], n_machines=8) == WorkerPlan(8, 8)
    assert plan_workers(8, 0, []) == WorkerPlan(1, 8)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    pytest.importorskip("torch")
    return make_world(tmp_path_factory.mktemp("networks"))


@pytest.fixture(scope="module")
def bundles(world: World) -> list[Path]:
    return make_bundles(world.labels.parent, uncertainty=UNCERTAINTY)


def settings(world: World, bundles: list[Path], out: Path, **changes: object) -> PredictSettings:
    base = {"paths": (world.videos,), "out": out, "models": tuple(bundles), "jobs": 2}
    return PredictSettings(**{**base, **changes})


def test_an_ensemble_predicts_the_same_from_videos_and_from_the_store(
    world: World, bundles: list[Path], tmp_path: Path
) -> None:
    from trapmeter.frames.store import FrameStore
    from trapmeter.models.runtimes.network import Ensemble

    run = run_prediction(settings(world, bundles, tmp_path / "run", flip=True, boxes=world.metadata))
    measured = [e for e in run.estimates if e.distance is not None]
    assert len(measured) == 48
    seconds = [(e.observation.media_id, e.observation.time_s) for e in measured]
    ensemble, store = Ensemble.load(bundles, flip=True), FrameStore.open(world.store)
    expected = mean_predictions(predict_by_member(ensemble, store, seconds, {}, tmp_path / "j", flip=True))
    # The store's pictures are JPEG.
    for estimate, second in zip(measured, seconds, strict=True):
        assert estimate.distance.distance_m == pytest.approx(expected[second].distance_m, abs=0.05)
        assert estimate.distance.low_m < estimate.distance.distance_m < estimate.distance.high_m
        assert len(estimate.distance.draws_m) == 10
        assert estimate.model_id == "tiny-0 and 1 more with flip"


def test_a_store_takes_the_place_of_videos(world: World, bundles: list[Path], tmp_path: Path) -> None:
    times = tmp_path / "times.csv"
    times.write_text("video_id,time\nv03.mp4,1\nv03.mp4,2\nv03.mp4,99\ngone.mp4,0\n")
    stored = settings(world, bundles, tmp_path / "run", paths=(), store=world.store, times=times)
    rows = {
        (e.observation.media_id, e.observation.time_s): (e.status, e.observation.box)
        for e in run_prediction(stored).estimates
    }
    assert rows == {
        ("v03.mp4", 1.0): (Status.MEASURED, None),
        ("v03.mp4", 2.0): (Status.MEASURED, None),
        ("v03.mp4", 99.0): (Status.PAST_END, None),
        ("gone.mp4", 0.0): (Status.FAILED, None),
    }


def test_the_report_shows_pictures_of_the_store(world: World, bundles: list[Path], tmp_path: Path) -> None:
    from trapmeter.report.run_report import render_report

    stored = settings(world, bundles, tmp_path, paths=(), store=world.store, times=world.labels)
    page = render_report(run_prediction(stored))
    assert page.count("data:image/jpeg") == 36
    assert "tiny-0 and 1 more" in page
    assert "not counted: the model estimates one distance per second" in page


def test_a_run_is_not_resumed_with_another_ensemble(world: World, bundles: list[Path], tmp_path: Path) -> None:
    from trapmeter.errors import RunError

    run_prediction(settings(world, bundles[:1], tmp_path, boxes=world.metadata))
    with pytest.raises(RunError, match="networks"):
        run_prediction(settings(world, bundles, tmp_path, boxes=world.metadata))
    with pytest.raises(RunError, match="flip"):
        run_prediction(settings(world, bundles[:1], tmp_path, boxes=world.metadata, flip=True))


def test_a_store_of_another_size_is_refused(world: World, bundles: list[Path], tmp_path: Path) -> None:
    from trapmeter.frames.spec import StoreSpec
    from trapmeter.frames.store import FrameStore

    shutil.copytree(world.store, tmp_path / "store")
    (tmp_path / "store" / "store.json").unlink()
    FrameStore.create(tmp_path / "store", StoreSpec((64, 64)))
    stored = settings(world, bundles, tmp_path / "out", paths=(), store=tmp_path / "store", times=world.labels)
    with pytest.raises(InputError, match="fill another store with --size 32x48"):
        run_prediction(stored)


def test_a_damaged_network_is_a_single_clear_error(world: World, bundles: list[Path], tmp_path: Path) -> None:
    shutil.copytree(bundles[0], tmp_path / "bad")
    with (tmp_path / "bad" / "model.onnx").open("r+b") as file:
        file.write(b"x")
    with pytest.raises(ModelError, match="damaged or replaced"):
        run_prediction(settings(world, [tmp_path / "bad"], tmp_path / "out"))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"models": (), "flip": True}, "need networks"),
        ({"models": (), "detect": False}, "need networks"),
        ({"models": (), "store": Path("s"), "times": Path("t"), "paths": ()}, "need networks"),
        ({"box_model": Path("b")}, "exclude each other"),
        ({"store": Path("s"), "times": Path("t")}, "and no paths"),
        ({"store": Path("s"), "paths": ()}, "give --times"),
    ],
)
def test_incompatible_arguments_are_refused(changes: dict[str, object], reason: str) -> None:
    base = {"paths": (Path("videos"),), "out": Path("out"), "models": (Path("m"),)}
    with pytest.raises(InputError, match=reason):
        PredictSettings(**{**base, **changes})
