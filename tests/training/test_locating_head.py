"""The animal's location: boxes in the input, drawn boxes as truth, the locating head, and zooms."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from training_world import World, tiny_recipe, train_settings
from trapmeter.errors import InputError, ModelError
from trapmeter.frames.store import FrameStore
from trapmeter.models.input_spec import FrameEncoding, InputSpec
from trapmeter.models.network_input import MIN_MASK_VALUE, box_mask
from trapmeter.models.runtimes.onnx_runtime import OnnxNetwork
from trapmeter.records import Box
from trapmeter.training.augment.apply import apply_plan
from trapmeter.training.augment.plan import AugmentPlan, Zoom
from trapmeter.training.augment.settings import no_augmentation
from trapmeter.training.dataset import DatasetItem, WindowDataset, keep_animal_visible
from trapmeter.training.export import export_network
from trapmeter.training.locating_head import AnimalLocation, box_features, cell_overlaps, spread_features
from trapmeter.training.losses import location_loss
from trapmeter.training.network import make_network
from trapmeter.training.recipes import Head
from trapmeter.training.run import train
from trapmeter.training.samples import read_samples, without_other_animals

INPUT = replace(tiny_recipe().input, box_channel=True)


def mask(box: Box | None) -> torch.Tensor:
    return torch.from_numpy(box_mask(box, 40, 80).astype(np.float32) / 255)[None]


def test_box_features_describe_the_box() -> None:
    (numbers,) = box_features(mask(Box(0.25, 0.5, 0.75, 1.0, 0.9)))
    value = (MIN_MASK_VALUE + (255 - MIN_MASK_VALUE) * 0.9) / 255
    expected = [1, 0.25, 0.5, 0.75, 1.0, 0.5, 0.5, np.log(0.5), np.log(0.5), value]
    assert numbers.tolist() == pytest.approx(expected, abs=2e-3)


def test_box_features_are_0_without_a_box() -> None:
    assert box_features(mask(None)).abs().sum() == 0


@given(
    st.floats(0, 0.9), st.floats(0, 0.9), st.floats(0.01, 1), st.floats(0.01, 1), st.integers(1, 9), st.integers(1, 9)
)
def test_cell_overlaps_add_up_to_the_box(
    x1: float, y1: float, width: float, height: float, rows: int, columns: int
) -> None:
    x2, y2 = min(1.0, x1 + width), min(1.0, y1 + height)
    (shares,) = cell_overlaps(torch.tensor([[x1, y1, x2, y2]], dtype=torch.float64), (rows, columns))
    assert shares.min() >= 0
    assert shares.max() <= 1 + 1e-9
    assert float(shares.sum()) / (rows * columns) == pytest.approx((x2 - x1) * (y2 - y1))


def test_spread_features_give_the_position_of_the_weights() -> None:
    weights = torch.zeros(1, 3, 5)
    weights[0, 2, 1] = 1.0
    rows, columns = torch.linspace(0, 1, 3)[:, None], torch.linspace(0, 1, 5)[None, :]
    row, column, row_off, column_off, largest, entropy = spread_features(weights, rows, columns)[0].tolist()
    assert (row, column, largest) == pytest.approx((1.0, 0.25, 1.0))
    assert max(row_off, column_off, entropy) < 0.01


def test_the_location_loss_is_smallest_at_the_true_location() -> None:
    box = torch.tensor([[0.5, 0.5, 1.0, 1.0]])
    sides = [1.0, 0.75, np.log(0.5), np.log(0.5)]
    there, elsewhere = torch.full((1, 4, 4), -20.0), torch.full((1, 4, 4), -20.0)
    there[:, 2:, 2:], elsewhere[:, :2, :2] = 0.0, 0.0
    right = torch.tensor([sides])
    weight = torch.ones(1)
    assert float(location_loss(AnimalLocation(there, right), box, weight, weight.sum())) == pytest.approx(0.0, abs=1e-3)
    assert location_loss(AnimalLocation(elsewhere, right), box, weight, weight.sum()) > 10
    assert location_loss(AnimalLocation(there, right + 0.1), box, weight, weight.sum()) > 0.3
    assert location_loss(AnimalLocation(elsewhere, right), box, 0 * weight, 0 * weight.sum()) == 0


def test_the_locating_heads_prediction_depends_on_the_box() -> None:
    torch.manual_seed(0)
    network = make_network("test_efficientnet", INPUT, "none", Head.LOCATING).eval()
    windows = torch.zeros(2, INPUT.n_channels, *INPUT.size_hw, dtype=torch.uint8)
    windows[0, -1] = torch.from_numpy(box_mask(Box(0.1, 0.1, 0.9, 0.9, 1.0), *INPUT.size_hw))
    with torch.no_grad():
        output = network(windows)
    assert output.raw[0] != output.raw[1]
    assert output.location is not None
    assert output.location.cells.shape == (2, 4, 6)
    network.set_initial_distance(5.0)
    with torch.no_grad():
        assert network.metres(network(windows).raw).tolist() == pytest.approx([5.0, 5.0], rel=1e-4)


def test_a_backbone_without_maps_is_refused() -> None:
    with pytest.raises(ModelError, match="pooled head"):
        make_network("test_vit", INPUT, "none", Head.LOCATING)


def test_imagenet_weights_are_loaded_into_a_backbone_with_feature_maps() -> None:
    pooled = make_network("tf_efficientnet_lite0", INPUT, "package").state_dict()
    maps = make_network("tf_efficientnet_lite0", INPUT, "package", Head.LOCATING).state_dict()
    shared = [name for name in maps if name.startswith("body.backbone.")]
    assert len(shared) > 200
    assert all(torch.equal(maps[name], pooled[name]) for name in shared)


@pytest.mark.slow
@pytest.mark.parametrize("spec", [INPUT, tiny_recipe().input])
def test_a_locating_network_is_exported(tmp_path: Path, spec: InputSpec) -> None:
    network = make_network("test_efficientnet", spec, "none", Head.LOCATING)
    # The export itself compares the predictions with torch.
    bundle = export_network(network, spec, tmp_path, "boxed", "MIT", {})
    assert OnnxNetwork(bundle).metres(np.zeros((3, spec.n_channels, *spec.size_hw), np.uint8)).shape == (3,)


def dataset(world: World, *, dropout: float = 0.0, **augment: object) -> WindowDataset:
    samples = read_samples(world.labels, world.metadata)
    recipe = tiny_recipe(input=INPUT, augment=replace(no_augmentation(), **augment), box_dropout=dropout)
    return WindowDataset(FrameStore.open(world.store), samples, recipe)


def test_box_dropout_hides_boxes_only_in_training(world: World) -> None:
    windows = dataset(world, dropout=0.5)
    shown = [bool(windows[DatasetItem(i, epoch)][0][-1].any()) for i in range(20) for epoch in range(5)]
    assert 30 <= sum(shown) <= 70
    assert all(bool(windows[DatasetItem(i, None)][0][-1].any()) for i in range(20))


def test_a_zoom_moves_pixels_box_and_distance_together(world: World) -> None:
    plain, zoomed = dataset(world), dataset(world, p_zoom=1.0, zoom=(1.5, 1.5))
    sample = read_samples(world.labels, world.metadata)[4]
    before, _, truth = plain[DatasetItem(4, 0)]
    after, _, nearer_truth = zoomed[DatasetItem(4, 0)]
    assert float(truth.distance_m) == pytest.approx(sample.distance_m)
    assert float(nearer_truth.distance_m) == pytest.approx(sample.distance_m / 1.5)
    height = [int((window[-1].amax(dim=1) > 0).sum()) for window in (before, after)]
    assert height[1] == pytest.approx(1.5 * height[0], abs=2)
    # The bright square grows with its box.
    bright = [int((window[3] > 150).any(dim=1).sum()) for window in (before, after)]
    assert bright[1] == pytest.approx(1.5 * bright[0], abs=2)


def test_a_fold_trains_with_all_location_settings(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import trapmeter.training.export

    monkeypatch.setattr(trapmeter.training.export, "export_network", lambda *_: None)
    augment = replace(no_augmentation(), p_zoom=0.5)
    recipe = tiny_recipe(
        input=INPUT,
        head=Head.LOCATING,
        place_weight=0.3,
        box_dropout=0.2,
        augment=augment,
        epochs=1,
        start_at_median=True,
    )
    announced: list[str] = []
    train(train_settings(world, tmp_path, recipe), announced.append)
    assert any("epoch 1 of 1" in line for line in announced)


def test_a_zoom_that_could_hide_the_animal_is_left_out() -> None:
    near_the_edge, in_the_middle = Box(0.8, 0.4, 0.98, 0.6, 0.9), Box(0.4, 0.4, 0.6, 0.6, 0.9)
    plan = AugmentPlan((40, 60), zoom=Zoom(2.0, 0.2, 0.5))
    assert keep_animal_visible(plan, near_the_edge).zoom is None
    assert keep_animal_visible(plan, in_the_middle) == plan
    assert keep_animal_visible(plan, None).zoom is None
    smaller = AugmentPlan((40, 60), zoom=Zoom(0.8, 0.5, 0.5))
    assert keep_animal_visible(smaller, near_the_edge) == smaller
    assert keep_animal_visible(smaller, None).zoom is None


@given(st.booleans(), st.floats(0.0, 0.8), st.floats(0.0, 0.8), st.floats(0.0, 1.0), st.floats(0.0, 1.0))
def test_a_remaining_zoom_keeps_half_of_the_animal_visible(
    flip: bool, left: float, top: float, x: float, y: float
) -> None:
    box = Box(left, top, left + 0.2, top + 0.2, 1.0)
    plan = keep_animal_visible(AugmentPlan((60, 90), flip=flip, zoom=Zoom(1.6, x, y)), box)
    frame = np.zeros((1, 60, 90, 3), np.uint8)
    frame[:, round(top * 60) : round((top + 0.2) * 60), round(left * 90) : round((left + 0.2) * 90)] = 255
    shown, _ = apply_plan(plan, frame, [box])
    scale = 1.0 if plan.zoom is None else plan.zoom.scale
    # Half of the animal's area, except for rounding to pixels.
    assert (shown[0, ..., 0] > 127).sum() >= 0.4 * (frame[0, ..., 0] > 127).sum() * scale**2


def drawn_animals(world: World, path: Path) -> Path:
    """Writes two animals for each second: the labelled one, and a more distant one elsewhere."""
    samples = read_samples(world.labels, world.metadata)
    with path.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(("video_id", "time", "animal_id", "distance_m", "x1", "y1", "x2", "y2"))
        for sample in samples:
            table.writerow((sample.video_id, sample.time_s, 1, sample.distance_m + 0.1, 0.1, 0.2, 0.3, 0.4))
            table.writerow((sample.video_id, sample.time_s, 2, sample.distance_m + 3, 0.6, 0.2, 0.8, 0.4))
    return path


def test_seconds_outside_the_video_show_no_motion_after_augmentation(world: World) -> None:
    spec = replace(INPUT, frames=FrameEncoding.MOTION)
    samples = read_samples(world.labels, world.metadata)
    hazy = replace(no_augmentation(), p_brightness_contrast=1.0, brightness=(0.2, 0.2), p_fog=1.0)
    windows = WindowDataset(FrameStore.open(world.store), samples, tiny_recipe(input=spec, augment=hazy))
    first = next(i for i, sample in enumerate(samples) if sample.time_s == 0)
    before, after = windows[DatasetItem(first, 0)][0][3:5]
    assert not before.any()
    assert after.any()


def test_a_drawn_box_is_the_truth_and_not_the_input(world: World, tmp_path: Path) -> None:
    samples = without_other_animals(
        read_samples(world.labels, world.metadata, drawn_animals(world, tmp_path / "animals.csv"))
    )
    recipe = tiny_recipe(input=INPUT, augment=no_augmentation())
    windows = WindowDataset(FrameStore.open(world.store), samples, recipe)
    window, _, truth = windows[DatasetItem(3, None)]
    assert truth.box.tolist() == pytest.approx([0.1, 0.2, 0.3, 0.4])
    assert float(truth.box_weight) == 1.0
    assert samples[3].box is not None
    assert np.array_equal(window[-1], box_mask(samples[3].box, *INPUT.size_hw))


def test_every_other_animal_is_a_sample_with_its_own_box(world: World, tmp_path: Path) -> None:
    samples = read_samples(world.labels, world.metadata, drawn_animals(world, tmp_path / "animals.csv"))
    label, other = samples[6:8]
    assert (other.source, other.video_id, other.time_s) == ("other animal", label.video_id, label.time_s)
    assert other.distance_m == pytest.approx(label.distance_m + 3)
    assert other.box is not None
    assert other.box.xyxy == (0.6, 0.2, 0.8, 0.4)
    assert without_other_animals(samples) == samples[::2]


def test_box_dropout_never_hides_other_animals(world: World, tmp_path: Path) -> None:
    samples = read_samples(world.labels, world.metadata, drawn_animals(world, tmp_path / "animals.csv"))
    recipe = tiny_recipe(input=INPUT, augment=no_augmentation(), box_dropout=1.0)
    windows = WindowDataset(FrameStore.open(world.store), samples, recipe)
    assert not windows[DatasetItem(6, 0)][0][-1].any()
    assert windows[DatasetItem(7, 0)][0][-1].any()


@pytest.mark.slow
def test_without_a_box_channel_only_labels_are_samples(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import trapmeter.training.export

    monkeypatch.setattr(trapmeter.training.export, "export_network", lambda *_: None)
    animals = drawn_animals(world, tmp_path / "animals.csv")
    announced: list[str] = []
    train(
        train_settings(world, tmp_path, tiny_recipe(epochs=1), animals=animals),
        announced.append,
    )
    assert any("24 training samples" in line and "24 held out" in line for line in announced)


@pytest.mark.slow
def test_only_labels_are_held_out(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import trapmeter.training.export

    monkeypatch.setattr(trapmeter.training.export, "export_network", lambda *_: None)
    animals = drawn_animals(world, tmp_path / "animals.csv")
    recipe = tiny_recipe(input=INPUT, head=Head.LOCATING, place_weight=0.3, epochs=1)
    announced: list[str] = []
    train(
        train_settings(world, tmp_path, recipe, animals=animals),
        announced.append,
    )
    assert "48 labelled seconds" in announced[0]
    assert any("48 training samples" in line and "24 held out" in line for line in announced)


def test_animals_of_other_videos_are_refused(world: World, tmp_path: Path) -> None:
    path = tmp_path / "animals.csv"
    path.write_text("video_id,time,distance_m,x1,y1,x2,y2\nother.mp4,0,5,0.1,0.1,0.2,0.2\n")
    with pytest.raises(InputError, match="no animal with a box"):
        read_samples(world.labels, world.metadata, path)


def test_inconsistent_location_settings_are_refused() -> None:
    with pytest.raises(InputError, match="box channel"):
        tiny_recipe(box_dropout=0.1)
    with pytest.raises(InputError, match="locating head"):
        tiny_recipe(place_weight=0.1)
    with pytest.raises(InputError, match="--box-dropout: expected at least 0 and at most 1"):
        tiny_recipe(input=INPUT, box_dropout=1.5)
