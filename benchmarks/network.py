"""The real network on this machine: three optimiser steps of a recipe, in one process and in two.

With random windows of the recipe's size, it shows that the network trains, how long a step takes, and how much memory it
needs. Weights are random (--weights hub downloads timm's). Two processes communicate over gloo.

    python benchmarks/network.py [--recipe second_place] [--batch 2] [--processes 1 2] [--steps 3]
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import resource
import socket
import statistics
import time
from dataclasses import replace


def steps(rank: int, processes: int, recipe_name: str, batch: int, n_steps: int, weights: str, port: int) -> None:
    """Trains for a few steps; the first process prints its figures."""
    import torch
    from torch import nn
    from torch.nn.parallel import DistributedDataParallel

    from trapmeter.training.checkpoints import parameter_groups
    from trapmeter.training.distributed import Ranks, process_group
    from trapmeter.training.losses import weighted_l1
    from trapmeter.training.network import make_network
    from trapmeter.training.recipes import find_recipe

    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // processes))
    torch.manual_seed(0)
    recipe = replace(find_recipe(recipe_name), weights=weights)
    ranks = Ranks(rank, processes, rank)
    with process_group(ranks):
        network = make_network(recipe.backbone, recipe.input, recipe.weights, recipe.head)
        stepped: nn.Module = network if processes == 1 else DistributedDataParallel(network)
        optimiser = torch.optim.AdamW(parameter_groups(network, recipe.weight_decay), lr=recipe.schedule.rate(0))
        generator = torch.Generator().manual_seed(rank)
        seconds, losses = [], []
        for _ in range(n_steps):
            shape = (batch, recipe.input.n_channels, *recipe.input.size_hw)
            windows = torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)
            distance_m = torch.rand(batch, generator=generator) * 15
            started = time.perf_counter()
            loss = weighted_l1(stepped(windows).raw, network.encode(distance_m), torch.ones(batch))
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), recipe.clip_norm)
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
            seconds.append(time.perf_counter() - started)
            losses.append(float(loss.detach()))
    if rank == 0:
        n_weights = sum(p.numel() for p in network.parameters()) / 1e6
        peak_gb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        print(
            f"| {recipe.backbone} | {n_weights:.0f} M | {processes} | {processes * batch} x {recipe.input.size_hw} | "
            f"{statistics.median(seconds):.1f} | {peak_gb:.1f} | {', '.join(f'{loss:.2f}' for loss in losses)} |",
            flush=True,
        )


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", default="second_place")
    parser.add_argument("--batch", type=int, default=2, help="windows in each process")
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--weights", default="none")
    arguments = parser.parse_args()
    print("| network | weights | processes | windows per step | s per step | GB per process | loss |")
    print("| --- | --- | --- | --- | --- | --- | --- |", flush=True)
    context = multiprocessing.get_context("spawn")
    for processes in arguments.processes:
        rest = (processes, arguments.recipe, arguments.batch, arguments.steps, arguments.weights, free_port())
        running = [context.Process(target=steps, args=(rank, *rest)) for rank in range(processes)]
        for process in running:
            process.start()
        for process in running:
            process.join()


if __name__ == "__main__":
    main()
