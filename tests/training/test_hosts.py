"""Two hosts on loopback: one is killed, the other goes on alone, a new one joins, and the losses are those of one process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from training_world import World, free_port
from trapmeter.training.recipes import Precision
from trapmeter.training.run import train
from trapmeter.training.settings import TrainSettings
from trapmeter.training.training_log import read_metrics

WITHIN_S = 6000
SCRIPT = Path(__file__).with_name("on_a_host.py")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="hosts are groups of processes here"),
]


class Host:
    """An agent of torchrun with one process."""

    def __init__(self, name: str, folder: Path, port: int, argv: list[object], *, is_meeting_place: bool) -> None:
        # A dead host is missed after 16 s, and one that may still come is waited for 8 s.
        conf = f"is_host={int(is_meeting_place)},keep_alive_interval=2,keep_alive_max_attempt=8,last_call_timeout=8"
        command = [sys.executable, "-m", "torch.distributed.run", "--nnodes=1:2", "--nproc-per-node=1"]
        command += ["--max-restarts=3", "--monitor-interval=0.1", "--local-addr=127.0.0.1", "--rdzv-id=test"]
        command += ["--rdzv-backend=c10d", f"--rdzv-endpoint=127.0.0.1:{port}", f"--rdzv-conf={conf}", str(SCRIPT)]
        command += [str(folder), *map(str, argv)]
        self._log = folder / f"{name}.log"
        environment = {name: value for name, value in os.environ.items() if not name.startswith("SLURM_")}
        # As the scripts in examples/ do, which say why.
        environment |= {"TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"}
        environment |= {"GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1"}
        with self._log.open("w") as log:
            self.agent = subprocess.Popen(
                command, stdout=log, stderr=subprocess.STDOUT, start_new_session=True, env=environment
            )

    @property
    def said(self) -> str:
        return self._log.read_text()

    def workers(self) -> set[int]:
        """The processes that the agent started and that live."""
        children = Path(f"/proc/{self.agent.pid}/task").glob("*/children")
        return {int(pid) for path in children for pid in path.read_text().split()}

    def end(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.agent.pid, signal.SIGKILL)
        self.agent.wait()


def wait_until(what: str, is_so: Callable[[], bool], hosts: list[Host]) -> None:
    give_up = time.monotonic() + WITHIN_S
    while not is_so():
        said = "\n".join(host.said[-3000:] for host in hosts)
        assert time.monotonic() < give_up, f"{what} took too long\n{said}"
        assert all(host.agent.poll() in (None, 0) for host in hosts), said
        time.sleep(0.05)


def lives(pid: int) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def losses(out: Path) -> list[float]:
    return [value for record in read_metrics(out / "fold-0") for value in (record.loss, record.held_out_mae_m)]


def alone(world: World, out: Path, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The losses and errors of the same training in this process."""
    from training.on_a_host import linear, plain_recipe
    from trapmeter.training import export
    from trapmeter.training import job as single

    monkeypatch.setattr(single, "make_network", linear)
    monkeypatch.setattr(export, "export_network", lambda *_: None)
    recipe = replace(plain_recipe(), precision=Precision.FP64)
    settings = TrainSettings(
        labels=world.labels, metadata=world.metadata, store=world.store, out=out, recipe=recipe, n_folds=2, fold=0
    )
    train(settings, lambda _: None)
    return losses(out)


def test_a_host_is_killed_and_another_joins(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    signs, port = tmp_path / "signs", free_port()
    signs.mkdir()
    argv = ["train", "--labels", world.labels, "--metadata", world.metadata, "--store", world.store]
    argv += ["--out", tmp_path / "out", "--n-folds", 2, "--folds", 0, "--precision", "fp64"]
    first = Host("first", signs, port, argv, is_meeting_place=True)
    hosts = [first, Host("killed", signs, port, argv, is_meeting_place=False)]
    try:
        wait_until("epoch 1", (signs / "reached-1").exists, hosts)
        killed = hosts.pop()
        workers = killed.workers()
        assert workers
        # The agent alone: the process that trains has to end by itself.
        killed.agent.kill()
        killed.agent.wait()
        wait_until("the end of the killed host", lambda: not any(map(lives, workers)), hosts)
        for sign in ("alone", "go-1"):
            (signs / sign).touch()
        wait_until("epoch 2", (signs / "reached-2").exists, hosts)
        hosts.append(Host("joined", signs, port, argv, is_meeting_place=False))
        (signs / "go-3").touch()
        wait_until("the end", lambda: all(host.agent.poll() == 0 for host in hosts), hosts)
    finally:
        for host in [*hosts, killed]:
            host.end()
    said = first.said + hosts[1].said
    assert said.count("2 processes, 2 or 3 of a step's 5 windows each") >= 2
    assert "goes on after epoch 1, with 1 in place of 2 processes" in said
    assert "goes on after epoch 2, with 2 in place of 1 processes" in said
    assert "Traceback" not in killed.said
    assert losses(tmp_path / "out") == pytest.approx(alone(world, tmp_path / "alone", monkeypatch), rel=1e-9)
    assert len(losses(tmp_path / "out")) == 6
    # The two of the last epoch shared its windows: four batches of five, and 24 held out.
    last = [max(signs.glob(f"reads-2-{rank}-*"), key=lambda path: path.stat().st_mtime_ns) for rank in range(2)]
    windows = [path.read_text().splitlines() for path in last]
    assert [len(read) for read in windows] == [4 * 3 + 12, 4 * 2 + 12]
    assert len({*windows[0], *windows[1]}) == 44, "no window is read twice"
