"""A disk that fills up at any time: a clear error, no partial files, and the same bytes once there is space."""

from collections.abc import Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path

import pytest

from terminal import inside
from unbreakable.clips import Survey, contents, half_written, learned
from unbreakable.disks import Disk, short_files, small_tmpfs

pytestmark = pytest.mark.slow

PAGE = 4096


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    with ExitStack() as stack:
        try:
            disk = stack.enter_context(small_tmpfs(tmp_path, 4))
        except pytest.skip.Exception:
            disk = stack.enter_context(short_files(tmp_path))
        yield disk


def run_with_growing_space(
    disk: Disk, out: Path, arguments: list[object], capsys: pytest.CaptureFixture[str]
) -> list[str]:
    """Repeats the command with more and more space until it finishes; returns the errors on the way."""
    messages = []
    for step in count():
        assert step < 8
        disk.leave(PAGE * 4**step // 4)
        status = inside(*arguments)
        disk.leave(None)
        errors = capsys.readouterr().err
        assert "Traceback" not in errors
        assert half_written(disk.folder) == []
        if status == 0:
            return messages
        assert status == 2
        (error,) = (line for line in errors.splitlines() if line.startswith("trapmeter: "))
        assert "can't be written" in error, error
        assert any(word in error for word in ("No space left", "File too large", "free some space")), error
        # Tables that exist are complete.
        for path in out.rglob("*.csv"):
            assert path.read_bytes().endswith(b"\n")
        messages.append(error)
    raise AssertionError


def test_predict_on_a_full_disk_fails_clearly_and_resumes(
    disk: Disk, survey: Survey, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert inside(*survey.predict(tmp_path / "roomy")) == 0
    out = disk.folder / "out"
    errors = run_with_growing_space(disk, out, survey.predict(out), capsys)
    # At several stages: the journal, the table, the report.
    assert len({error.split(" can't")[0] for error in errors}) >= 2
    assert (out / "distances.csv").read_bytes() == (tmp_path / "roomy/distances.csv").read_bytes()
    assert contents(out).keys() == contents(tmp_path / "roomy").keys()


def test_frames_on_a_full_disk_fails_clearly_and_resumes(
    disk: Disk, survey: Survey, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert inside(*survey.frames(tmp_path / "roomy")) == 0
    store = disk.folder / "store"
    errors = run_with_growing_space(disk, store, survey.frames(store), capsys)
    assert any(".frames can't" in error for error in errors)
    assert contents(store) == contents(tmp_path / "roomy")


def test_train_on_a_full_disk_fails_clearly_and_resumes(
    disk: Disk, train: list[object], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert inside(*train, "--out", tmp_path / "roomy") == 0
    out = disk.folder / "out"
    errors = run_with_growing_space(disk, out, [*train, "--out", out], capsys)
    assert any("state.pt" in error for error in errors)
    assert any("best.safetensors" in error for error in errors)
    assert learned(out) == learned(tmp_path / "roomy")
    for name in ("best.safetensors", "last.safetensors", "held_out.csv"):
        assert (out / "fold-0" / name).read_bytes() == (tmp_path / "roomy/fold-0" / name).read_bytes(), name
