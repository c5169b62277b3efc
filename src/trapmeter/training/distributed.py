"""One process or many: ranks, process group, and sums, broadcasts and gathers over ranks."""

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
"""Hosts start at different times, and the slowest may load torch over the network."""
_CHUNK = 2**26
"""Bytes sent at a time, so that a state of gigabytes doesn't fill a GPU's memory."""


@dataclass(frozen=True, slots=True)
class Ranks:
    """This process among all that train together: its number, how many there are, and its number on this machine."""

    rank: int = 0
    world_size: int = 1
    local_rank: int = 0

    @property
    def is_first(self) -> bool:
        """Whether this is the process that writes files and announces."""
        return self.rank == 0

    @property
    def device(self) -> torch.device:
        """This process's GPU, or the CPU."""
        return torch.device("cuda", self.local_rank) if torch.cuda.is_available() else torch.device("cpu")


ALONE = Ranks()


def ranks_from_environment(environment: Mapping[str, str] = os.environ) -> Ranks:
    """This process's ranks as torchrun or Slurm's srun set them; a single process without either.

    Raises:
        InputError: a variable is not an integer or out of range.
    """
    for names in (("RANK", "WORLD_SIZE", "LOCAL_RANK"), ("SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID")):
        if not all(name in environment for name in names):
            continue
        try:
            rank, world_size, local_rank = (int(environment[name]) for name in names)
        except ValueError as error:
            raise InputError(f"{', '.join(names)} must be integers: {error}") from error
        if not 0 <= rank < world_size:
            raise InputError(f"{names[0]}={rank} must be less than {names[1]}={world_size}")
        return Ranks(rank, world_size, local_rank)
    return ALONE


def rendezvous_address(environment: Mapping[str, str]) -> dict[str, str]:
    """Where the processes meet if the environment doesn't say so: torchrun sets it, srun doesn't.

    It is Slurm's first machine, with a port derived from the job's number, so that two jobs don't collide.
    """
    machines = environment.get("SLURM_STEP_NODELIST") or environment.get("SLURM_JOB_NODELIST")
    port = 29_500 + int(environment.get("SLURM_JOB_ID", "11")) % 3_000
    return {"MASTER_ADDR": first_host(machines) if machines else "127.0.0.1", "MASTER_PORT": str(port)}


def first_host(node_list: str) -> str:
    """The first name in Slurm's compressed list of machines: gpu003 in gpu[003-007,9],cpu1.

    Raises:
        InputError: a bracket isn't closed.
    """
    match = re.fullmatch(r"([^\[,]*)(?:\[(\w+)[^\]]*\]([^\[,]*))?(?:,.*)?", node_list)
    if match is None:
        raise InputError(f"expected a list of machines in Slurm's form, got {node_list!r}; set MASTER_ADDR yourself")
    return "".join(part or "" for part in match.groups())


@contextmanager
def process_group(ranks: Ranks) -> Iterator[None]:
    """Joins the processes while the block runs, with nccl between GPUs and gloo between CPUs; a single process is left alone.

    Raises:
        RunError: the processes didn't meet, or another one ended.
    """
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
            f"{ranks.world_size} processes did not meet at {os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']} "
            f"within {RENDEZVOUS_TIMEOUT.seconds // 60} minutes ({_first_line(error)}); start the command with torchrun or "
            "srun on all hosts, and check that they can reach each other at this address"
        ) from error
    try:
        yield
        # The others wait while the first process writes the bundle: leaving earlier could end connections that it uses.
        dist.barrier()
    except RuntimeError as error:
        if not is_peer_lost(error):
            raise
        raise RunError(
            f"another process of this training has ended ({_first_line(error)}); its own messages say why. Run the same "
            "command again to resume after the last complete epoch"
        ) from error
    finally:
        # Without this, a DistributedDataParallel in a reference cycle keeps the group's threads alive until the interpreter
        # ends, which then sometimes aborts ("terminate called without an active exception").
        gc.collect()
        dist.destroy_process_group()


def is_peer_lost(error: RuntimeError) -> bool:
    """Whether an error of torch means that another process can no longer be reached."""
    # gloo raises a plain RuntimeError that starts with a path of its sources.
    return isinstance(error, dist.DistError) or "/gloo/" in str(error)


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]


def exit_with_agent(environment: Mapping[str, str] = os.environ) -> None:
    """Under torchrun, ends this process once its agent is gone, even if it was killed.

    Otherwise the process would train on and keep the folder locked while the other hosts start again.
    """
    if "TORCHELASTIC_RUN_ID" in environment:
        exit_with_parent()


def exit_with_parent() -> None:
    """Ends this process once the one that started it is gone, even if that one was killed."""
    threading.Thread(target=_exit_without_parent, args=(os.getppid(),), daemon=True).start()


def _exit_without_parent(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


def broadcast_buffers(network: torch.nn.Module, ranks: Ranks) -> None:
    """Copies the first process's batch-norm statistics to all, so that they validate the same network."""
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
    """The sum of a tensor over all processes, on its device, without a gradient."""
    if ranks.world_size == 1:
        return value.detach()
    total = value.detach().clone()
    dist.all_reduce(total)
    return total


def broadcast_bytes(content: bytes, ranks: Ranks) -> bytes:
    """The first process's bytes, in all processes; those of the others are ignored."""
    if ranks.world_size == 1:
        return content
    size = torch.tensor([len(content)], dtype=torch.int64, device=ranks.device)
    dist.broadcast(size, 0)
    received = bytearray(content if ranks.is_first else int(size))
    for start in range(0, len(received), _CHUNK):
        chunk = torch.frombuffer(received, dtype=torch.uint8)[start : start + _CHUNK]
        sent = chunk.to(ranks.device)
        dist.broadcast(sent, 0)
        chunk.copy_(sent)
    return content if ranks.is_first else bytes(received)


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
