"""Settings of a training step: accumulation, a running mean of the weights, precision, compilation."""

import multiprocessing
import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from training_world import World, free_port, tiny_recipe
from trapmeter.frames.store import FrameStore
from trapmeter.training.distributed import Ranks, process_group, ranks_from_environment
from trapmeter.training.loop import train_fold
from trapmeter.training.network import DistanceNetwork, PooledNetwork
from trapmeter.training.recipes import Precision, Recipe
from trapmeter.training.samples import read_samples
from trapmeter.training.training_log import read_metrics

pytestmark = pytest.mark.slow


def linear(recipe: Recipe) -> DistanceNetwork:
    """A network without batch norm, so that the batch size only changes the mean over it."""
    torch.manual_seed(0)
    backbone = nn.Sequential(nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(16 * recipe.input.n_channels, 1))
    return DistanceNetwork(PooledNetwork(backbone), recipe.input.target)


def trained(
    world: World, folder: Path, ranks: Ranks | None = None, **changes: object
) -> tuple[dict[str, Tensor], list[float]]:
    """The last weights, and the loss of each epoch."""
    recipe = tiny_recipe(**changes)
    samples = read_samples(world.labels, world.metadata)
    held_out, train = samples[:16], samples[16:]
    folder.mkdir(exist_ok=True)
    train_fold(
        recipe, FrameStore.open(world.store), train, held_out, lambda: linear(recipe), folder, ranks or Ranks(), print
    )
    return load_file(folder / "last.safetensors"), [record.loss for record in read_metrics(folder)]


def test_accumulated_batches_equal_one_large_batch(world: World, tmp_path: Path) -> None:
    large, _ = trained(world, tmp_path / "large", batch_size=8)
    small, _ = trained(world, tmp_path / "small", batch_size=4, accumulate=2)
    other, _ = trained(world, tmp_path / "other", batch_size=4)
    for name, weights in large.items():
        torch.testing.assert_close(small[name], weights, rtol=1e-4, atol=1e-6)
        assert not torch.allclose(other[name], weights, rtol=1e-3)


STEP = {"batch_size": 4, "accumulate": 4, "precision": Precision.FP64, "workers": 0}


def one_of_two(rank: int, port: int, world: World, folder: Path) -> None:
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": "2", "LOCAL_RANK": str(rank)}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    torch.set_num_threads(1)
    ranks = ranks_from_environment()
    with process_group(ranks):
        trained(world, folder, ranks, **STEP)


def test_processes_with_a_batch_each_equal_a_single_process(world: World, tmp_path: Path) -> None:
    (tmp_path / "two").mkdir()
    port = free_port()
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=one_of_two, args=(rank, port, world, tmp_path / "two")) for rank in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(3000)
        assert process.exitcode == 0
    alone, losses = trained(world, tmp_path / "alone", **STEP)
    together = load_file(tmp_path / "two/last.safetensors")
    for name, weights in alone.items():
        torch.testing.assert_close(together[name], weights, rtol=1e-9, atol=1e-12)
    assert [record.loss for record in read_metrics(tmp_path / "two")] == pytest.approx(losses, rel=1e-9)


def test_the_running_mean_lags_behind_the_weights(world: World, tmp_path: Path) -> None:
    plain, losses = trained(world, tmp_path / "plain")
    mean, mean_losses = trained(world, tmp_path / "mean", ema_decay=0.9)
    # The steps are the same, but not the saved weights.
    assert losses == mean_losses
    first = linear(tiny_recipe()).state_dict()
    for name, weights in plain.items():
        assert torch.norm(mean[name] - first[name]) < torch.norm(weights - first[name])


def test_a_running_mean_resumes_after_an_interruption(world: World, tmp_path: Path) -> None:
    uninterrupted, _ = trained(world, tmp_path / "uninterrupted", ema_decay=0.9)
    recipe = tiny_recipe(ema_decay=0.9)
    samples = read_samples(world.labels, world.metadata)
    folder = tmp_path / "interrupted"
    folder.mkdir()
    store = FrameStore.open(world.store)
    for epochs in (1, 3):
        part = replace(recipe, epochs=epochs)
        train_fold(part, store, samples[16:], samples[:16], lambda: linear(recipe), folder, Ranks(), print)
    again = load_file(folder / "last.safetensors")
    assert all(torch.equal(again[name], weights) for name, weights in uninterrupted.items())


def test_half_precision_gives_similar_losses(world: World, tmp_path: Path) -> None:
    _, full = trained(world, tmp_path / "full")
    _, half = trained(world, tmp_path / "half", precision=Precision.BF16)
    assert half != full
    assert half == pytest.approx(full, rel=0.02)


def test_double_precision_gives_similar_losses_and_double_weights(world: World, tmp_path: Path) -> None:
    _, single = trained(world, tmp_path / "single")
    weights, double = trained(world, tmp_path / "double", precision=Precision.FP64)
    assert double != single
    assert double == pytest.approx(single, rel=1e-4)
    assert {weight.dtype for weight in weights.values()} == {torch.float64}


def test_a_compiled_network_gives_the_same_losses(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled = torch.compile
    # Only the tracing is tested, as the translation to C++ needs a compiler, which some machines lack.
    monkeypatch.setattr(torch, "compile", lambda network: compiled(network, backend="eager"))
    _, plain = trained(world, tmp_path / "plain")
    _, traced = trained(world, tmp_path / "compiled", compile=True)
    assert traced == pytest.approx(plain, rel=1e-5)
