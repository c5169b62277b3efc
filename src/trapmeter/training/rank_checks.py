"""Checks across processes: same settings, same data, a shared folder, and errors raised everywhere.

Without these checks, one host's missing folder would leave the others waiting, and two versions would silently train a
mixture. All processes call each of these functions with the same arguments; a single process skips them.
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
    """Runs a block and raises in every process if it failed in any of them.

    Raises:
        TrapmeterError, OSError: this process's own error.
        TrapmeterError: another process's error, with the name of its host.
    """
    if ranks.world_size == 1:
        yield
        return
    error: TrapmeterError | OSError | None = None
    try:
        yield
    except (TrapmeterError, OSError) as raised:
        error = raised
    failure = {} if error is None else {"kind": type(error).__name__, "text": str(error)}
    reports = gather_facts({"host": socket.gethostname(), **failure}, ranks)
    if error is not None:
        raise error
    for rank, other in enumerate(reports):
        if "text" in other:
            kind = _ERROR_TYPES.get(other["kind"], RunError)
            raise kind(f"process {rank} on host {other['host']}: {other['text']}")


def check_ranks_agree(facts: Mapping[str, Any], ranks: Ranks) -> None:
    """Checks that all processes have the same facts, such as versions and checksums: plain values by name, nested or not.

    Raises:
        RunError: in all processes, if one differs from the first.
    """
    if ranks.world_size == 1:
        return
    reports = gather_facts({"host": socket.gethostname(), "facts": facts}, ranks)
    problems = [
        f"{name} is {own!r} in process {rank} on host {other['host']}, "
        f"and {first!r} in process 0 on host {reports[0]['host']}"
        for rank, other in enumerate(reports)
        for name, first, own in differences(reports[0]["facts"], other["facts"])
    ]
    if problems:
        raise RunError(
            f"the hosts would train different networks: {'; '.join(problems[:3])}; use the same version of trapmeter, "
            "the same command, tables and frames on all of them"
        )


def differences(left: Any, right: Any, name: str = "") -> list[tuple[str, Any, Any]]:
    """Where two nested mappings of plain values differ: the dotted name and both values."""
    if isinstance(left, dict) and isinstance(right, dict):
        keys = sorted({*left, *right})
        return [
            entry for key in keys for entry in differences(left.get(key), right.get(key), f"{name}.{key}".lstrip("."))
        ]
    return [] if left == right else [(name, left, right)]


def check_shared_folder(folder: Path, ranks: Ranks) -> None:
    """Checks that all processes see the folder that the first one writes to, not another one of the same name.

    Raises:
        RunError: in all processes, if one doesn't.
    """
    if ranks.world_size == 1:
        return
    name = f".seen-{secrets.token_hex(8)}" if ranks.is_first else ""
    path = folder / broadcast_bytes(name.encode(), ranks).decode()
    try:
        with failing_together(ranks):
            if ranks.is_first:
                with atomic_file(path) as file:
                    file.write("A check that all hosts see this folder. You may delete this file.\n")
        with failing_together(ranks):
            if not path.exists():
                raise RunError(
                    f"{folder} is not the folder that the first host writes to; give an --out on a file system that "
                    "all hosts share under the same path"
                )
    finally:
        if ranks.is_first:
            path.unlink(missing_ok=True)


def gather_facts(facts: Mapping[str, Any], ranks: Ranks) -> Sequence[dict[str, Any]]:
    """The facts of every process, in the order of ranks; plain values that JSON can hold."""
    encoded = torch.frombuffer(bytearray(json.dumps(dict(facts)).encode()), dtype=torch.uint8).to(ranks.device)
    return [json.loads(bytes(part.cpu().tolist())) for part in gather_tensors(encoded, ranks)]
