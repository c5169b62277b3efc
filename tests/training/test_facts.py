"""Facts in training: hidden at random, followed through augmentation, and given to the network."""

import csv
import math
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from prediction_world import medium_task
from training_world import World, tiny_recipe, train_settings
from trapmeter.errors import InputError, ModelError
from trapmeter.facts import NO_FACTS, Facts
from trapmeter.frames.store import FrameStore
from trapmeter.models.fact_inputs import FACT_INPUTS, LOG_BOX_HEIGHT
from trapmeter.models.input_spec import FrameEncoding, InputSpec
from trapmeter.models.network_input import fact_input
from trapmeter.models.runtimes.agreement import example_facts, example_windows
from trapmeter.models.runtimes.onnx_runtime import check_bundle
from trapmeter.prediction.medium_pipeline import WorkerModels, process_medium
from trapmeter.records import Box
from trapmeter.training import job
from trapmeter.training.augment.apply import apply_plan, sample_rng
from trapmeter.training.augment.random_plan import draw_plan
from trapmeter.training.augment.settings import distance_preserving, fact_preserving, no_augmentation
from trapmeter.training.dataset import DatasetItem, WindowDataset, is_size_told, jittered_box
from trapmeter.training.distributed import Ranks
from trapmeter.training.fact_features import FactFeatures
from trapmeter.training.fact_settings import FactSettings, scaled_hfov_deg, told_facts
from trapmeter.training.job import samples_digest
from trapmeter.training.loop import train_fold
from trapmeter.training.network import make_network
from trapmeter.training.recipes import Head, Recipe, anywhere, anywhere_cpu
from trapmeter.training.run import train
from trapmeter.training.samples import Sample, for_input, read_samples
from trapmeter.training.training_log import TrainingLog, read_held_out

NAMES = anywhere().input.facts
INPUT = replace(tiny_recipe().input, frames=FrameEncoding.MOTION, box_channel=True, facts=NAMES)
KNOWN = Facts(50.0, 16 / 9, 0.8, 1.2, -8.0)
EXACT = FactSettings(p_none=0.0, p_hidden=0.0, lens_sd_log=0, shoulder_sd_log=0, camera_height_sd_log=0, pitch_sd_deg=0)
NEVER = replace(EXACT, p_none=1.0)


def fact_recipe(**changes: object) -> Recipe:
    base = {"input": INPUT, "head": Head.LOCATING, "augment": no_augmentation(), "facts": EXACT}
    return tiny_recipe(**{**base, **changes})


def sample_facts(n: int, facts: FactSettings) -> list[Facts]:
    return [told_facts(KNOWN, facts, sample_rng(1, 0, i)) for i in range(n)]


def test_facts_are_hidden_together_and_one_by_one() -> None:
    told = sample_facts(2000, replace(EXACT, p_none=0.4, p_hidden=0.3))
    hidden = np.array(
        [
            [getattr(facts, name) is None for name in ("hfov_deg", "shoulder_m", "camera_height_m", "pitch_deg")]
            for facts in told
        ]
    )
    assert hidden.mean(axis=0) == pytest.approx(0.4 + 0.6 * 0.3, abs=0.04)
    # All four by chance, or since nothing is shown.
    assert hidden.all(axis=1).mean() == pytest.approx(0.4 + 0.6 * 0.3**4, abs=0.04)
    assert (~hidden).all(axis=1).mean() == pytest.approx(0.6 * 0.7**4, abs=0.04)
    assert set(sample_facts(20, NEVER)) == {Facts(aspect_ratio=16 / 9)}
    assert set(sample_facts(20, EXACT)) == {KNOWN}


def test_facts_are_as_wrong_as_users_are() -> None:
    told = sample_facts(2000, replace(FactSettings(), p_none=0.0, p_hidden=0.0))
    shoulders = np.log([facts.shoulder_m or 0 for facts in told]) - math.log(0.8)
    assert (shoulders.mean(), shoulders.std()) == pytest.approx((0.0, 0.1), abs=0.01)
    pitches = np.array([facts.pitch_deg for facts in told], float) + 8.0
    assert (pitches.mean(), pitches.std()) == pytest.approx((0.0, 1.0), abs=0.1)


def test_a_fact_that_nobody_knows_stays_unknown() -> None:
    assert told_facts(NO_FACTS, FactSettings(), sample_rng(0, 0, 0)) == NO_FACTS


@given(st.floats(5, 170), st.floats(0.3, 3))
def test_a_scaled_lens_has_a_scaled_tangent(hfov_deg: float, scale: float) -> None:
    scaled = scaled_hfov_deg(hfov_deg, scale)
    assert scaled is not None
    before, after = (math.tan(math.radians(degrees) / 2) for degrees in (hfov_deg, scaled))
    assert after == pytest.approx(scale * before, rel=1e-6)


@settings(max_examples=30)
@given(st.integers(0, 10**6), st.floats(6.0, 12.0), st.floats(25.0, 60.0))
def test_pinhole_pictures_keep_both_geometries_through_augmentation(seed: int, depth_m: float, hfov_deg: float) -> None:
    """An animal on level ground, as high as its box: size and feet state its distance before and after every change."""
    height_px, width_px, shoulder_m = 360, 640, 0.8
    tan_v = math.tan(math.radians(hfov_deg) / 2) * height_px / width_px
    # A camera that looks ahead: the horizon is in the middle, and the feet are below it. The animal's middle is near the
    # axis, so that no zoom cuts it off.
    camera_height_m = shoulder_m / 2 + 0.1
    y2 = 0.5 + camera_height_m / depth_m / tan_v / 2
    y1 = 0.5 + (camera_height_m - shoulder_m) / depth_m / tan_v / 2
    box = Box(0.45, y1, 0.55, y2, 1.0)
    facts = Facts(hfov_deg, width_px / height_px, shoulder_m, camera_height_m, 0.0)
    plan = draw_plan(replace(fact_preserving(), p_zoom=1.0), (height_px, width_px), np.random.default_rng(seed))
    _, (moved,) = apply_plan(
        replace(plan, blur=None, noise=None), np.zeros((1, height_px, width_px, 3), np.uint8), [box]
    )
    assert moved is not None
    assert plan.zoom is not None
    assume(moved.y2 < 1)
    facts = replace(facts, hfov_deg=scaled_hfov_deg(facts.hfov_deg, 1 / plan.zoom.scale))
    found = known_distances(facts, moved)
    assert found[0] == pytest.approx(depth_m, rel=3 / height_px / (moved.y2 - moved.y1))
    assert found[1] == pytest.approx(depth_m, rel=3 / height_px / (moved.y2 - 0.5))


def known_distances(facts: Facts, box: Box) -> list[float]:
    """The distances by size and by the feet's place, as the network reckons them."""
    from trapmeter.training.fact_features import LOG_DISTANCE_MEAN, LOG_DISTANCE_SD

    _, distances = FactFeatures(NAMES)(torch.from_numpy(fact_input(facts, box, INPUT))[None])
    by_size, is_size, by_ground, is_ground = distances[0].tolist()
    assert (is_size, is_ground) == (1.0, 1.0)
    return [math.exp(value * LOG_DISTANCE_SD + LOG_DISTANCE_MEAN) for value in (by_size, by_ground)]


@given(st.sets(st.sampled_from(NAMES)))
def test_a_distance_needs_all_its_facts(unknown: set[str]) -> None:
    facts = fact_input(KNOWN, Box(0.4, 0.4, 0.6, 0.6, 0.9), INPUT)
    facts[[NAMES.index(name) for name in unknown]] = np.nan
    embedded, distances = FactFeatures(NAMES)(torch.from_numpy(facts)[None])
    by_size, is_size, by_ground, is_ground = distances[0].tolist()
    assert bool(is_size) == unknown.isdisjoint({"log_shoulder_m", "log_tan_half_vfov", "log_box_height"})
    assert bool(is_ground) == unknown.isdisjoint(
        {"log_camera_height_m", "tan_pitch", "log_tan_half_vfov", "box_bottom"}
    )
    assert is_size or by_size == 0
    assert is_ground or by_ground == 0
    assert torch.isfinite(embedded).all()


def samples_with_facts(world: World) -> list[Sample]:
    return [replace(sample, facts=KNOWN) for sample in read_samples(world.labels, world.metadata)]


def dataset(world: World, recipe: Recipe) -> WindowDataset:
    return WindowDataset(FrameStore.open(world.store), samples_with_facts(world), recipe)


def test_a_zoom_changes_the_lens_and_not_the_distance(world: World) -> None:
    zoom = replace(no_augmentation(), p_zoom=1.0, zoom=(1.5, 1.5), zoom_is_lens=True)
    _, before, truth = dataset(world, fact_recipe())[DatasetItem(4, 0)]
    _, after, zoomed_truth = dataset(world, fact_recipe(augment=zoom))[DatasetItem(4, 0)]
    assert float(zoomed_truth.distance_m) == float(truth.distance_m)
    changed = dict(zip(NAMES, (after - before).tolist(), strict=True))
    assert changed["log_tan_half_vfov"] == changed["log_tan_half_hfov"] == pytest.approx(-math.log(1.5), abs=1e-5)
    assert changed["log_box_height"] == pytest.approx(math.log(1.5), abs=0.2)
    assert [changed[name] for name in ("log_shoulder_m", "log_camera_height_m", "tan_pitch")] == [0, 0, 0]


def test_a_dropped_boxs_numbers_are_hidden_with_it(world: World) -> None:
    windows = dataset(world, fact_recipe(box_dropout=0.5))
    for i in range(20):
        window, facts, _ = windows[DatasetItem(i, 0)]
        assert bool(window[-1].any()) == (not math.isnan(facts[NAMES.index(LOG_BOX_HEIGHT)]))


def test_held_out_windows_hide_the_same_facts_after_every_epoch(world: World) -> None:
    windows = dataset(world, fact_recipe(facts=FactSettings(), box_jitter=0.1))
    first, again = (torch.stack([windows[DatasetItem(i, None)][1] for i in range(20)]) for _ in range(2))
    assert torch.equal(torch.nan_to_num(first), torch.nan_to_num(again))
    assert 0 < torch.isnan(first[:, 0]).sum() < 20
    # The box of a held-out window is neither moved nor hidden.
    assert not torch.isnan(first[:, -1]).any()


@given(st.integers(0, 1000), st.floats(0, 0.9), st.floats(0, 0.9), st.floats(0.001, 0.1), st.floats(0, 0.5))
def test_jittered_boxes_are_boxes(seed: int, left: float, top: float, side: float, sd: float) -> None:
    box = Box(left, top, left + side, top + side, 0.5)
    jittered = jittered_box(box, sd, np.random.default_rng(seed))
    assert jittered.score == 0.5
    assert 0.3 <= jittered_box(replace(box, score=1.0), sd, np.random.default_rng(seed)).score <= 1.0
    assert abs(jittered.x1 - box.x1) <= 0.4 * side + 1e-9


class Recorder:
    """Networks that keep their inputs."""

    def __init__(self, spec: InputSpec) -> None:
        self.spec, self.windows, self.facts = spec, [], []

    def predict_members(
        self, windows: NDArray[np.uint8], facts: NDArray[np.float32] | None = None
    ) -> NDArray[np.float64]:
        self.windows += list(windows)
        self.facts += [] if facts is None else list(facts)
        return np.ones((1, len(windows)))


def test_single_windows_are_what_a_photo_gives(world: World, tmp_path: Path) -> None:
    recipe = fact_recipe(single_share=1.0)
    windows, sample = dataset(world, recipe), samples_with_facts(world)[6]
    window, _, _ = windows[DatasetItem(6, 0)]
    frames = FrameStore.open(world.store).window(sample.video_id, sample.time_s, INPUT.offsets_s, INPUT.edge)
    photo = tmp_path / "photo.png"
    Image.fromarray(frames[INPUT.offsets_s.index(0.0)]).save(photo)
    networks = Recorder(replace(INPUT, box_channel=True))
    process_medium(medium_task(photo), WorkerModels(networks=networks))
    assert np.array_equal(window[:-1], networks.windows[0][:-1])
    assert not window[3:-1].any()


def test_facts_and_their_augmentation_must_fit() -> None:
    with pytest.raises(InputError, match="facts about the camera can't follow"):
        fact_recipe(augment=distance_preserving())
    with pytest.raises(InputError, match="only the locating head takes facts"):
        fact_recipe(head=Head.POOLED)
    with pytest.raises(ModelError, match="only the locating head takes facts"):
        make_network("test_efficientnet", INPUT, "none")
    assert anywhere().input.facts == anywhere_cpu().input.facts


def test_networks_know_facts_only_if_they_take_them(world: World) -> None:
    samples = samples_with_facts(world)
    assert for_input(samples, INPUT) == samples
    plain = read_samples(world.labels, world.metadata)
    assert for_input(samples, replace(INPUT, facts=())) == plain
    assert samples_digest(samples) != samples_digest(plain)
    assert samples_digest(for_input(samples, tiny_recipe().input)) == samples_digest(plain)


def tables(world: World, folder: Path) -> tuple[Path, Path]:
    """Cameras of all sites but one, and animals with heights, species or neither."""
    cameras, animals = folder / "cameras.csv", folder / "animals.csv"
    cameras.write_text(
        "site_id,hfov_deg,height_m,pitch_deg\n" + "".join(f"s{i},{40 + i},1.5,-5\n" for i in range(1, 6))
    )
    with animals.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(("video_id", "time", "distance_m", "x1", "y1", "x2", "y2", "shoulder_m", "species"))
        for i, sample in enumerate(read_samples(world.labels, world.metadata)):
            known = [(0.7, "red fox"), ("", "red fox"), ("", "unicorn")][i % 3]
            table.writerow((sample.video_id, sample.time_s, sample.distance_m, 0.3, 0.3, 0.6, 0.6, *known))
    return animals, cameras


def test_samples_know_their_camera_and_animal(world: World, tmp_path: Path) -> None:
    animals, cameras = tables(world, tmp_path)
    samples = read_samples(world.labels, world.metadata, animals, cameras)
    assert [sample.facts.shoulder_m for sample in samples[:3]] == [0.7, pytest.approx(0.4, abs=0.02), None]
    assert {sample.facts.hfov_deg for sample in samples if sample.site_id == "s0"} == {None}
    assert {sample.facts for sample in samples if sample.site_id == "s2" and sample.facts.shoulder_m == 0.7} == {
        Facts(42.0, 16 / 9, 0.7, 1.5, -5.0)
    }


def test_cameras_of_other_sites_are_refused(world: World, tmp_path: Path) -> None:
    (tmp_path / "cameras.csv").write_text("site_id,hfov_deg\nelsewhere,40\n")
    with pytest.raises(InputError, match="none of its 1 cameras is of a labelled site"):
        read_samples(world.labels, world.metadata, None, tmp_path / "cameras.csv")
    with pytest.raises(InputError, match="also give --metadata"):
        train_settings(world, tmp_path, cameras=tmp_path / "cameras.csv", metadata=None)


def untrained(seed: int = 0) -> torch.nn.Module:
    torch.manual_seed(seed)
    network = make_network("test_efficientnet", INPUT, "none", Head.LOCATING).eval()
    torch.nn.init.constant_(network.body.output_layer.bias, 2.0)
    return network


def test_facts_change_the_prediction_and_unknown_ones_are_finite() -> None:
    network, windows = untrained(), torch.from_numpy(example_windows(INPUT)[[0, 0, 0]])
    with torch.no_grad():
        told, untold, half = network(windows, torch.from_numpy(example_facts(INPUT))).raw.tolist()
        assert network(windows[:1]).raw.tolist() == [untold]
    assert len({told, untold, half}) == 3
    assert all(map(math.isfinite, (told, untold, half)))


def test_unknown_facts_train_without_nan() -> None:
    network = untrained().train()
    raw = network(torch.from_numpy(example_windows(INPUT)), torch.from_numpy(example_facts(INPUT))).raw
    raw.sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in network.parameters() if p.grad is not None)


def test_every_number_has_a_place_in_a_network() -> None:
    features = FactFeatures(tuple(FACT_INPUTS))
    embedded, distances = features(torch.full((2, len(FACT_INPUTS)), math.nan))
    assert embedded.shape == (2, FactFeatures.N_EMBEDDED)
    assert not distances.any()


def test_the_log_says_which_held_out_sizes_were_told(world: World, tmp_path: Path) -> None:
    samples = samples_with_facts(world)[:3]
    log = TrainingLog(tmp_path, 0)
    log.write_held_out(samples, np.array([1.0, 2.0, 3.0]), [True, False, True])
    assert [row.is_told for row in read_held_out(tmp_path)] == [True, False, True]
    log.write_held_out(samples, np.array([1.0, 2.0, 3.0]))
    assert (tmp_path / "held_out.csv").read_text().startswith("video_id,time,distance,truth,site_id\n")
    assert not any(row.is_told for row in read_held_out(tmp_path))


def test_told_sizes_get_intervals_of_their_own_if_there_are_enough(tmp_path: Path) -> None:
    def write(n_told: int) -> None:
        rows = [
            f"v{i},0,{5 + (0.1 if i < n_told else 2.0) * math.sin(i):.4f},5,s{i % 7},{int(i < n_told)}"
            for i in range(400)
        ]
        (tmp_path / "held_out.csv").write_text("\n".join(["video_id,time,distance,truth,site_id,told", *rows, ""]))

    write(200)
    untold, told = job._uncertainties(tmp_path)
    assert untold is not None
    assert told is not None
    (narrow,), (wide,) = told.distances(np.log1p([5.0])), untold.distances(np.log1p([5.0]))
    assert narrow.high_m - narrow.low_m < 0.5 * (wide.high_m - wide.low_m)
    write(20)
    assert job._uncertainties(tmp_path)[1] is None


def test_a_size_is_told_by_lens_shoulder_height_and_box() -> None:
    box = Box(0.4, 0.4, 0.6, 0.6, 0.9)
    assert is_size_told(KNOWN, box)
    assert not is_size_told(KNOWN, None)
    assert not is_size_told(replace(KNOWN, shoulder_m=None), box)
    assert not is_size_told(replace(KNOWN, aspect_ratio=None), box)


@pytest.mark.slow
def test_a_training_with_facts_resumes_to_the_same_bytes(world: World, tmp_path: Path) -> None:
    recipe = fact_recipe(
        augment=fact_preserving(),
        facts=FactSettings(),
        box_dropout=0.2,
        box_jitter=0.05,
        single_share=0.3,
        place_weight=0.3,
        start_at_median=True,
        epochs=2,
    )
    samples, store = samples_with_facts(world), FrameStore.open(world.store)

    def run(folder: Path, *epochs: int, seed: int = 0) -> bytes:
        folder.mkdir()
        for n in epochs:
            part = replace(recipe, epochs=n, seed=seed)
            make = partial(make_network, part.backbone, part.input, "none", part.head)
            train_fold(part, store, samples[16:], samples[:16], make, folder, Ranks(), lambda _: None)
        return (folder / "last.safetensors").read_bytes()

    straight = run(tmp_path / "straight", 2)
    assert run(tmp_path / "resumed", 1, 2) == straight
    assert (tmp_path / "resumed/held_out.csv").read_bytes() == (tmp_path / "straight/held_out.csv").read_bytes()
    assert run(tmp_path / "other", 2, seed=1) != straight


@pytest.mark.slow
def test_train_reads_the_tables_and_exports_a_bundle_that_takes_facts(world: World, tmp_path: Path) -> None:
    animals, cameras = tables(world, tmp_path)
    announced: list[str] = []
    recipe = fact_recipe(epochs=1, place_weight=0.3, facts=FactSettings())
    given = train_settings(world, tmp_path / "out", recipe, animals=animals, cameras=cameras)
    (folder,) = train(given, announced.append)
    assert "facts known of 48 samples: lens 40, shoulder height 32, camera height 40, pitch 40" in announced
    bundle = check_bundle(folder)
    assert bundle.spec.facts == NAMES
    assert bundle.provenance["recipe"]["facts"]["p_none"] == 0.4
    announced.clear()
    plain = replace(given, recipe=tiny_recipe(epochs=1, batch_size=1000), out=tmp_path / "plain")
    with pytest.raises(InputError, match="too few"):
        train(plain, announced.append)
    assert "the recipe tiny takes no facts; --cameras has no effect" in announced
