"""Variants of benchmarks/gpu.py: training steps, and the loader that feeds them."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from gpu_measure import (
    CannotMeasureError,
    Workload,
    free_memory,
    largest_that_fits,
    network_text,
    peak_gb,
    windows_per_second,
)
from gpu_table import Figures
from trapmeter.training.recipes import Precision, Recipe

if TYPE_CHECKING:
    from trapmeter.frames.store import FrameStore
    from trapmeter.training.distributed import Ranks


@dataclass(frozen=True)
class Training:
    """Steps of the training as `trapmeter train` makes them, with windows that are in memory already.

    batch: windows in a batch. accumulate: batches in a step, over all devices.
    """

    precision: Precision
    is_channels_last: bool
    is_compiled: bool
    batch: int
    is_autotuned: bool = False
    devices: int = 1
    accumulate: int = 1
    part: ClassVar[str] = "train"

    @property
    def name(self) -> str:
        """As in the table."""
        name = network_text(self.precision, self.is_channels_last, self.is_compiled)
        name += ", cuDNN tries its algorithms" if self.is_autotuned else ""
        if self.devices == 1:
            return name
        return f"{name}, {'a batch on each device' if self.accumulate == self.devices else 'devices share a batch'}"

    def measure(self, workload: Workload, ranks: Ranks) -> Figures:
        """Windows per second of all devices; with fewer windows in a batch if the memory is too small for that many."""
        import torch

        if self.precision is Precision.FP16 and ranks.device.type == "cpu":
            raise CannotMeasureError("fp16 trains on GPUs only")
        if self.is_autotuned and ranks.device.type == "cpu":
            raise CannotMeasureError("cuDNN is for GPUs only")
        torch.backends.cudnn.benchmark = self.is_autotuned
        try:
            return self._measure(workload, ranks, self.batch)
        except torch.OutOfMemoryError:
            # Compiling for every batch size would take too long, and other devices would wait for this one.
            if self.is_compiled or self.devices > 1:
                raise
        trial = replace(workload, steps=1, repeats=1)
        batch = largest_that_fits(lambda n: self._fits(trial, ranks, n), self.batch)
        if batch == 0:
            raise CannotMeasureError("out of memory, even with a batch of one window")
        free_memory()
        figures = self._measure(workload, ranks, batch)
        return replace(figures, note=f"out of memory with {self.batch}; {batch} is the largest batch that fits")

    def _fits(self, trial: Workload, ranks: Ranks, batch: int) -> bool:
        import torch

        free_memory()
        try:
            self._measure(trial, ranks, batch)
        except torch.OutOfMemoryError:
            return False
        return True

    def _measure(self, workload: Workload, ranks: Ranks, batch: int) -> Figures:
        import torch

        from trapmeter.training.checkpoints import start_training
        from trapmeter.training.distributed import process_group
        from trapmeter.training.loop import network_of_steps, train_epoch
        from trapmeter.training.network import make_network

        torch.manual_seed(0)
        changes = {"batch_size": batch, "accumulate": self.accumulate, "precision": self.precision}
        recipe = replace(workload.recipe, **changes, compile=self.is_compiled)
        with process_group(ranks):
            training = start_training(
                recipe, lambda: make_network(recipe.backbone, recipe.input, recipe.weights, recipe.head), ranks
            )
            if not self.is_channels_last:
                training.network.to(memory_format=torch.contiguous_format)
            stepped = network_of_steps(recipe, training.network, ranks)
            batches = _random_batches(recipe, ranks) * workload.steps

            def steps() -> None:
                rate = recipe.schedule.eta_min
                train_epoch(recipe, training, stepped, iter(batches), len(batches), rate, ranks.device, ranks)

            n_windows = workload.steps * self.accumulate * batch
            rate, first_s = windows_per_second(steps, n_windows, workload.repeats, ranks.device)
        note = f"first repeat, with compiling: {first_s:.0f} s" if self.is_compiled else ""
        return Figures(rate, batch, *peak_gb(ranks.device), note)


@dataclass(frozen=True)
class Loading:
    """The loader alone: windows of the demo's clips from a frame store, with the recipe's augmentation."""

    workers: int
    batch: int
    devices: ClassVar[int] = 1
    part: ClassVar[str] = "loader"

    @property
    def name(self) -> str:
        """As in the table."""
        return f"{self.workers} loader process{'' if self.workers == 1 else 'es'}"

    def measure(self, workload: Workload, ranks: Ranks) -> Figures:
        """Windows per second of all loader processes together."""
        from trapmeter.training.dataset import DatasetItem, WindowDataset
        from trapmeter.training.loading import WindowLoader
        from trapmeter.training.samples import Sample

        recipe, store = workload.recipe, _demo_store(workload)
        samples = [Sample(video, float(second), 5.0) for video in sorted(store.video_ids()) for second in range(2, 6)]
        windows = WindowDataset(store, samples, recipe)
        n_batches = max(1, self.workers) * workload.steps
        items = [DatasetItem(n % len(samples), n // len(samples)) for n in range(n_batches * self.batch)]
        batches = [items[start : start + self.batch] for start in range(0, len(items), self.batch)]
        loader = WindowLoader(windows, self.workers, is_pinned=ranks.device.type == "cuda")

        def load() -> None:
            for _ in loader.load(batches):
                pass

        rate, _ = windows_per_second(load, len(items), workload.repeats, ranks.device)
        return Figures(rate, self.batch, note=f"{rate / max(1, self.workers):.1f} windows/s for each process")


def _random_batches(recipe: Recipe, ranks: Ranks) -> list[Any]:
    """This process's batches of one step."""
    import torch

    from trapmeter.training.dataset import GroundTruth, training_batches

    shares = training_batches(
        recipe.batch_size * recipe.accumulate, 0, 0, recipe.batch_size, recipe.accumulate, ranks.rank, ranks.world_size
    )
    generator = torch.Generator().manual_seed(ranks.rank)
    batches = []
    for n in map(len, shares):
        shape = (n, recipe.input.n_channels, *recipe.input.size_hw)
        windows = torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)
        box = torch.tensor([0.4, 0.4, 0.6, 0.8]).repeat(n, 1)
        distance_m = torch.rand(n, generator=generator) * 15
        truth = GroundTruth(distance_m, torch.ones(n), box, torch.ones(n), torch.arange(n))
        # The loader hands over pinned memory too.
        facts = torch.full((n, len(recipe.input.facts)), math.nan)
        batches.append((windows.pin_memory() if ranks.device.type == "cuda" else windows, facts, truth))
    return batches


def _demo_store(workload: Workload) -> FrameStore:
    """A frame store of the demo's clips, made by the first variant that needs it."""
    from trapmeter.demo.clips import CLIPS
    from trapmeter.frames.fill import fill_store
    from trapmeter.frames.requests import FrameRequest
    from trapmeter.frames.spec import Codec, StoreSpec
    from trapmeter.frames.store import FrameStore
    from trapmeter.media.discovery import find_media
    from trapmeter.models.input_spec import Resize

    spec = workload.recipe.input
    # As docs/how-to/training-and-machines/gpu-server.md has it.
    codec = Codec.PNG if spec.resize is Resize.OPENCV_LINEAR else Codec.JPEG
    store = FrameStore.create(workload.folder / "store", StoreSpec(spec.size_hw, spec.resize, codec))
    if not store.video_ids():
        times_s = tuple(float(second) for second in range(8))
        fill_store(store, [FrameRequest(medium, times_s) for medium in find_media([CLIPS]).media], jobs=1)
    return store
