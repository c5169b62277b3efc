"""A disk that fills up at whatever moment: a clear error, nothing half written, and the same bytes once there is room."""

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
            made = stack.enter_context(small_tmpfs(tmp_path, 4))
        except pytest.skip.Exception:
            made = stack.enter_context(short_files(tmp_path))
        yield made


def until_there_is_room(
    disk: Disk, out: Path, arguments: list[object], capsys: pytest.CaptureFixture[str]
) -> list[str]:
    """Gives the command again and again with ever more room until it is done; returns the errors on the way."""
    said = []
    for step in count():
        assert step < 8
        disk.leave(PAGE * 4**step // 4)
        status = inside(*arguments)
        disk.leave(None)
        errors = capsys.readouterr().err
        assert "Traceback" not in errors
        assert half_written(disk.folder) == []
        if status == 0:
            return said
        assert status == 2
        (error,) = (line for line in errors.splitlines() if line.startswith("trapmeter: "))
        assert "can't be written" in error, error
        assert any(word in error for word in ("No space left", "File too large", "free some space")), error
        # What is there is whole.
        for path in out.rglob("*.csv"):
            assert path.read_bytes().endswith(b"\n")
        said.append(error)
    raise AssertionError


def test_predict(disk: Disk, survey: Survey, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert inside(*survey.predict(tmp_path / "roomy")) == 0
    out = disk.folder / "out"
    errors = until_there_is_room(disk, out, survey.predict(out), capsys)
    # At several moments: the journal, the table, the report.
    assert len({error.split(" can't")[0] for error in errors}) >= 2
    assert (out / "distances.csv").read_bytes() == (tmp_path / "roomy/distances.csv").read_bytes()
    assert contents(out).keys() == contents(tmp_path / "roomy").keys()


def test_frames(disk: Disk, survey: Survey, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert inside(*survey.frames(tmp_path / "roomy")) == 0
    store = disk.folder / "store"
    errors = until_there_is_room(disk, store, survey.frames(store), capsys)
    assert any(".frames can't" in error for error in errors)
    assert contents(store) == contents(tmp_path / "roomy")


def test_train(disk: Disk, train: list[object], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert inside(*train, "--out", tmp_path / "roomy") == 0
    out = disk.folder / "out"
    errors = until_there_is_room(disk, out, [*train, "--out", out], capsys)
    assert any("state.pt" in error for error in errors)
    assert any("best.safetensors" in error for error in errors)
    assert learned(out) == learned(tmp_path / "roomy")
    for name in ("best.safetensors", "last.safetensors", "held_out.csv"):
        assert (out / "fold-0" / name).read_bytes() == (tmp_path / "roomy/fold-0" / name).read_bytes(), name
