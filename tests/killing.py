"""Kills a command of trapmeter at random times, resuming it after each kill.

    python killing.py PREPARATION.json

This process loads all packages once and forks for each run, so the command starts within milliseconds and twenty kills take
little time. PREPARATION.json has

    argv     the command's arguments; OUT stands for the output folder
    outs     folder for the output folders: 0, 1, ... and uninterrupted
    kills    how often to kill
    seed     of the random times
    most     the most changes in its folder that a run makes before it is killed
    before   Python statements run once before the first run

Prints as JSON: kills, parent_only (kills of the parent alone, whose workers have to end by themselves), midway (kills after
the first file was written), and the exit statuses of the runs that finished.
"""

from __future__ import annotations

import ctypes
import json
import os
import random
import signal
import sys
import time
import traceback
from contextlib import suppress
from pathlib import Path

PR_SET_CHILD_SUBREAPER = 36
MAX_ORPHAN_S = 3000.0
MAX_RUN_S = 3000.0


def start(argv: list[str], log: Path) -> int:
    """Starts a process, in a group of its own, that runs the command; returns its id."""
    pid = os.fork()
    if pid:
        # Both processes do this, so the group exists before any kill.
        with suppress(PermissionError, ProcessLookupError):
            os.setpgid(pid, pid)
        return pid
    status = 1
    try:
        os.setpgid(0, 0)
        for number, flags in ((0, os.O_RDONLY), (1, os.O_WRONLY), (2, os.O_WRONLY)):
            path = os.devnull if number == 0 else str(log)
            os.dup2(os.open(path, flags | (os.O_CREAT | os.O_APPEND if number else 0), 0o600), number)
        sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")
        from trapmeter.cli import main

        sys.argv = ["trapmeter", *argv]
        main()
        status = 0
    except SystemExit as ended:
        status = int(ended.code or 0)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def wait_for_end(pid: int) -> int:
    """Waits for the end of a run and returns its exit status."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def files(out: Path) -> frozenset[tuple[str, int]]:
    """The files in the output folder with their sizes, which change when the run writes something."""
    found = set()
    for folder, _, names in os.walk(out):
        for name in names:
            try:
                found.add((f"{folder}/{name}", Path(folder, name).stat().st_size))
            except FileNotFoundError:
                continue
    return frozenset(found)


def wait_for_changes(pid: int, out: Path, rng: random.Random, most: int) -> int | None:
    """Waits for a random number of changes, 0..most, and a short random time; the exit status if the run ends first."""
    left, pause_s = rng.randint(0, most), rng.uniform(0, 0.1)
    before, give_up = files(out), time.monotonic() + MAX_RUN_S
    kill_at = None if left else time.monotonic() + pause_s
    while time.monotonic() < give_up:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        now = files(out)
        left -= now != before
        before = now
        if left <= 0 and kill_at is None:
            kill_at = time.monotonic() + pause_s
        if kill_at is not None and time.monotonic() >= kill_at:
            return None
        time.sleep(0.002)
    os.killpg(pid, signal.SIGKILL)
    raise TimeoutError(f"a run took more than {MAX_RUN_S} s")


def kill(pid: int, *, parent_only: bool) -> None:
    """Kills the run and waits until none of its processes is left."""
    if parent_only:
        os.kill(pid, signal.SIGKILL)
    else:
        os.killpg(pid, signal.SIGKILL)
    give_up = time.monotonic() + MAX_ORPHAN_S
    while True:
        try:
            ended, _ = os.waitpid(-pid, os.WNOHANG)
        except ChildProcessError:
            return
        if not ended:
            if time.monotonic() > give_up:
                os.killpg(pid, signal.SIGKILL)
                raise TimeoutError("workers outlive their killed parent")
            time.sleep(0.002)


def main(job: dict) -> dict:
    """Does the job and returns what is printed."""
    # Orphans become children of this process, which can then wait for their end.
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    exec(job["before"], {})  # statements of the tests themselves
    outs, rng = Path(job["outs"]), random.Random(job["seed"])
    log = outs / "log"

    def argv(out: Path) -> list[str]:
        return [argument.replace("OUT", str(out)) for argument in job["argv"]]

    statuses = [wait_for_end(start(argv(outs / "uninterrupted"), log))]
    n_kills, n_parent_only, n_midway, number, killed_here = 0, 0, 0, 0, 0
    while n_kills < job["kills"] or killed_here:
        out = outs / str(number)
        pid = start(argv(out), log)
        is_last = n_kills == job["kills"]
        status = wait_for_end(pid) if is_last else wait_for_changes(pid, out, rng, job["most"])
        if status is None:
            parent_only = rng.random() < 0.5
            kill(pid, parent_only=parent_only)
            n_kills, n_parent_only, killed_here = n_kills + 1, n_parent_only + parent_only, killed_here + 1
            n_midway += any(path.is_file() for path in out.rglob("*") if path.name != ".lock")
        else:
            statuses.append(status)
            number, killed_here = number + 1, 0
    return {"kills": n_kills, "parent_only": n_parent_only, "midway": n_midway, "statuses": statuses}


if __name__ == "__main__":
    print(json.dumps(main(json.loads(Path(sys.argv[1]).read_text()))))
