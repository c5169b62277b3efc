"""Two processes that disagree both report it, before anything is trained."""

import multiprocessing
import os
import socket
import threading
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from training_world import World, free_port, tiny_recipe, train_settings
from trapmeter.errors import InputError, RunError, TrapmeterError
from trapmeter.training import job, run
from trapmeter.training.distributed import ALONE, Ranks, broadcast_bytes, exit_with_agent, process_group, sum_tensor
from trapmeter.training.rank_checks import check_ranks_agree, check_shared_folder, failing_together
from trapmeter.training.settings import TrainSettings

pytestmark = pytest.mark.slow

CASES = ("no store", "other labels", "other recipe", "other version", "other folder", "too many", "another run")


def settings_of(case: str, rank: int, world: World, folder: Path) -> TrainSettings:
    """A process's settings in a case; the second one's differ."""
    settings = train_settings(world, folder / "out")
    if case == "too many":
        return replace(settings, out=folder / "many", recipe=tiny_recipe(batch_size=1))
    if rank == 0:
        return settings
    if case == "other labels":
        fewer = folder / "fewer.csv"
        fewer.write_text("".join(world.labels.read_text().splitlines(keepends=True)[:-1]))
        return replace(settings, labels=fewer)
    changes = {
        "no store": {"store": folder / "elsewhere"},
        "other recipe": {"recipe": tiny_recipe(seed=7)},
        "other folder": {"out": folder / "unshared"},
    }
    return replace(settings, **changes.get(case, {}))


def one_process(rank: int, port: int, world: World, folder: Path) -> None:
    """Writes what each case raised in this process; at the end the second one exits abruptly."""
    torch.set_num_threads(1)
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": "2", "LOCAL_RANK": "0", "MASTER_ADDR": "127.0.0.1"}
    os.environ["MASTER_PORT"] = str(port)
    ranks = Ranks(rank, 2, 0)
    version = job.__version__
    job.LOCK_TIMEOUT_S = 0.1
    # One group for all cases, since each would take a second.
    run.process_group = lambda _: nullcontext()
    try:
        with process_group(ranks):
            for case in CASES:
                job.__version__ = "99" if case == "other version" and rank else version
                with job.lock_folder(folder / "out/fold-0") if case == "another run" and rank else nullcontext():
                    sum_tensor(torch.zeros(1), ranks)
                    text = raised(settings_of(case, rank, world, folder))
                    sum_tensor(torch.zeros(1), ranks)
                (folder / f"{case}-{rank}").write_text(text)
            content = bytes(range(256)) * 3 if rank == 0 else b"something else"
            assert broadcast_bytes(content, ranks) == bytes(range(256)) * 3
            assert broadcast_bytes(b"", ranks) == b""
            assert float(sum_tensor(torch.tensor(1.0 + rank, requires_grad=True), ranks)) == 3.0
            if rank:
                os._exit(9)
            for _ in range(100):
                sum_tensor(torch.zeros(1), ranks)
    except RunError as error:
        (folder / "lost").write_text(str(error))


def raised(settings: TrainSettings) -> str:
    try:
        run.train(settings, lambda _: None)
    except TrapmeterError as error:
        return f"{type(error).__name__}: {error}"
    return "nothing"


@pytest.fixture(scope="module")
def reports(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what each case raised in each process."""
    folder = tmp_path_factory.mktemp("reports")
    port = free_port()
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=one_process, args=(rank, port, world, folder)) for rank in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(6000)
    assert [process.exitcode for process in processes] == [0, 9]
    return folder


@pytest.mark.parametrize(
    ("case", "kind", "words"),
    [
        ("no store", "InputError", "elsewhere is not a frame store"),
        ("other labels", "RunError", "held_out_rows is "),
        ("other recipe", "RunError", "recipe.seed is 7 in process 1 on host"),
        ("other version", "RunError", "the version of trapmeter is '99' in process 1 on host"),
        ("other folder", "RunError", "is not the folder that the first host writes to"),
        ("too many", "InputError", "2 processes can't share a batch of 1 windows"),
        ("another run", "RunError", "another run is writing there"),
    ],
)
def test_both_processes_report_the_problem_of_one(reports: Path, case: str, kind: str, words: str) -> None:
    for rank in range(2):
        text = (reports / f"{case}-{rank}").read_text()
        assert text.startswith(f"{kind}: ")
        assert words in text
    if case in ("no store", "other folder"):
        assert f"process 1 on host {socket.gethostname()}: " in (reports / f"{case}-0").read_text()


def test_nothing_was_trained_and_nothing_is_left_in_the_folder(reports: Path) -> None:
    assert {path.name for path in (reports / "out/fold-0").iterdir()} <= {".lock", "training.json"}


def test_a_lost_process_is_reported_by_the_other(reports: Path) -> None:
    text = (reports / "lost").read_text()
    assert "another process of this training has ended" in text
    assert "resume after the last complete epoch" in text


def test_a_single_process_needs_no_checks(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="own error"), failing_together(ALONE):
        raise InputError("own error")
    check_ranks_agree({"version": "1"}, ALONE)
    check_shared_folder(tmp_path, ALONE)
    assert not list(tmp_path.iterdir())
    n_threads = threading.active_count()
    exit_with_agent({})
    assert threading.active_count() == n_threads
