"""Output folders that can't be written, or that another run is writing."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from filelock import FileLock

from density.surveys import write_flat
from terminal import inside
from unbreakable.clips import Survey, contents, half_written
from unbreakable.disks import read_only

pytestmark = pytest.mark.slow


@pytest.fixture
def locked_away(tmp_path: Path) -> Iterator[Path]:
    """A folder with an empty one, `used`, in it, which not even root can write to."""
    (tmp_path / "frozen/used").mkdir(parents=True)
    with read_only(tmp_path / "frozen") as folder:
        yield folder


def verbs(survey: Survey, train: list[object], tmp_path: Path, out: Path) -> dict[str, list[object]]:
    """Calls of the commands that write folders."""
    return {
        "predict": survey.predict(out),
        "demo": ["demo", "--out", out],
        "frames": survey.frames(out),
        "train": [*train, "--out", out],
        "density": ["density", write_flat(tmp_path), "--cutpoints", "0,2,4,6,8,10", "--bootstrap", 0, "--out", out],
        "evaluate": ["evaluate", "--predictions", survey.labels, "--labels", survey.labels, "--out", out],
    }


def test_an_output_that_cannot_be_written_is_a_clear_error(
    survey: Survey, train: list[object], locked_away: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for out in (locked_away / "new/folder", locked_away / "used"):
        for verb, call in verbs(survey, train, tmp_path, out).items():
            assert inside(*call) == 2, (verb, out)
            error = capsys.readouterr().err
            assert "trapmeter: " in error
            assert "Read-only file system" in error, (verb, error)
            assert str(locked_away) in error, (verb, error)


def test_results_that_became_read_only_are_left_as_they_are(
    survey: Survey, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert inside(*survey.predict(out)) == 0
    before = contents(out)
    with read_only(out) as folder:
        for more in ([], ["--overwrite"]):
            capsys.readouterr()
            assert inside(*survey.predict(folder, *more)) == 2
            assert "Read-only file system" in capsys.readouterr().err
    assert contents(out) == before


def test_a_file_in_place_of_the_output_folder_is_refused(
    survey: Survey, train: list[object], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("mine")
    for out in (tmp_path / "file", tmp_path / "file/below"):
        for verb, call in verbs(survey, train, tmp_path, out).items():
            assert inside(*call) == 2, (verb, out)
            assert str(tmp_path / "file") in capsys.readouterr().err
    assert (tmp_path / "file").read_text() == "mine"


def test_a_second_run_is_kept_out_of_every_folder_that_is_written_for_long(
    survey: Survey, train: list[object], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for verb, call in verbs(survey, train, tmp_path, tmp_path / "out").items():
        if verb in ("demo", "evaluate"):  # they take seconds and write complete files
            continue
        folder = tmp_path / "out/fold-0" if verb == "train" else tmp_path / "out"
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / ".lock"):
            assert inside(*call) == 2, verb
        assert f"{folder}: another run is writing there; wait for it" in capsys.readouterr().err


def test_of_two_runs_at_once_the_first_continues_and_the_second_is_refused(
    survey: Survey, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    code = "import sys; from trapmeter.cli import main; sys.argv[0] = 'trapmeter'; main()"
    first = subprocess.Popen([sys.executable, "-c", code, *map(str, survey.predict(out))], stdout=subprocess.DEVNULL)
    try:
        while not (out / "seen.jsonl").exists():
            assert first.poll() is None
            time.sleep(0.002)
        # A stopped process keeps its lock while the second run comes and goes.
        os.kill(first.pid, signal.SIGSTOP)
        assert inside(*survey.predict(out)) == 2
        assert "another run is writing there" in capsys.readouterr().err
        os.kill(first.pid, signal.SIGCONT)
        assert first.wait(timeout=3000) == 0
    finally:
        first.kill()
    assert inside(*survey.predict(tmp_path / "alone")) == 0
    assert (out / "distances.csv").read_bytes() == (tmp_path / "alone/distances.csv").read_bytes()
    assert not half_written(out)
