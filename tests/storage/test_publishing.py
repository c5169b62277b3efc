"""Results in a bucket appear complete, a run resumes from any machine, and only one runs at a time."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import MakeClip
from storage_servers import IN_PROCESS, SECRET, Proxy
from trapmeter.cli import main
from trapmeter.errors import InputError, RunError
from trapmeter.prediction.run import run_prediction
from trapmeter.prediction.settings import PredictSettings
from trapmeter.storage import publish as publishing
from trapmeter.storage import remote
from trapmeter.storage.address import RemotePath, parse_path
from trapmeter.storage.publish import FolderLayout, expand_pattern, fetch_folder, publish_folder, work_folder
from trapmeter.storage.remote import LOCK_FILE

LAYOUT = FolderLayout("seen.jsonl", ("distances.csv", "run.json"), "unpacked")
OUT = RemotePath("s3://traps", "results")
HEADER = "video_id,time,x1,y1,x2,y2,probability,park,site_id\n"


@pytest.fixture(autouse=True)
def work(proxy: Proxy, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("TRAPMETER_WORK", str(tmp_path / "work"))
    return tmp_path / "work"


def uploaded() -> dict[str, bytes]:
    """The files below the results in the bucket."""
    try:
        return {file.inner.removeprefix("results/"): remote.read_all(file) for file in remote.files_below(OUT)}
    except FileNotFoundError:
        return {}


def write(folder: Path, **contents: str) -> None:
    for name, text in contents.items():
        (folder / name.replace("_", ".")).write_text(text)


def puts(proxy: Proxy) -> list[str]:
    return [path.rpartition("/")[2] for method, path in proxy.requests if method == "PUT"]


@pytest.mark.slow
def test_results_are_uploaded_when_the_run_is_finished(proxy: Proxy) -> None:
    with publish_folder(OUT, LAYOUT) as folder:
        write(folder, run_json="{}", seen_jsonl="head\nrow\n", distances_csv="rows", report_html="page", _part="half")
        (folder / "unpacked").mkdir()
        (folder / "unpacked/a.mp4").write_text("medium")
        (folder / "shards").mkdir()
        (folder / "shards/a.frames").write_text("frames")
        assert uploaded().keys() == {LOCK_FILE}
    expected = {"run.json": "{}", "seen.jsonl": "head\nrow\n", "distances.csv": "rows", "report.html": "page"}
    assert uploaded() == {name: text.encode() for name, text in {**expected, "shards/a.frames": "frames"}.items()}
    assert puts(proxy)[-2:] == ["distances.csv", "run.json"]
    # A second run uploads changed files and removes those that are gone.
    proxy.requests.clear()
    with publish_folder(OUT, LAYOUT) as folder:
        (folder / "report.html").unlink()
        write(folder, distances_csv="other rows")
    assert puts(proxy) == [LOCK_FILE, "distances.csv"]
    assert uploaded().keys() == {"run.json", "seen.jsonl", "distances.csv", "shards/a.frames"}
    # A file that someone changed in the bucket is uploaded again.
    assert remote.create(b"", OUT / "x")
    remote.delete(OUT / "run.json")
    with publish_folder(OUT, LAYOUT):
        pass
    assert uploaded()["run.json"] == b"{}"


def test_an_interrupted_run_uploads_only_its_journal(work: Path) -> None:
    with pytest.raises(KeyboardInterrupt), publish_folder(OUT, LAYOUT) as folder:
        write(folder, seen_jsonl="head\nfirst\n", distances_csv="half")
        raise KeyboardInterrupt
    assert uploaded() == {"seen.jsonl": b"head\nfirst\n"}
    # Another machine resumes it, then the first one again.
    shutil.move(work, work.with_name("first"))
    with publish_folder(OUT, LAYOUT) as folder:
        assert (folder / "seen.jsonl").read_text() == "head\nfirst\n"
        write(folder, seen_jsonl="head\nfirst\nsecond\n")
    shutil.move(work, work.with_name("second"))
    shutil.move(work.with_name("first"), work)
    with publish_folder(OUT, LAYOUT) as folder:
        path = folder / "seen.jsonl"
        assert set(path.read_text().splitlines()) == {"head", "first", "second"}
        path.write_text(path.read_text() + "third\ncut o")
    # A run with other settings is refused.
    shutil.move(work, work.with_name("third"))
    other = work_folder(OUT)
    other.mkdir(parents=True)
    (other / "seen.jsonl").write_text("another head\n")
    with pytest.raises(RunError, match="run of another machine with other settings"), publish_folder(OUT, LAYOUT):
        pytest.fail("a second run got the lock")
    with publish_folder(OUT, LAYOUT, overwrite=True):
        pass
    assert uploaded()["seen.jsonl"] == b"another head\n"


def test_only_one_run_writes_at_a_time(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with publish_folder(OUT, LAYOUT) as folder:
        write(folder, run_json="{}")
        with pytest.raises(RunError, match="another run is writing"), publish_folder(OUT, LAYOUT):
            pytest.fail("the same machine was let in twice")
        # Another machine has another working folder.
        monkeypatch.setenv("TRAPMETER_WORK", str(work.with_name("other")))
        message = r"started on .* at 20.*delete s3://traps/results/.trapmeter-lock"
        with pytest.raises(RunError, match=message), publish_folder(OUT, LAYOUT):
            pytest.fail("a second run got the lock")
        with pytest.raises(RunError, match="another run is writing"), fetch_folder(OUT, ["run.json"]):
            pytest.fail("it was read while it was written")
    assert uploaded().keys() == {"run.json"}
    with fetch_folder(OUT, ["run.json"]) as copy:
        assert {path.name for path in copy.glob("[!.]*")} == {"run.json"}
    with pytest.raises(RunError, match=r"nothing at s3://traps/results/seen.jsonl"), fetch_folder(OUT, ["seen.jsonl"]):
        pytest.fail("it isn't there")


def test_the_journal_is_uploaded_regularly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publishing, "UPLOAD_INTERVAL_S", 0.02)
    with publish_folder(OUT, LAYOUT) as folder:
        write(folder, seen_jsonl="head\nfirst\n", distances_csv="half")
        while "seen.jsonl" not in uploaded():
            time.sleep(0.02)
        assert uploaded().keys() == {LOCK_FILE, "seen.jsonl"}
        write(folder, seen_jsonl="head\nfirst\nsecond\n")
    assert uploaded()["seen.jsonl"] == b"head\nfirst\nsecond\n"


def test_a_lock_that_a_killed_run_left_behind(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with publish_folder(OUT, LAYOUT):
        lock = uploaded()[LOCK_FILE]
    assert remote.create(lock, OUT / LOCK_FILE)
    # The same working folder resumes; another one is refused until someone deletes the lock.
    with monkeypatch.context() as patch:
        patch.setenv("TRAPMETER_WORK", str(work.with_name("other")))
        with pytest.raises(RunError, match="another run is writing"), publish_folder(OUT, LAYOUT):
            pytest.fail("a second run got the lock")
    with publish_folder(OUT, LAYOUT) as folder:
        write(folder, run_json="{}")
    assert uploaded().keys() == {"run.json"}


def test_a_run_whose_lock_was_taken_uploads_nothing(work: Path) -> None:
    def lose() -> None:
        with publish_folder(OUT, LAYOUT) as folder:
            write(folder, run_json="{}")
            remote.delete(OUT / LOCK_FILE)
            assert remote.create(b'{"owner": "somebody"}', OUT / LOCK_FILE)

    with pytest.raises(RunError, match="another run took the lock; nothing was written"):
        lose()
    assert uploaded() == {LOCK_FILE: b'{"owner": "somebody"}'}
    assert (work_folder(OUT) / "run.json").exists()


@pytest.mark.slow
def test_a_bucket_that_can_not_be_written_is_refused(proxy: Proxy) -> None:
    refused = pytest.raises(InputError, match="nothing can be written to a web server")
    with refused, publish_folder(parse_path("https://host/results"), LAYOUT):
        pytest.fail("a second run got the lock")
    proxy.misbehave = lambda method, _: (403, "AccessDenied") if method == "PUT" else None
    with pytest.raises(RunError, match="access is denied"), publish_folder(OUT, LAYOUT):
        pytest.fail("the work started although it can't be saved")

    def fill() -> None:
        with publish_folder(OUT, LAYOUT) as folder:
            write(folder, run_json="{}")
            proxy.misbehave = lambda method, _: (503, "SlowDown") if method == "PUT" else None

    proxy.misbehave = lambda *_: None
    with pytest.raises(RunError, match=r"asks for fewer requests.*the finished work is kept in"):
        fill()
    proxy.misbehave = lambda *_: None
    with publish_folder(OUT, LAYOUT):
        pass
    assert uploaded() == {"run.json": b"{}"}


def call(*arguments: object) -> int:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["trapmeter", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
    return int(ended.value.code or 0)


@pytest.mark.slow
def test_commands_read_from_and_write_to_buckets(
    upload: Callable[..., None], make_clip: MakeClip, tmp_path: Path, work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "here").mkdir()
    for number in range(2):
        shutil.copy(make_clip("cli.mp4", n=20, rate=10), tmp_path / f"here/{number}.mp4")
        upload(tmp_path / f"here/{number}.mp4", f"survey/{number}.mp4")
    rows = [f"{n}.mp4,{t},0.{n + 1},0.4,0.{n + 3},0.7,0.{9 - t},park,s\n" for n in range(2) for t in range(2)]
    (tmp_path / "boxes.csv").write_text(HEADER + "".join(rows))
    options = ["--boxes", tmp_path / "boxes.csv", "--jobs", 1]
    run_prediction(
        PredictSettings((tmp_path / "here",), out=tmp_path / "out", boxes=tmp_path / "boxes.csv"), engine=IN_PROCESS
    )
    table = (tmp_path / "out/distances.csv").read_bytes()
    assert call("predict", "s3://traps/survey", *options, "--out", "s3://traps/results") == 0
    assert (
        "results: s3://traps/results/distances.csv\nreport:  s3://traps/results/report.html" in capsys.readouterr().out
    )
    files = uploaded()
    assert files.keys() == {"distances.csv", "media.csv", "report.html", "run.json", "seen.jsonl"}
    assert files["distances.csv"] == table
    # The pictures of the report come from the bucket.
    assert files["report.html"].count(b"data:image/jpeg") == 4
    command = ["predict", "s3://traps/survey", *options, "--shard", "1/1"]
    assert call(*command, "--out", "s3://traps/results/all") == 0
    assert "once all shards are done: trapmeter merge s3://traps/results/all/shard-*-of-1" in capsys.readouterr().out
    shutil.rmtree(work)
    assert call("merge", "s3://traps/results/all/shard-*-of-1", "--out", "s3://traps/results/all") == 0
    assert uploaded()["all/distances.csv"] == table
    (tmp_path / "times.csv").write_text("video_id,time\n0.mp4,1\n")
    command = ["frames", "--labels", tmp_path / "times.csv", "--videos", "s3://traps/survey", "--size", "27x48"]
    assert call(*command, "--codec", "png", "--jobs", 1, "--store", "s3://traps/results/store") == 0
    names = {name for name in uploaded() if name.startswith("store/")}
    assert {Path(name).suffix for name in names} == {".frames", ".csv", ".json"}
    assert call(*command, "--shard", "1/2", "--store", "s3://traps/results/store") == 2
    assert "a folder that all machines share" in capsys.readouterr().err
    everything = b"".join([*uploaded().values(), *(path.read_bytes() for path in work.rglob("*") if path.is_file())])
    assert SECRET.encode() not in everything
    assert call("predict", "s3://traps/none", *options, "--out", "s3://traps/results") == 2
    assert "nothing at s3://traps/none" in capsys.readouterr().err
    assert LOCK_FILE not in uploaded()


def test_a_pattern_matches_folders_in_a_bucket() -> None:
    for name in ("out/shard-1-of-2/shard.json", "out/shard-2-of-2/shard.json", "out/run.json"):
        assert remote.create(b"", parse_path("s3://traps") / name)
    assert [str(folder) for folder in expand_pattern(parse_path("s3://traps/out/shard-*-of-2"))] == [
        "s3://traps/out/shard-1-of-2",
        "s3://traps/out/shard-2-of-2",
    ]
    assert expand_pattern(Path("out/shard-*")) == [Path("out/shard-*")]
    for text in ("s3://traps/out/none-*", "s3://none/out/shard-*"):
        with pytest.raises(InputError):
            expand_pattern(parse_path(text))
