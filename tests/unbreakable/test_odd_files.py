"""Odd names, odd kinds and large numbers of files, as memory cards and shared disks have them."""

import csv
import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import MakeClip
from density.surveys import write_flat
from terminal import inside
from trapmeter.media.discovery import find_media
from trapmeter.prediction.medium_pipeline import MediumTask
from trapmeter.prediction.settings import PredictSettings
from trapmeter.prediction.tasks import plan_tasks
from trapmeter.records import Medium, MediumKind
from trapmeter.tables.distances import read_distances
from trapmeter.tables.site_rules import FolderSite, assign_sites
from unbreakable.clips import contents, make_survey

pytestmark = pytest.mark.slow

NOT_UTF8 = os.fsdecode(b"S1/caf\xe9 \xff.mp4")
LONG = f"S1/{'x' * 196}.mp4"
LONG_IN_BYTES = f"S2/{'ä' * 120}.mp4"
SPECIAL = "S2/=cmd|' /C calc'!A0 <b>&,\";$x^2$.mp4"


@pytest.mark.skipif(os.name != "posix", reason="other systems allow no such names")
def test_long_names_and_names_that_are_not_utf8_work_everywhere(
    tmp_path: Path, make_clip: MakeClip, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    names, broken = [NOT_UTF8, LONG, LONG_IN_BYTES, SPECIAL], os.fsdecode(b"S3/\xfe.mp4")
    survey = make_survey(tmp_path, make_clip("odd.mp4", n=40, rate=10), [*names, broken])
    (survey.videos / broken).write_bytes(b"no video" * 100)
    call = survey.predict(tmp_path / "out", "--site", "folder:1")
    assert inside(*call) == 3
    assert "failed: S3/\\udcfe.mp4: Invalid data" in capsys.readouterr().out
    rows = read_distances(tmp_path / "out/distances.csv")
    measured = {row.observation.media_id for row in rows if row.distance is not None}
    assert measured == set(names)
    assert {row.observation.media_id for row in rows} == {*names, broken}
    report = (tmp_path / "out/report.html").read_text(encoding="utf-8")
    assert "caf\\udce9 \\udcff.mp4" in report
    assert "ä" * 120 in report
    assert "S2/=cmd|&#39; /C calc&#39;!A0 &lt;b&gt;&amp;,&#34;;$x^2$.mp4" in report
    facts = json.loads((tmp_path / "out/run.json").read_text(encoding="utf-8"))
    assert [failure["media_id"] for failure in facts["failures"]] == [broken]

    # A second run finds all but the broken one in the journal.
    before = (tmp_path / "out/distances.csv").read_bytes()
    processed: list[str] = []
    import trapmeter.prediction.run as run

    real = run.process_media

    def recording_process_media(tasks: list[MediumTask], *more: object) -> Iterator[object]:
        processed.extend(task.medium.media_id for task in tasks)
        return real(tasks, *more)  # type: ignore[arg-type]

    monkeypatch.setattr(run, "process_media", recording_process_media)
    assert inside(*call) == 3
    assert processed == [broken]
    assert (tmp_path / "out/distances.csv").read_bytes() == before

    assert inside(*survey.frames(tmp_path / "store")) == 3
    assert len(list((tmp_path / "store/shards").glob("*.frames"))) == len(names)
    assert 'S3/\\udcfe.mp4,,"Invalid data' in (tmp_path / "store/failed.csv").read_text(encoding="utf-8")
    assert inside("frames", "--store", tmp_path / "store", "--check") == 0


@pytest.mark.skipif(os.name != "posix", reason="other systems allow no such names")
def test_an_internal_error_with_such_a_name_is_logged(
    tmp_path: Path, make_clip: MakeClip, monkeypatch: pytest.MonkeyPatch
) -> None:
    import trapmeter.prediction.run as run
    from trapmeter.prediction.medium_result import failed_result

    survey = make_survey(tmp_path, make_clip("odd.mp4", n=40, rate=10), [NOT_UTF8])
    monkeypatch.setattr(
        run,
        "process_media",
        lambda tasks, *_: (
            failed_result(t.medium.media_id, 1, 1, (), "internal", f"trace of {t.medium.path}") for t in tasks
        ),
    )
    assert inside(*survey.predict(tmp_path / "out")) == 1
    assert "caf\\udce9 \\udcff.mp4" in (tmp_path / "out/errors.log").read_text(encoding="utf-8")


def test_output_names_may_be_as_long_as_the_system_allows(tmp_path: Path, make_clip: MakeClip) -> None:
    survey = make_survey(tmp_path, make_clip("odd.mp4", n=40, rate=10), ["a.mp4"])
    out = tmp_path / ("o" * 200)
    assert inside(*survey.predict(out)) == 0
    longest = tmp_path / f"{'n' * 250}.json"
    assert (
        inside("density", write_flat(tmp_path), "--cutpoints", "0,2,4,6,8,10", "--bootstrap", 0, "--json", longest) == 0
    )
    assert json.loads(longest.read_text())["fits"]


def test_the_same_name_in_several_folders_is_several_videos(
    tmp_path: Path, make_clip: MakeClip, capsys: pytest.CaptureFixture[str]
) -> None:
    names = ["S1/IMG_0001.mp4", "S2/IMG_0001.mp4", "S2/DCIM/IMG_0001.mp4"]
    survey = make_survey(tmp_path, make_clip("same.mp4", n=40, rate=10), names)
    assert inside(*survey.predict(tmp_path / "out", "--site", "folder:1")) == 0
    with (tmp_path / "out/distances.csv").open(encoding="utf-8") as file:
        rows = [(row["media_id"], row["site_id"]) for row in csv.DictReader(file)]
    assert set(rows) == {(names[0], "S1"), (names[1], "S2"), (names[2], "S2")}
    assert len(rows) == 3 * 4
    assert inside(*survey.frames(tmp_path / "store")) == 0
    assert len(list((tmp_path / "store/shards").glob("*.frames"))) == 3
    # A bare name could mean any of them and is refused before any work.
    (tmp_path / "bare.csv").write_text("video_id,time,distance\nIMG_0001.mp4,1,5\n")
    for call in (
        ["predict", survey.videos, "--out", tmp_path / "bare", "--times", tmp_path / "bare.csv"],
        ["frames", "--labels", tmp_path / "bare.csv", "--videos", survey.videos, "--store", tmp_path / "bare"],
    ):
        capsys.readouterr()
        assert inside(*call) == 2
        assert "IMG_0001.mp4 could be any of" in capsys.readouterr().err
        assert not list((tmp_path / "bare").glob("*"))


@pytest.mark.skipif(os.name != "posix", reason="pipes, sockets and devices are of Unix")
def test_pipes_sockets_and_devices_are_never_opened_and_loops_of_links_end(
    tmp_path: Path, make_clip: MakeClip, capsys: pytest.CaptureFixture[str]
) -> None:
    # Opening the pipe would wait for ever, and reading the device would never end.
    survey = make_survey(tmp_path, make_clip("odd.mp4", n=40, rate=10), ["a/1.mp4", "b/2.mp4"])
    folder, outside = survey.videos / "a", tmp_path / "outside"
    os.mkfifo(folder / "pipe.mp4")
    (folder / "device.mp4").symlink_to("/dev/zero")
    (folder / "to_pipe.mp4").symlink_to("pipe.mp4")
    (folder / "self.mp4").symlink_to("self.mp4")
    (folder / "nowhere.mp4").symlink_to("gone.mp4")
    (folder / "up").symlink_to("..")
    (folder / "over").symlink_to("../b")
    (survey.videos / "b/back").symlink_to("../a")
    outside.mkdir()
    (outside / "3.mp4").write_bytes((folder / "1.mp4").read_bytes())
    (folder / "out_of_here").symlink_to(outside)
    with socket.socket(socket.AF_UNIX) as listening:
        here = Path.cwd()
        os.chdir(folder)  # a socket's path may have no more than 108 bytes
        try:
            listening.bind("socket.mp4")
        finally:
            os.chdir(here)
        # A loop of links can't be read, so the exit status is not 0.
        assert inside("predict", survey.videos, "--out", tmp_path / "out", "--boxes", survey.boxes, "--jobs", 1) == 3
        (survey.videos / "a/self.mp4").unlink()
        assert inside(*survey.frames(tmp_path / "store")) == 0
    assert "self.mp4: Too many levels of symbolic links" in capsys.readouterr().out
    with (tmp_path / "out/distances.csv").open(encoding="utf-8") as file:
        assert {row["media_id"] for row in csv.DictReader(file)} == {"a/1.mp4", "b/2.mp4", "a/out_of_here/3.mp4"}
    assert inside("predict", folder / "pipe.mp4", "--out", tmp_path / "none") == 2


EMPTY = ("empty.mp4", "empty.avi", "empty.jpg")


def test_empty_files_become_failed_rows_with_a_reason(tmp_path: Path, make_clip: MakeClip) -> None:
    survey = make_survey(tmp_path, make_clip("odd.mp4", n=40, rate=10), ["good.mp4", *EMPTY])
    for name in EMPTY:
        (survey.videos / name).write_bytes(b"")
    assert inside(*survey.predict(tmp_path / "out")) == 3
    with (tmp_path / "out/distances.csv").open(encoding="utf-8") as file:
        reasons = {row["media_id"]: row["reason"] for row in csv.DictReader(file) if row["status"] == "failed"}
    assert reasons.keys() == set(EMPTY)
    assert all(reason.startswith("the file is empty") for reason in reasons.values())
    assert inside(*survey.frames(tmp_path / "store")) == 3
    assert (tmp_path / "store/failed.csv").read_text().count("the file is empty") == 3
    # Empty files of the run itself: the journal starts again, and the frame file is written again.
    whole, store = (tmp_path / "out/distances.csv").read_bytes(), contents(tmp_path / "store")
    (tmp_path / "out/seen.jsonl").write_bytes(b"")
    (shard,) = (tmp_path / "store/shards").glob("*.frames")
    shard.write_bytes(b"")
    assert inside(*survey.predict(tmp_path / "out")) == 3
    assert inside(*survey.frames(tmp_path / "store")) == 3
    assert ((tmp_path / "out/distances.csv").read_bytes(), contents(tmp_path / "store")) == (whole, store)


N_MANY = 100_000


def test_a_folder_of_100_000_files_is_listed_once_without_touching_them(
    tmp_path: Path, make_clip: MakeClip, monkeypatch: pytest.MonkeyPatch
) -> None:
    survey = make_survey(tmp_path, make_clip("odd.mp4", n=40, rate=10), ["mid.mp4"])
    folder = os.open(survey.videos, os.O_RDONLY)
    try:
        for number in range(N_MANY - 101):
            os.close(os.open(f"{number:06d}.txt", os.O_CREAT | os.O_WRONLY, dir_fd=folder))
        for number in range(100):
            os.close(os.open(f"{number:03d}.mp4", os.O_CREAT | os.O_WRONLY, dir_fd=folder))
    finally:
        os.close(folder)
    calls = {"scandir": 0, "stat": 0}
    real_scandir, real_stat = os.scandir, Path.stat

    def scandir(path: object) -> object:
        calls["scandir"] += 1
        return real_scandir(path)  # type: ignore[call-overload]

    def stat(path: Path, **options: bool) -> os.stat_result:
        calls["stat"] += 1
        return real_stat(path, **options)

    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", scandir)
        patch.setattr(Path, "stat", stat)
        found = find_media([survey.videos])
    assert (len(found.media), sum(found.n_other.values())) == (101, N_MANY - 101)
    assert calls["scandir"] == 1
    assert calls["stat"] < 10
    assert inside(*survey.predict(tmp_path / "out")) == 3
    facts = json.loads((tmp_path / "out/run.json").read_text())
    assert (facts["counts"]["n_media"], facts["counts"]["n_failed_media"]) == (101, 100)
    assert sum(facts["other_files"].values()) == N_MANY - 101


def test_100_000_videos_are_planned_in_linear_time(tmp_path: Path) -> None:
    # Quadratic work would take hours here.
    media = tuple(
        Medium(f"S{number % 300:03d}/IMG_{number // 300:04d}.MP4", tmp_path / f"{number}.MP4", MediumKind.VIDEO)
        for number in range(N_MANY)
    )
    placed = assign_sites(media, FolderSite(1))
    assert len({medium.site_id for medium in placed}) == 300
    times = tmp_path / "times.csv"
    with times.open("w", newline="") as file:
        csv.writer(file).writerows([("video_id", "time"), *((medium.media_id, 1) for medium in media)])
    settings = PredictSettings(paths=(tmp_path,), out=tmp_path / "out", times=times)
    plan = plan_tasks(settings, placed, None, 0.25)
    assert len(plan.tasks) == N_MANY
    assert not plan.missing
