"""Checks across processes: same settings, same data, a shared folder, and errors raised everywhere.

Without it, one host's missing folder leaves the others waiting for it, and two versions train a mixture without a word. Each
of these functions is called by all processes alike, and does nothing that costs time in a lone one.
"""

from __future__ import annotations

import json
import secrets
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from trapmeter.errors import InputError, ModelError, RunError, TrapmeterError
from trapmeter.files import atomic_file
from trapmeter.training.distributed import Ranks, broadcast_bytes, gather_tensors

_ERROR_TYPES = {kind.__name__: kind for kind in (InputError, ModelError, RunError)}


@contextmanager
def failing_together(ranks: Ranks) -> Iterator[None]:
    """Runs a block, and goes on only where it went well in every process.

    Raises:
        TrapmeterError, OSError: what this process's block raised.
        TrapmeterError: what another's did, with its host's name.
    """
    if ranks.world_size == 1:
        yield
        return
    error: TrapmeterError | OSError | None = None
    try:
        yield
    except (TrapmeterError, OSError) as raised:
        error = raised
    mine = {} if error is None else {"kind": type(error).__name__, "text": str(error)}
    told = gather_facts({"host": socket.gethostname(), **mine}, ranks)
    if error is not None:
        raise error
    for rank, other in enumerate(told):
        if "text" in other:
            kind = _ERROR_TYPES.get(other["kind"], RunError)
            raise kind(f"process {rank} on host {other['host']}: {other['text']}")


def check_ranks_agree(facts: Mapping[str, Any], ranks: Ranks) -> None:
    """Makes sure that every process has the same facts, such as versions and checksums: plain values by name, nested or not.

    Raises:
        RunError: in all processes, when one has others than the first.
    """
    if ranks.world_size == 1:
        return
    told = gather_facts({"host": socket.gethostname(), "facts": facts}, ranks)
    problems = [
        f"{name} is {its!r} in process {rank} on host {other['host']}, and {firsts!r} in process 0 on host {told[0]['host']}"
        for rank, other in enumerate(told)
        for name, firsts, its in differences(told[0]["facts"], other["facts"])
    ]
    if problems:
        raise RunError(
            f"the hosts don't train the same: {'; '.join(problems[:3])}; give all of them the same version of trapmeter, "
            "the same command, and the same tables and frames"
        )


def differences(one: Any, other: Any, name: str = "") -> list[tuple[str, Any, Any]]:
    """Where two nested mappings of plain values differ: the name, with dots between its parts, and both values."""
    if isinstance(one, dict) and isinstance(other, dict):
        keys = sorted({*one, *other})
        return [
            found for key in keys for found in differences(one.get(key), other.get(key), f"{name}.{key}".lstrip("."))
        ]
    return [] if one == other else [(name, one, other)]


def check_shared_folder(folder: Path, ranks: Ranks) -> None:
    """Makes sure that all processes see the folder that the first one writes to, not another one of the same name.

    Raises:
        RunError: in all processes, when one doesn't.
    """
    if ranks.world_size == 1:
        return
    name = f".seen-{secrets.token_hex(8)}" if ranks.is_first else ""
    path = folder / broadcast_bytes(name.encode(), ranks).decode()
    try:
        with failing_together(ranks):
            if ranks.is_first:
                with atomic_file(path) as file:
                    file.write("Whether all hosts see this folder; it may be deleted.\n")
        with failing_together(ranks):
            if not path.exists():
                raise RunError(
                    f"{folder} is not the folder that the first host writes to; give an --out that lies on a file system "
                    "that all hosts share, under the same path"
                )
    finally:
        if ranks.is_first:
            path.unlink(missing_ok=True)


def gather_facts(facts: Mapping[str, Any], ranks: Ranks) -> Sequence[dict[str, Any]]:
    """What every process says, in the order of ranks; plain values that JSON knows."""
    mine = torch.frombuffer(bytearray(json.dumps(dict(facts)).encode()), dtype=torch.uint8).to(ranks.device)
    return [json.loads(bytes(part.cpu().tolist())) for part in gather_tensors(mine, ranks)]
