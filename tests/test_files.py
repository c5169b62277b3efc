"""Files and folders appear complete or not at all, and outputs are locked."""

import os
from pathlib import Path

import pytest

from trapmeter.errors import RunError
from trapmeter.files import (
    atomic_file,
    atomic_folder,
    atomic_path,
    cache_folder,
    check_writable,
    lock_file,
    lock_folder,
    remove_partial_files,
    replace_when_complete,
    stays_inside,
)

# 255 bytes, the most that a file name may have.
LONGEST_NAME = "é" * 120 + "x" * 11 + ".csv"


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.mark.parametrize("name", ["a.csv", LONGEST_NAME])
def test_a_file_appears_once_it_is_complete(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("old")
    with atomic_file(tmp_path / name) as file:
        file.write("new")
        assert (tmp_path / name).read_text() == "old"
    assert names(tmp_path) == {name}
    assert (tmp_path / name).read_text() == "new"


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("old")

    def fail(error: Exception) -> None:
        with atomic_path(path) as partial:
            partial.write_text("half")
            raise error

    with pytest.raises(RunError, match=r"a\.csv can't be written: No space left on device"):
        fail(OSError(28, "No space left on device"))
    with pytest.raises(ValueError, match="a mistake"):
        fail(ValueError("a mistake"))
    assert names(tmp_path) == {"a.csv"}
    assert path.read_text() == "old"


def test_an_error_of_what_is_read_can_be_told_from_one_of_what_is_written(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), replace_when_complete(tmp_path / "a.csv"):
        (tmp_path / "missing").read_bytes()
    with pytest.raises(RunError, match="can't be written"), replace_when_complete(tmp_path / "folder/a.csv"):
        pass


@pytest.mark.parametrize("before", ["missing", "empty", "full"])
def test_a_folder_appears_once_it_is_complete(tmp_path: Path, before: str) -> None:
    path = tmp_path / "bundle"
    if before != "missing":
        path.mkdir()
    if before == "full":
        (path / "old").write_text("old")
    # A killed writer left this behind.
    (tmp_path / ".bundle.part").mkdir()
    (tmp_path / ".bundle.part/half").write_text("half")
    with atomic_folder(path) as partial:
        (partial / "new").write_text("new")
        assert not (path / "new").exists()
    assert names(tmp_path) == {"bundle"}
    assert names(path) == {"new"}


def test_a_failed_write_leaves_the_old_folder(tmp_path: Path) -> None:
    path = tmp_path / "bundle"
    path.mkdir()
    (path / "old").write_text("old")
    with pytest.raises(RunError, match="bundle can't be written"), atomic_folder(path) as partial:
        (partial / "missing/new").write_text("new")
    assert names(tmp_path) == {"bundle"}
    assert names(path) == {"old"}


def test_partial_files_are_removed_all_or_by_name(tmp_path: Path) -> None:
    for name in (".a.csv.1.part", ".b.csv.2.part", "a.csv", ".lock"):
        (tmp_path / name).touch()
    remove_partial_files(tmp_path, {"a.csv"})
    assert names(tmp_path) == {".b.csv.2.part", "a.csv", ".lock"}
    remove_partial_files(tmp_path)
    assert names(tmp_path) == {"a.csv", ".lock"}


def test_a_locked_output_is_refused(tmp_path: Path) -> None:
    with (
        lock_folder(tmp_path / "out"),
        pytest.raises(RunError, match=r"out: another run is writing there.* another --store"),
        lock_folder(tmp_path / "out", "--store"),
    ):
        pytest.fail("a second run got the lock")
    with (
        lock_file(tmp_path / "out.csv"),
        pytest.raises(RunError, match=r"out\.csv: another run is writing there"),
        lock_file(tmp_path / "out.csv"),
    ):
        pytest.fail("a second run got the lock")
    with lock_folder(tmp_path / "out"), lock_file(tmp_path / "out.csv"):
        pass


def test_an_output_is_checked_before_work_is_done(tmp_path: Path) -> None:
    check_writable(None)
    check_writable(tmp_path / "a.csv")
    with pytest.raises(RunError, match="is a folder"):
        check_writable(tmp_path)
    with pytest.raises(RunError, match="there is no folder"):
        check_writable(tmp_path / "missing/a.csv")


@pytest.mark.parametrize(
    ("name", "expected"),
    [("S1/a.mp4", True), ("a..b.mp4", True), ("../a.mp4", False), ("S1/../../a.mp4", False), ("/a", False)],
)
def test_a_name_from_a_table_may_not_leave_its_folder(name: str, expected: bool) -> None:  # noqa: FBT001
    assert stays_inside(name) is expected


def test_the_cache_folder_follows_the_system(tmp_path: Path) -> None:
    home = Path.home()
    assert cache_folder({}, "linux") == home / ".cache/trapmeter"
    assert cache_folder({"XDG_CACHE_HOME": "relative"}, "linux") == home / ".cache/trapmeter"
    assert cache_folder({"XDG_CACHE_HOME": os.fspath(tmp_path)}, "linux") == tmp_path / "trapmeter"
    assert cache_folder({}, "darwin") == home / "Library/Caches/trapmeter"
    assert cache_folder({"LOCALAPPDATA": os.fspath(tmp_path)}, "win32") == tmp_path / "trapmeter"
