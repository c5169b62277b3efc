"""Ranks from the environment, and gradients of two processes that equal those of one."""

import multiprocessing
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from training_world import free_port
from trapmeter.errors import InputError
from trapmeter.training.distributed import (
    Ranks,
    gather_tensors,
    process_group,
    ranks_from_environment,
    rendezvous_address,
    sum_over_ranks,
)


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, Ranks(0, 1, 0)),
        ({"RANK": "3", "WORLD_SIZE": "8", "LOCAL_RANK": "1"}, Ranks(3, 8, 1)),
        ({"SLURM_PROCID": "2", "SLURM_NTASKS": "4", "SLURM_LOCALID": "0"}, Ranks(2, 4, 0)),
        (
            {
                "RANK": "1",
                "WORLD_SIZE": "2",
                "LOCAL_RANK": "1",
                "SLURM_PROCID": "0",
                "SLURM_NTASKS": "1",
                "SLURM_LOCALID": "0",
            },
            Ranks(1, 2, 1),
        ),
    ],
)
def test_ranks_come_from_torchrun_or_slurm(environment: dict[str, str], expected: Ranks) -> None:
    assert ranks_from_environment(environment) == expected


def test_a_rank_out_of_range_is_refused() -> None:
    with pytest.raises(InputError, match="WORLD_SIZE"):
        ranks_from_environment({"RANK": "2", "WORLD_SIZE": "2", "LOCAL_RANK": "0"})
    with pytest.raises(InputError, match="integers"):
        ranks_from_environment({"RANK": "a", "WORLD_SIZE": "2", "LOCAL_RANK": "0"})


def test_processes_of_a_single_machine_meet_there() -> None:
    assert rendezvous_address({}) == {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29511"}


@pytest.mark.parametrize(
    ("node_list", "first"),
    [
        ("gpu7", "gpu7"),
        ("gpu7,gpu9", "gpu7"),
        ("gpu[003-007,9],cpu1", "gpu003"),
        ("rack[12,14]-ib,head", "rack12-ib"),
        ("a-b.example.org", "a-b.example.org"),
        ("head,gpu[1-3]", "head"),
    ],
)
def test_processes_meet_at_the_first_machine_of_slurm(node_list: str, first: str) -> None:
    found = rendezvous_address({"SLURM_STEP_NODELIST": node_list, "SLURM_JOB_ID": "4005"})
    assert found == {"MASTER_ADDR": first, "MASTER_PORT": "30505"}


def test_an_invalid_list_of_machines_is_refused() -> None:
    with pytest.raises(InputError, match="set MASTER_ADDR yourself"):
        rendezvous_address({"SLURM_STEP_NODELIST": "gpu[1"})


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.SiLU(), nn.Flatten(), nn.Linear(4 * 36, 1)).double()


def data() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return torch.rand(8, 3, 8, 8, generator=generator, dtype=torch.float64), torch.rand(
        8, 1, generator=generator
    ).double()


def one_rank(rank: int, port: int, folder: str) -> None:
    import os

    os.environ |= {
        "SLURM_PROCID": str(rank),
        "SLURM_NTASKS": "2",
        "SLURM_LOCALID": str(rank),
        "SLURM_STEP_NODELIST": "localhost,gpu[2-3]",
        "SLURM_JOB_ID": "77",
        "MASTER_PORT": str(port),
    }
    ranks = ranks_from_environment()
    with process_group(ranks):
        model = DistributedDataParallel(network())
        windows, expected = data()
        (model(windows[rank::2]) - expected[rank::2]).abs().mean().backward()
        gradients = [p.grad for p in model.parameters()]
        sums = sum_over_ranks([1.0 + rank, 10.0], ranks)
        parts = gather_tensors(torch.arange(3 + rank, dtype=torch.float64), ranks)
        if rank == 0:
            torch.save(
                {"gradients": gradients, "sums": sums, "lengths": [len(p) for p in parts]}, Path(folder) / "found.pt"
            )


@pytest.mark.slow
def test_gradients_of_two_processes_equal_those_of_one(tmp_path: Path) -> None:
    context, port = multiprocessing.get_context("spawn"), free_port()
    processes = [context.Process(target=one_rank, args=(rank, port, str(tmp_path))) for rank in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(1200)
        assert process.exitcode == 0
    found = torch.load(tmp_path / "found.pt", weights_only=True)
    alone = network()
    windows, expected = data()
    (alone(windows) - expected).abs().mean().backward()
    for gradient, parameter in zip(found["gradients"], alone.parameters(), strict=True):
        assert torch.allclose(gradient, parameter.grad, atol=1e-5, rtol=0)
    assert found["sums"] == [3.0, 20.0]
    assert found["lengths"] == [3, 4]
