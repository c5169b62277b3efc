"""Trains one fold: epochs, validation, checkpoints, and resuming after an interruption."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from trapmeter.errors import RunError
from trapmeter.frames.store import FrameStore
from trapmeter.progress import Announce
from trapmeter.training import checkpoints
from trapmeter.training.checkpoints import TrainingState, start_training
from trapmeter.training.dataset import (
    GroundTruth,
    WindowDataset,
    deals_whole_batches,
    describe_shares,
    held_out_facts,
    is_size_told,
    training_batches,
    validation_batches,
)
from trapmeter.training.distributed import Ranks, broadcast_buffers, gather_tensors, sum_over_ranks
from trapmeter.training.loading import WindowLoader
from trapmeter.training.losses import at_least_fp32, batch_loss
from trapmeter.training.network import DistanceNetwork, NetworkOutput
from trapmeter.training.rank_checks import failing_together
from trapmeter.training.recipes import Precision, Recipe
from trapmeter.training.samples import Sample
from trapmeter.training.training_log import EpochRecord, FoldResult, TrainingLog

BEST, LAST = "best.safetensors", "last.safetensors"


def train_fold(
    recipe: Recipe,
    store: FrameStore,
    train: Sequence[Sample],
    held_out: Sequence[Sample],
    make: Callable[[], DistanceNetwork],
    folder: Path,
    ranks: Ranks,
    announce: Announce,
) -> FoldResult:
    """Trains one fold to its end, and resumes where an earlier call was interrupted.

    Files left in folder: best.safetensors (lowest error on held_out), last.safetensors, valley-N.safetensors (at the minima
    of the learning rate), metrics.csv, held_out.csv (the best epoch's predictions), TensorBoard's events and curve.png.

    Raises:
        RunError: the loss is not a finite number, or the disk is full.
    """
    device = ranks.device
    torch.manual_seed(recipe.seed)
    if ranks.world_size > 1:
        announce(
            f"{ranks.world_size} processes, {describe_shares(recipe.batch_size, recipe.accumulate, ranks.world_size)} each"
        )
    with failing_together(ranks):
        training = start_training(recipe, make, ranks)
    state = checkpoints.load_state(folder, ranks)
    if state is not None:
        announce(training.restore(state))
    stepped = network_of_steps(recipe, training.network, ranks)
    # One set for both, so that the same loader processes serve training and validation.
    windows = WindowDataset(store, [*train, *held_out], recipe)
    val_batches = validation_batches(len(held_out), recipe.batch_size, ranks.rank, ranks.world_size, first=len(train))
    n_workers = min(recipe.workers, max(len(train) // recipe.batch_size, len(val_batches)))
    loader = WindowLoader(windows, n_workers, is_pinned=device.type == "cuda")
    with failing_together(ranks):
        log = TrainingLog(folder, training.epoch) if ranks.is_first else None
    told = None
    if recipe.input.facts:
        facts = (held_out_facts(sample, recipe, len(train) + n) for n, sample in enumerate(held_out))
        told = [is_size_told(known, sample.box) for known, sample in zip(facts, held_out, strict=True)]
    for epoch in range(training.epoch, recipe.epochs):
        started = time.perf_counter()
        rate = recipe.schedule.rate(epoch)
        # The seed of dropout and the like: the same after an interruption, and another one on every device.
        torch.manual_seed(_rank_seed(recipe.seed, epoch, ranks.rank))
        batches = training_batches(
            len(train), epoch, recipe.seed, recipe.batch_size, recipe.accumulate, ranks.rank, ranks.world_size
        )
        loss = train_epoch(recipe, training, stepped, loader.load(batches), len(batches), rate, device, ranks)
        loaded = loader.load(val_batches)
        metres = _validate(recipe, training.evaluated_network, loaded, len(train), len(held_out), device, ranks)
        mae_m = float(np.abs(metres - [sample.distance_m for sample in held_out]).mean()) if len(metres) else math.nan
        training.epoch = epoch + 1
        is_best = mae_m < training.best_mae_m
        training.best_mae_m = min(training.best_mae_m, mae_m)
        record = EpochRecord(epoch, rate, loss, mae_m, time.perf_counter() - started)
        with failing_together(ranks):
            if log is not None:
                if is_best:
                    log.write_held_out(held_out, metres, told)
                log.add(record)
                _save_epoch(training, folder, is_best=is_best, is_valley=recipe.schedule.is_valley(epoch))
        announce(
            f"epoch {epoch + 1} of {recipe.epochs}: loss {loss:.4f}"
            f"{f', held-out error {mae_m:.3f} m' if held_out else ''}{' (best)' if is_best else ''}, "
            f"{record.seconds:.0f} s"
        )
    with failing_together(ranks):
        if log is not None:
            checkpoints.save_weights(folder / LAST, training.evaluated_network.state_dict())
            if not (folder / BEST).exists():
                # Nothing was held out, so the last weights are the only choice.
                checkpoints.save_weights(folder / BEST, training.evaluated_network.state_dict())
            log.finish()
    return FoldResult(training.best_mae_m, recipe.epochs)


def _save_epoch(training: TrainingState, folder: Path, *, is_best: bool, is_valley: bool) -> None:
    """Writes the weights and the state that an epoch leaves."""
    weights = training.evaluated_network.state_dict()
    if is_best:
        checkpoints.save_weights(folder / BEST, weights)
    if is_valley:
        checkpoints.save_weights(folder / f"valley-{training.epoch - 1}.safetensors", weights)
    # Last, since an epoch that is interrupted before this line is repeated, with the same results.
    checkpoints.save_state(folder, training.state())


def network_of_steps(recipe: Recipe, network: DistanceNetwork, ranks: Ranks) -> nn.Module:
    """The network as training steps call it: with gradients shared by all processes, and compiled if the recipe says so."""
    stepped: nn.Module = network
    if ranks.world_size > 1:
        on_gpu = ranks.device.type == "cuda"
        stepped = DistributedDataParallel(stepped, device_ids=[ranks.local_rank] if on_gpu else None)
    if recipe.compile:
        stepped = torch.compile(stepped)  # type: ignore[assignment]
    return stepped


def train_epoch(
    recipe: Recipe,
    training: TrainingState,
    stepped: nn.Module,
    batches: Iterator[Any],
    n_batches_of_epoch: int,
    rate: float,
    device: torch.device,
    ranks: Ranks,
) -> float:
    """One pass over the training windows; the mean loss over all processes.

    stepped: what `network_of_steps` makes of the training's network. batches: this process's, each with windows as bytes
    (n, channels, height, width) and their ground truth, on the CPU. n_batches_of_epoch: of this process. rate: the learning
    rate.

    Raises:
        RunError: the loss is not a finite number.
    """
    training.network.train()
    for group in training.optimiser.param_groups:
        group["lr"] = rate
    loss_sum, n_batches = 0.0, 0
    # The ranks that share each batch, and how many batches of a step this process has.
    sharing, n_batches_per_step = ranks, recipe.accumulate
    if deals_whole_batches(recipe.accumulate, ranks.world_size):
        sharing, n_batches_per_step = Ranks(), recipe.accumulate // ranks.world_size
    for number, batch in enumerate(batches):
        if recipe.warm_up and training.epoch == 0:
            for group in training.optimiser.param_groups:
                group["lr"] = rate * (number + 1) / n_batches_of_epoch
        windows, facts = (part.to(device, non_blocking=True) for part in batch[:2])
        truth = GroundTruth(*(part.to(device) for part in batch[2]))
        is_step = (number + 1) % n_batches_per_step == 0
        no_sync = nullcontext() if is_step or ranks.world_size == 1 else stepped.no_sync()  # type: ignore[operator]
        with no_sync:
            with _autocast(recipe, device):
                output: NetworkOutput = stepped(windows, facts)
            loss = batch_loss(recipe, training.network, output, truth, sharing)
            training.scaler.scale(loss / n_batches_per_step).backward()  # type: ignore[no-untyped-call]
        value = float(loss.detach())
        if not math.isfinite(value):
            raise RunError(
                f"the loss is {value} in batch {number + 1} of the epoch: the learning rate is too high, or a label or "
                "frame is damaged; training stopped, and the last epoch's state is kept"
            )
        loss_sum, n_batches = loss_sum + value, n_batches + 1
        if not is_step:
            continue
        training.scaler.unscale_(training.optimiser)
        nn.utils.clip_grad_norm_(training.network.parameters(), recipe.clip_norm)
        training.scaler.step(training.optimiser)
        training.scaler.update()
        training.optimiser.zero_grad(set_to_none=True)
        if training.ema is not None:
            training.ema.update_parameters(training.network)  # type: ignore[operator]
    loss_sum, count = sum_over_ranks([loss_sum, float(n_batches)], ranks)
    return loss_sum / count


@torch.no_grad()
def _validate(
    recipe: Recipe,
    network: DistanceNetwork,
    batches: Iterator[Any],
    first: int,
    n_samples: int,
    device: torch.device,
    ranks: Ranks,
) -> np.ndarray:
    """The predicted metres (n,) of the held-out samples, in their order; the processes share the work.

    first: the number of the first held-out sample among all.
    """
    network.eval()
    broadcast_buffers(network, ranks)
    predictions, indices = [torch.zeros(0, dtype=torch.float64)], [torch.zeros(0, dtype=torch.float64)]
    for batch in batches:
        windows, facts, truth = batch
        with _autocast(recipe, device):
            raw = network(windows.to(device), facts.to(device)).raw
        predictions.append(network.metres(at_least_fp32(raw)).double().cpu())
        indices.append(truth.sample.double() - first)
    metres = np.zeros(n_samples)
    gathered = (
        gather_tensors(torch.cat(predictions).to(device), ranks),
        gather_tensors(torch.cat(indices).to(device), ranks),
    )
    for part, positions in zip(*gathered, strict=True):
        metres[positions.cpu().numpy().astype(int)] = part.cpu().numpy()
    return metres


def _autocast(recipe: Recipe, device: torch.device) -> Any:
    dtype = {Precision.FP16: torch.float16, Precision.BF16: torch.bfloat16}.get(recipe.precision)
    # On a CPU, fp16 is slower than fp32.
    if dtype is None or (device.type == "cpu" and dtype is torch.float16):
        return nullcontext()
    return torch.autocast(device.type, dtype=dtype)


def _rank_seed(seed: int, epoch: int, rank: int) -> int:
    return int(np.random.SeedSequence([seed, epoch, rank]).generate_state(1)[0])
