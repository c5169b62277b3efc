"""The cost of a second host in training: the same steps in one process, in two on one host, and on two hosts over loopback.

Windows and weights are random, of the recipe's size; each process has one thread, and all share the recipe's batch. Hosts are
torchrun agents on this machine that communicate over gloo. CPU seconds per step are those of all training processes, without
start-up; the kernel counts the bytes over loopback, including other programs' traffic.

    python benchmarks/hosts.py [--recipe default_cpu] [--batch 8] [--steps 10]
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

LAYOUTS = {"one process": (1, 1), "one host, two processes": (1, 2), "two hosts, a process each": (2, 1)}
"""Number of hosts, and of processes on each."""


def work(recipe_name: str, batch: int, n_steps: int) -> None:
    """Runs in each process; after two steps to warm up, prints the figures of the others as a line of JSON."""
    import torch
    from torch import nn
    from torch.nn.parallel import DistributedDataParallel

    from trapmeter.training.checkpoints import start_training
    from trapmeter.training.dataset import GroundTruth
    from trapmeter.training.distributed import process_group, ranks_from_environment, sum_over_ranks
    from trapmeter.training.losses import batch_loss
    from trapmeter.training.network import make_network
    from trapmeter.training.recipes import find_recipe

    torch.set_num_threads(1)
    torch.manual_seed(0)
    recipe = replace(find_recipe(recipe_name), batch_size=batch)
    ranks = ranks_from_environment()
    n = len(range(ranks.rank, batch, ranks.world_size))
    with process_group(ranks):
        training = start_training(
            recipe, lambda: make_network(recipe.backbone, recipe.input, "none", recipe.head), ranks
        )
        stepped: nn.Module = training.network
        if ranks.world_size > 1:
            stepped = DistributedDataParallel(stepped)
        windows = torch.randint(0, 256, (n, recipe.input.n_channels, *recipe.input.size_hw), dtype=torch.uint8)
        box = torch.tensor([0.4, 0.4, 0.6, 0.8]).repeat(n, 1)
        truth = GroundTruth(torch.rand(n) * 15, torch.ones(n), box, torch.ones(n), torch.arange(n))
        for step in range(n_steps + 2):
            if step == 2:
                sum_over_ranks([0.0], ranks)
                sent, cpu_s, wall_s = loopback_bytes(), time.process_time(), time.perf_counter()
            batch_loss(recipe, training.network, stepped(windows), truth, ranks).backward()
            nn.utils.clip_grad_norm_(training.network.parameters(), recipe.clip_norm)
            training.optimiser.step()
            training.optimiser.zero_grad(set_to_none=True)
        cpu_s, wall_s = time.process_time() - cpu_s, time.perf_counter() - wall_s
        sum_over_ranks([0.0], ranks)
        sent = loopback_bytes() - sent
        weights = sum(parameter.numel() for parameter in training.network.parameters())
        figures = {"cpu_s": cpu_s, "wall_s": wall_s, "bytes": sent, "weights": weights, "rank": ranks.rank}
        # In a single write, since the processes of a host share its output.
        os.write(sys.stdout.fileno(), f"{json.dumps(figures)}\n".encode())


def loopback_bytes() -> int:
    """The bytes that this machine has sent to itself."""
    line = next(line for line in Path("/proc/net/dev").read_text().splitlines() if line.strip().startswith("lo:"))
    return int(line.split()[9])


def measure(hosts: int, processes: int, arguments: argparse.Namespace) -> tuple[list[dict[str, float]], float]:
    """The figures of all processes, and the total CPU seconds including start-up and agents."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    agents = []
    for host in range(hosts):
        command = [sys.executable, "-m", "torch.distributed.run", f"--nnodes={hosts}", f"--nproc-per-node={processes}"]
        command += ["--rdzv-backend=c10d", f"--rdzv-endpoint=127.0.0.1:{port}", f"--rdzv-conf=is_host={int(host == 0)}"]
        command += ["--local-addr=127.0.0.1", __file__, "--work", "--recipe", arguments.recipe]
        command += ["--batch", str(arguments.batch), "--steps", str(arguments.steps)]
        agents.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment))
    figures = []
    for agent in agents:
        output, _ = agent.communicate()
        if agent.returncode:
            sys.exit(f"an agent ended with status {agent.returncode}")
        figures += [json.loads(line) for line in output.splitlines() if line.startswith("{")]
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return figures, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", default="default_cpu")
    parser.add_argument("--batch", type=int, default=8, help="windows per step, over all processes")
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--work", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.work:
        work(arguments.recipe, arguments.batch, arguments.steps)
        return
    print("| | CPU s per step | wall s per step | MB sent per step | weights | CPU s with start-up |")
    print("| --- | --- | --- | --- | --- | --- |", flush=True)
    for name, (hosts, processes) in LAYOUTS.items():
        figures, cpu_s = measure(hosts, processes, arguments)
        step_s = sum(figure["cpu_s"] for figure in figures) / arguments.steps
        first = next(figure for figure in figures if figure["rank"] == 0)
        wall_s, sent = first["wall_s"] / arguments.steps, first["bytes"] / arguments.steps / 1e6
        print(
            f"| {name} | {step_s:.2f} | {wall_s:.2f} | {sent:.1f} | {first['weights'] / 1e6:.2f} M | {cpu_s:.1f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
