"""One process or many: who this process is, how they come together, and sums over all of them."""

from __future__ import annotations

import gc
import os
import re
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor

from trapmeter.errors import InputError, RunError

RENDEZVOUS_TIMEOUT = timedelta(minutes=10)
"""Hosts start at different times, and the slowest loads torch over the network; one that comes later never does."""
_CHUNK = 2**26
"""Bytes that are sent at a time, so that a state of gigabytes doesn't lie in a GPU's memory whole."""


@dataclass(frozen=True, slots=True)
class Ranks:
    """This process among all that train together. local_rank counts on this machine."""

    rank: int = 0
    world_size: int = 1
    local_rank: int = 0

    @property
    def is_first(self) -> bool:
        """The process that writes files and talks."""
        return self.rank == 0

    @property
    def device(self) -> torch.device:
        """This process's GPU, or the CPU."""
        return torch.device("cuda", self.local_rank) if torch.cuda.is_available() else torch.device("cpu")


ALONE = Ranks()


def ranks_from_environment(environment: Mapping[str, str] = os.environ) -> Ranks:
    """What torchrun, or Slurm's srun, says of this process; a lone process without either.

    Raises:
        InputError: a variable is no number or out of range.
    """
    for names in (("RANK", "WORLD_SIZE", "LOCAL_RANK"), ("SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID")):
        if not all(name in environment for name in names):
            continue
        try:
            rank, world_size, local_rank = (int(environment[name]) for name in names)
        except ValueError as error:
            raise InputError(f"{', '.join(names)} must be whole numbers: {error}") from error
        if not 0 <= rank < world_size:
            raise InputError(f"{names[0]}={rank} must lie below {names[1]}={world_size}")
        return Ranks(rank, world_size, local_rank)
    return ALONE


def rendezvous_address(environment: Mapping[str, str]) -> dict[str, str]:
    """Where the processes meet when nobody says so: torchrun does, srun doesn't.

    It is Slurm's first machine, and a port that follows from the job's number, so that two jobs don't meet.
    """
    machines = environment.get("SLURM_STEP_NODELIST") or environment.get("SLURM_JOB_NODELIST")
    port = 29_500 + int(environment.get("SLURM_JOB_ID", "11")) % 3_000
    return {"MASTER_ADDR": first_host(machines) if machines else "127.0.0.1", "MASTER_PORT": str(port)}


def first_host(node_list: str) -> str:
    """The first name of Slurm's short form of many: gpu[003-007,9],cpu1 begins with gpu003.

    Raises:
        InputError: it has brackets that don't close.
    """
    match = re.fullmatch(r"([^\[,]*)(?:\[(\w+)[^\]]*\]([^\[,]*))?(?:,.*)?", node_list)
    if match is None:
        raise InputError(f"not a list of machines as Slurm writes it: {node_list!r}; set MASTER_ADDR yourself")
    return "".join(part or "" for part in match.groups())


@contextmanager
def process_group(ranks: Ranks) -> Iterator[None]:
    """Joins the processes for as long as the block runs: nccl between GPUs, gloo between CPUs; nothing for a lone one."""
    if ranks.world_size == 1:
        yield
        return
    if ranks.device.type == "cuda":
        torch.cuda.set_device(ranks.device)
    for name, value in rendezvous_address(os.environ).items():
        os.environ.setdefault(name, value)
    try:
        dist.init_process_group(
            "nccl" if ranks.device.type == "cuda" else "gloo",
            rank=ranks.rank,
            world_size=ranks.world_size,
            timeout=RENDEZVOUS_TIMEOUT,
        )
    except RuntimeError as error:
        raise RunError(
            f"{ranks.world_size} processes were to meet at {os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']} and "
            f"didn't within {RENDEZVOUS_TIMEOUT.seconds // 60} minutes ({_first_line(error)}); start the command on "
            "all hosts by torchrun or srun, and see that the hosts reach each other there"
        ) from error
    try:
        yield
        # The first process still writes a bundle while the others are done; who leaves earlier may tear down what it uses.
        dist.barrier()
    except RuntimeError as error:
        if not is_peer_lost(error):
            raise
        raise RunError(
            f"another process of this training has ended ({_first_line(error)}); what it said before tells why. The same "
            "command goes on after the last whole epoch"
        ) from error
    finally:
        # A DistributedDataParallel that waits for the collector in a circle of references keeps the group's threads alive
        # until the interpreter ends, which then aborts now and then ("terminate called without an active exception").
        gc.collect()
        dist.destroy_process_group()


def is_peer_lost(error: RuntimeError) -> bool:
    """Whether an error of torch means that another process could not be reached any more."""
    # gloo's are plain RuntimeErrors that begin with the place in its sources.
    return isinstance(error, dist.DistError) or "/gloo/" in str(error)


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]


def exit_with_agent(environment: Mapping[str, str] = os.environ) -> None:
    """Under torchrun, ends this process when its agent is gone, even killed; elsewhere nothing.

    It would go on with a training, and hold its folder, that the other hosts are about to begin anew.
    """
    if "TORCHELASTIC_RUN_ID" in environment:
        threading.Thread(target=_exit_without_parent, args=(os.getppid(),), daemon=True).start()


def _exit_without_parent(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


def broadcast_buffers(network: torch.nn.Module, ranks: Ranks) -> None:
    """Gives all processes the first one's running statistics, so that they validate the same network."""
    if ranks.world_size > 1:
        for buffer in network.buffers():
            dist.broadcast(buffer, 0)


def sum_over_ranks(values: list[float], ranks: Ranks) -> list[float]:
    """The sums of values over all processes, in double precision."""
    if ranks.world_size == 1:
        return values
    tensor = torch.tensor(values, dtype=torch.float64, device=ranks.device if ranks.device.type == "cuda" else None)
    dist.all_reduce(tensor)
    return [float(value) for value in tensor.tolist()]


def sum_tensor(value: Tensor, ranks: Ranks) -> Tensor:
    """The sum of a tensor over all processes, where it is, without a gradient."""
    if ranks.world_size == 1:
        return value.detach()
    everywhere = value.detach().clone()
    dist.all_reduce(everywhere)
    return everywhere


def broadcast_bytes(content: bytes, ranks: Ranks) -> bytes:
    """The first process's bytes, in all processes; what the others give doesn't count."""
    if ranks.world_size == 1:
        return content
    size = torch.tensor([len(content)], dtype=torch.int64, device=ranks.device)
    dist.broadcast(size, 0)
    everywhere = bytearray(content if ranks.is_first else int(size))
    for start in range(0, len(everywhere), _CHUNK):
        here = torch.frombuffer(everywhere, dtype=torch.uint8)[start : start + _CHUNK]
        sent = here.to(ranks.device)
        dist.broadcast(sent, 0)
        here.copy_(sent)
    return content if ranks.is_first else bytes(everywhere)


def gather_tensors(values: Tensor, ranks: Ranks) -> list[Tensor]:
    """Every process's 1-D tensor, which may differ in length, in the order of ranks."""
    if ranks.world_size == 1:
        return [values]
    lengths = [torch.zeros(1, dtype=torch.int64, device=values.device) for _ in range(ranks.world_size)]
    dist.all_gather(lengths, torch.tensor([len(values)], device=values.device))
    longest = max(int(length) for length in lengths)
    padded = torch.zeros(longest, dtype=values.dtype, device=values.device)
    padded[: len(values)] = values
    parts = [torch.zeros_like(padded) for _ in range(ranks.world_size)]
    dist.all_gather(parts, padded)
    return [part[: int(length)] for part, length in zip(parts, lengths, strict=True)]
