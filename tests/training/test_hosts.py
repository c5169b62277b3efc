"""Of two hosts one is killed, the other resumes alone, a new one joins, and the losses are those of one process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from training_world import World, free_port, train_settings
from trapmeter.training.run import train
from trapmeter.training.training_log import read_metrics

TIMEOUT_S = 6000
SCRIPT = Path(__file__).with_name("on_a_host.py")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="hosts are groups of processes here"),
]


class Host:
    """An agent of torchrun with one process."""

    def __init__(self, name: str, folder: Path, port: int, arguments: list[Path], *, is_rendezvous: bool) -> None:
        # A dead host is noticed after 16 s, and the hosts wait 8 s for another one to join.
        conf = f"is_host={int(is_rendezvous)},keep_alive_interval=2,keep_alive_max_attempt=8,last_call_timeout=8"
        command = [sys.executable, "-m", "torch.distributed.run", "--nnodes=1:2", "--nproc-per-node=1"]
        command += ["--max-restarts=3", "--monitor-interval=0.1", "--local-addr=127.0.0.1", "--rdzv-id=test"]
        command += ["--rdzv-backend=c10d", f"--rdzv-endpoint=127.0.0.1:{port}", f"--rdzv-conf={conf}", str(SCRIPT)]
        command += [str(folder), *map(str, arguments)]
        self._log = folder / f"{name}.log"
        environment = {name: value for name, value in os.environ.items() if not name.startswith("SLURM_")}
        # As in the scripts in examples/, which explain it.
        environment |= {"TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"}
        environment |= {"GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1"}
        with self._log.open("w") as log:
            self.agent = subprocess.Popen(
                command, stdout=log, stderr=subprocess.STDOUT, start_new_session=True, env=environment
            )

    @property
    def output(self) -> str:
        return self._log.read_text()

    def workers(self) -> set[int]:
        """The running processes that the agent started."""
        children = Path(f"/proc/{self.agent.pid}/task").glob("*/children")
        return {int(pid) for path in children for pid in path.read_text().split()}

    def end(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.agent.pid, signal.SIGKILL)
        self.agent.wait()


def wait_until(what: str, condition: Callable[[], bool], hosts: list[Host]) -> None:
    deadline = time.monotonic() + TIMEOUT_S
    while not condition():
        output = "\n".join(host.output[-3000:] for host in hosts)
        assert time.monotonic() < deadline, f"{what} took too long\n{output}"
        assert all(host.agent.poll() in (None, 0) for host in hosts), output
        time.sleep(0.05)


def is_alive(pid: int) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def losses(out: Path) -> list[float]:
    return [value for record in read_metrics(out / "fold-0") for value in (record.loss, record.held_out_mae_m)]


def alone(world: World, out: Path, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The losses and errors of the same training in this process."""
    from training.on_a_host import linear, plain_recipe
    from trapmeter.training import export, job

    monkeypatch.setattr(job, "make_network", linear)
    monkeypatch.setattr(export, "export_network", lambda *_: None)
    train(train_settings(world, out, plain_recipe()), lambda _: None)
    return losses(out)


def test_a_training_survives_a_killed_host_and_takes_in_a_new_one(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    signs, port = tmp_path / "signs", free_port()
    signs.mkdir()
    arguments = [world.labels, world.metadata, world.store, tmp_path / "out"]
    first = Host("first", signs, port, arguments, is_rendezvous=True)
    hosts = [first, Host("killed", signs, port, arguments, is_rendezvous=False)]
    try:
        wait_until("epoch 1", (signs / "reached-1").exists, hosts)
        killed = hosts.pop()
        workers = killed.workers()
        assert workers
        # Only the agent is killed: the training process must end by itself.
        killed.agent.kill()
        killed.agent.wait()
        wait_until("the end of the killed host", lambda: not any(map(is_alive, workers)), hosts)
        for sign in ("alone", "go-1"):
            (signs / sign).touch()
        wait_until("epoch 2", (signs / "reached-2").exists, hosts)
        hosts.append(Host("joined", signs, port, arguments, is_rendezvous=False))
        (signs / "go-3").touch()
        wait_until("the end", lambda: all(host.agent.poll() == 0 for host in hosts), hosts)
    finally:
        for host in [*hosts, killed]:
            host.end()
    output = first.output + hosts[1].output
    assert output.count("2 processes, 2 or 3 of a step's 5 windows each") >= 2
    assert "resumes after epoch 1, with 1 instead of 2 processes" in output
    assert "resumes after epoch 2, with 2 instead of 1 processes" in output
    assert "Traceback" not in killed.output
    assert losses(tmp_path / "out") == pytest.approx(alone(world, tmp_path / "alone", monkeypatch), rel=1e-9)
    assert len(losses(tmp_path / "out")) == 6
    # In the last epoch two processes shared four batches of five, and 24 held-out windows.
    last = [max(signs.glob(f"reads-2-{rank}-*"), key=lambda path: path.stat().st_mtime_ns) for rank in range(2)]
    windows = [path.read_text().splitlines() for path in last]
    assert [len(read) for read in windows] == [4 * 3 + 12, 4 * 2 + 12]
    assert len({*windows[0], *windows[1]}) == 44, "no window is read twice"
