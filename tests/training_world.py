"""Data to train on within seconds: videos of grey squares whose size shows the distance."""

from __future__ import annotations

import csv
import socket
from dataclasses import dataclass, replace
from pathlib import Path

import av
import numpy as np

from trapmeter.frames.fill import fill_store
from trapmeter.frames.requests import read_requests
from trapmeter.frames.spec import StoreSpec
from trapmeter.frames.store import FrameStore
from trapmeter.models.input_spec import InputSpec, Resize, Target
from trapmeter.training.augment.settings import AugmentSettings
from trapmeter.training.recipes import CosineSchedule, Precision, Recipe
from trapmeter.training.settings import TrainSettings
from trapmeter.uncertainty import Uncertainty

SIZE_HW = (32, 48)
SECONDS = 4


@dataclass(frozen=True)
class World:
    """The paths of the tables, videos and frames."""

    labels: Path
    metadata: Path
    videos: Path
    store: Path


def tiny_recipe(**changes: object) -> Recipe:
    """A network of a few thousand weights, three epochs."""
    recipe = Recipe(
        name="tiny",
        backbone="test_efficientnet",
        weights="none",
        input=InputSpec(size_hw=SIZE_HW, offsets_s=(-1.0, 0.0, 1.0), resize=Resize.SWSCALE_AREA, target=Target.LOG1P),
        augment=AugmentSettings(),
        schedule=CosineSchedule(lr=3e-3, eta_min=1e-5, t_max=3),
        epochs=3,
        batch_size=4,
        precision=Precision.FP32,
        workers=0,
    )
    return replace(recipe, **changes)


def train_settings(world: World, out: Path, recipe: Recipe | None = None, **changes: object) -> TrainSettings:
    """The training of fold 0 of two on the world's data."""
    settings = TrainSettings(
        labels=world.labels,
        metadata=world.metadata,
        store=world.store,
        out=out,
        recipe=recipe or tiny_recipe(),
        n_folds=2,
        fold=0,
    )
    return replace(settings, **changes)


def make_world(folder: Path) -> World:
    """Twelve videos at six sites, four seconds each."""
    (folder / "videos").mkdir()
    rng = np.random.default_rng(0)
    labels = [("video_id", "time", "distance")]
    metadata = [("video_id", "time", "x1", "y1", "x2", "y2", "probability", "park", "site_id")]
    for number in range(12):
        name = f"v{number:02d}.mp4"
        with av.open(str(folder / "videos" / name), "w") as container:
            stream = container.add_stream("libx264", rate=2)
            stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
            for second in range(SECONDS):
                metres = float(rng.uniform(2, 12))
                half = int(60 / metres)
                labels.append((name, second, f"{metres:.1f}"))
                box = (0.5 - half / 96, 0.5 - half / 64, 0.5 + half / 96, 0.5 + half / 64)
                metadata.append((name, second, *(f"{v:.4f}" for v in box), 0.9, "park", f"s{number // 2}"))
                picture = np.full((64, 96, 3), 60, np.uint8)
                picture[32 - half : 32 + half, 48 - half : 48 + half] = 220
                for _ in range(2):
                    for packet in stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")):
                        container.mux(packet)
            for packet in stream.encode(None):
                container.mux(packet)
    for name, rows in (("labels.csv", labels), ("metadata.csv", metadata)):
        with (folder / name).open("w", newline="") as file:
            csv.writer(file).writerows(rows)
    made = World(folder / "labels.csv", folder / "metadata.csv", folder / "videos", folder / "store")
    store = FrameStore.create(made.store, StoreSpec(SIZE_HW, Resize.SWSCALE_AREA))
    requests, missing = read_requests([made.labels], made.videos, tiny_recipe().input.offsets_s)
    assert not missing
    assert fill_store(store, requests, jobs=1).n_failed_videos == 0
    return made


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def make_bundles(folder: Path, n: int = 2, uncertainty: Uncertainty | None = None) -> list[Path]:
    """Untrained networks of `tiny_recipe`, as bundles."""
    import torch

    from trapmeter.training.export import export_network
    from trapmeter.training.network import make_network

    recipe = tiny_recipe()
    folders = [folder / f"bundle-{seed}" for seed in range(n)]
    for seed, bundle in enumerate(folders):
        torch.manual_seed(seed)
        network = make_network(recipe.backbone, recipe.input, "none")
        torch.nn.init.constant_(network.body.output_layer.bias, 1.5 + seed)
        export_network(network, recipe.input, bundle, f"tiny-{seed}", "MIT", {}, uncertainty)
    return folders
