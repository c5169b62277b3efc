"""One run at a time at an address: an object that only one can create, and that says who did."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime

from trapmeter.errors import RunError
from trapmeter.storage import remote
from trapmeter.storage.address import RemotePath
from trapmeter.storage.failures import RemoteError, RemoteMissingError

LOCK = ".trapmeter-lock"


@contextmanager
def locked(out: RemotePath, owner: str, option: str) -> Iterator[None]:
    """Keeps runs of others out until the block ends; a lock that the owner's own killed run left behind is taken up again.

    Raises:
        RunError: another run has it. RemoteError: it can't be written.
    """
    told = {"owner": owner, "host": socket.gethostname(), "since": datetime.now(UTC).isoformat(timespec="seconds")}
    if not remote.create(json.dumps(told).encode(), out / LOCK) and not is_held_by(out, owner):
        raise RunError(taken(out, option))
    try:
        yield
    finally:
        with suppress(RemoteError):
            if is_held_by(out, owner):
                remote.delete(out / LOCK)


def is_held_by(out: RemotePath, owner: str) -> bool:
    """The lock is there, and the owner's."""
    return _there(out).get("owner") == owner


def taken(out: RemotePath, option: str) -> str:
    """Who has the lock, and what can be done."""
    held = _there(out)
    started = f"started on {held.get('host', '?')} at {held.get('since', '?')}"
    return (
        f"{out}: another run is writing there ({started}); wait for it or choose another {option}; if that machine is gone, "
        f"delete {out / LOCK} and give the same command again"
    )


def _there(out: RemotePath) -> dict[str, str]:
    try:
        held = json.loads(remote.read_all(out / LOCK))
    except (RemoteMissingError, ValueError):
        return {}
    return {name: str(value) for name, value in held.items()} if isinstance(held, dict) else {}
