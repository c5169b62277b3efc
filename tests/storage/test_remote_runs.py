"""Runs over media in object storage and on web servers give the bytes of a run over the same local files."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from conftest import MakeClip
from storage_servers import IN_PROCESS, SECRET, Proxy, Web
from trapmeter.errors import InputError, MissingExtraError, ModelError
from trapmeter.frames.fill import fill_store
from trapmeter.frames.requests import read_requests
from trapmeter.frames.spec import Codec, StoreSpec
from trapmeter.frames.store import FrameStore
from trapmeter.media.discovery import find_media
from trapmeter.models.input_spec import Resize
from trapmeter.parallel.engine import describe_machine
from trapmeter.parallel.workers import THIS_MACHINE, Engine
from trapmeter.prediction.run import PredictRun, run_prediction
from trapmeter.prediction.settings import PredictSettings
from trapmeter.prediction.sharded_run import Shard, merge_shards, predict_shard
from trapmeter.storage import filesystems
from trapmeter.storage.address import AnyPath, parse_path
from trapmeter.tables.site_rules import FolderSite

HEADER = "video_id,time,x1,y1,x2,y2,probability,park,site_id\n"
Upload = Callable[..., None]


@pytest.fixture
def survey(tmp_path: Path, make_clip: MakeClip) -> Path:
    """Videos and a photo at two sites, a broken video, and files that are no media."""
    from PIL import Image

    folder = tmp_path / "survey"
    for number in range(3):
        (folder / f"S{number % 2}").mkdir(parents=True, exist_ok=True)
        shutil.copy(make_clip("remote.mp4", n=30, rate=10), folder / f"S{number % 2}/{number} &a.mp4")
    Image.effect_noise((60, 40), 90).save(folder / "S1/photo.jpg")
    (folder / "S1/broken.avi").write_bytes(b"RIFF" + b"\x00" * 500)
    (folder / "notes.txt").write_text("no medium")
    (folder / ".trash").mkdir()
    shutil.copy(folder / "S0/0 &a.mp4", folder / ".trash/old.mp4")
    rows = "".join(f"{n} &a.mp4,{t},0.{n + 1},0.4,0.{n + 3},0.7,0.{9 - t},park,s\n" for n in range(3) for t in range(2))
    rows += "photo.jpg,0,0.1,0.1,0.3,0.5,0.9,park,s\nbroken.avi,0,0.1,0.1,0.2,0.2,0.9,park,s\n"
    (tmp_path / "boxes.csv").write_text(HEADER + rows)
    return folder


def put(upload: Upload, folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            upload(path, f"survey/{path.relative_to(folder).as_posix()}".replace(" ", "%20").replace("&", "%26"))


def measure(place: AnyPath, out: Path, engine: Engine = IN_PROCESS) -> PredictRun:
    boxes = out.parent / "boxes.csv"
    return run_prediction(PredictSettings((place,), out=out, boxes=boxes, site=FolderSite(1)), engine=engine)


@pytest.mark.slow
def test_a_run_over_a_bucket_gives_the_bytes_of_a_local_run(
    proxy: Proxy, upload: Upload, survey: Path, tmp_path: Path
) -> None:
    put(upload, survey)
    here = measure(survey, tmp_path / "here")
    address = parse_path("s3://traps/survey/")
    far = measure(address, tmp_path / "far", THIS_MACHINE)
    assert (tmp_path / "far/distances.csv").read_bytes() == (tmp_path / "here/distances.csv").read_bytes()
    assert far.summary == here.summary
    assert (far.summary.n_media, far.facts["other_files"], far.facts["root"]) == (5, {".txt": 1}, "s3://traps/survey")
    # A second run reads only the list and the medium that failed.
    proxy.requests.clear()
    measure(address, tmp_path / "far")
    assert {path.partition("?")[0] for method, path in proxy.requests} == {"/traps", "/traps/survey/S1/broken.avi"}
    # A file that was replaced is processed again, even within the same second and with the same size.
    content = (survey / "S0/0 &a.mp4").read_bytes()
    upload(content[:-1] + b"?", "survey/S0/0%20%26a.mp4")
    proxy.requests.clear()
    measure(address, tmp_path / "far")
    assert proxy.gets("a.mp4") == 1
    everything = b"".join(path.read_bytes() for path in (tmp_path / "far").iterdir())
    assert SECRET.encode() not in everything


@pytest.mark.slow
def test_shards_over_a_bucket_merge_to_the_bytes_of_a_local_run(
    proxy: Proxy, upload: Upload, survey: Path, tmp_path: Path
) -> None:
    put(upload, survey)
    measure(survey, tmp_path / "here")
    settings = PredictSettings(
        (parse_path("s3://traps/survey"),), out=tmp_path / "out", boxes=tmp_path / "boxes.csv", site=FolderSite(1)
    )
    folders = [predict_shard(settings, Shard(number, 2)).folder for number in (1, 2)]
    proxy.requests.clear()
    merge_shards(folders, tmp_path / "out")
    assert (tmp_path / "out/distances.csv").read_bytes() == (tmp_path / "here/distances.csv").read_bytes()
    assert {path.partition("?")[0] for _, path in proxy.requests} == {"/traps"}


def test_machines_of_a_cluster_check_addresses(proxy: Proxy, upload: Upload) -> None:
    upload(b"x", "survey/a.mp4")
    paths = ["s3://traps/survey", "s3://traps/survey/a.mp4", "s3://traps/none", "s3://other/survey"]
    assert describe_machine(paths)[2] == paths[2:]


def test_frames_come_from_a_bucket(proxy: Proxy, upload: Upload, survey: Path, tmp_path: Path) -> None:
    put(upload, survey)
    (tmp_path / "times.csv").write_text("video_id,time\n0 &a.mp4,1\n1 &a.mp4,2\n")
    spec = StoreSpec((27, 48), Resize.SWSCALE_AREA, Codec.PNG)
    stores = []
    for place in (survey, parse_path("s3://traps/survey")):
        wanted, missing = read_requests([tmp_path / "times.csv"], place, (-1.0, 0.0))
        stores.append(FrameStore.create(tmp_path / f"store{len(stores)}", spec))
        assert fill_store(stores[-1], wanted, 1, missing=missing).failures == ()
        assert fill_store(stores[-1], wanted, 1).n_kept == 2
    for video_id in ("0 &a.mp4", "1 &a.mp4"):
        here, far = (store.index(video_id) for store in stores)
        assert replace(far, source=here.source) == here


@pytest.mark.slow
def test_the_chain_reads_its_videos_from_a_bucket(
    proxy: Proxy, upload: Upload, survey: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch")
    from training_world import tiny_recipe
    from trapmeter.competition import pipeline
    from trapmeter.competition.settings import read_competition_settings
    from trapmeter.training.recipes import RECIPES

    put(upload, survey)
    monkeypatch.setitem(RECIPES, "tiny", tiny_recipe)
    for name in ("check_folds", "train"):
        monkeypatch.setattr(pipeline, name, lambda *_: [])
    for name, rows in (("labels", "0 &a.mp4,1,5.0"), ("format", "1 &a.mp4,2,0.0")):
        (tmp_path / f"{name}.csv").write_text(f"video_id,time,distance\n{rows}\n")
    path = tmp_path / "chain.toml"
    path.write_text(
        'labels = "labels.csv"\nmetadata = "boxes.csv"\ntest_format = "format.csv"\nout = "out"\nrecipe = "tiny"\n'
        'videos = "s3://traps/survey"\ntest_videos = "s3://traps/survey/"\nrounds = 0\njobs = 1\n'
    )
    settings = read_competition_settings(path)
    assert (str(settings.videos), settings.labels) == ("s3://traps/survey", tmp_path / "labels.csv")
    with pytest.raises(ModelError, match="fold-0"):  # nothing was trained, so nothing predicts
        pipeline.run_competition(settings, lambda _: None)
    store = FrameStore.open(tmp_path / "out/frames")
    assert store.video_ids() == ["0 &a.mp4", "1 &a.mp4"]
    assert 1.0 in store.index("0 &a.mp4").entries
    assert '"videos": "s3://traps/survey"' in (tmp_path / "out/steps.json").read_text()


@pytest.mark.slow
def test_a_request_to_a_busy_server_is_repeated(proxy: Proxy, upload: Upload, survey: Path, tmp_path: Path) -> None:
    put(upload, survey)
    measure(survey, tmp_path / "here")
    first: set[str] = set()

    def once(method: str, path: str) -> tuple[int, str] | int | None:
        if path in first:
            return None
        first.add(path)
        return 100 if path.endswith(".jpg") else (503, "SlowDown")

    proxy.misbehave = once
    measure(parse_path("s3://traps/survey"), tmp_path / "far")
    assert (tmp_path / "far/distances.csv").read_bytes() == (tmp_path / "here/distances.csv").read_bytes()
    # The packages' own retries are switched off.
    assert proxy.gets("photo.jpg") == 2


def test_a_medium_that_can_not_be_read_becomes_a_failed_row(
    proxy: Proxy, upload: Upload, survey: Path, tmp_path: Path
) -> None:
    put(upload, survey)
    proxy.misbehave = lambda _, path: (
        (503, "SlowDown")
        if "/0%20" in path
        else 0
        if "photo" in path
        else (403, "AccessDenied")
        if "/2%20" in path
        else None
    )
    run = measure(parse_path("s3://traps/survey"), tmp_path / "far")
    reasons = dict(run.summary.failures)
    assert "asks for fewer requests (SlowDown)" in reasons["S0/0 &a.mp4"]
    assert "access is denied" in reasons["S0/2 &a.mp4"]
    assert "broke" in reasons["S1/photo.jpg"]
    assert run.summary.n_measured == 2
    assert run.facts["errors_of_ours"] == 0
    proxy.misbehave = lambda *_: None
    again = measure(parse_path("s3://traps/survey"), tmp_path / "far")
    assert list(dict(again.summary.failures)) == ["S1/broken.avi"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("response", "message"),
    [
        (
            (403, "InvalidAccessKeyId"),
            "credentials are missing or refused .InvalidAccessKeyId.; check AWS_ACCESS_KEY_ID",
        ),
        ((403, "SignatureDoesNotMatch"), "credentials are missing or refused"),
        ((400, "ExpiredToken"), "credentials are missing or refused"),
        ((403, "AccessDenied"), "access is denied; .* need the permission to list"),
        ((503, "SlowDown"), "asks for fewer requests"),
        ((500, "InternalError"), "an error of its own"),
        ((400, "Strange"), "refuses with Strange status 400"),
        (0, "it broke off"),
    ],
)
def test_an_error_of_the_server_is_explained_before_any_work(
    proxy: Proxy, tmp_path: Path, response: tuple[int, str] | int, message: str
) -> None:
    proxy.misbehave = lambda *_: response
    with pytest.raises(InputError, match=message) as raised:
        find_media([parse_path("s3://traps/survey")])
    assert SECRET not in str(raised.value)


def test_wrong_addresses_are_explained(proxy: Proxy, upload: Upload, tmp_path: Path) -> None:
    upload(b"x", "survey/notes.txt")
    upload(b"x", "dp/datapackage.json")
    upload(b"x", "dp/media/a.mp4")
    for text, words in (
        ("s3://other/survey", "no bucket s3://other"),
        ("s3://traps/Survey", "nothing at s3://traps/Survey"),
        ("s3://traps/survey", "no video or photo found"),
        ("s3://traps/survey/notes.txt", "neither a video nor a photo"),
        ("s3://Tr aps!/survey", "no such address is possible"),
        ("s3://traps/dp", "Camtrap DP"),
    ):
        with pytest.raises(InputError, match=words):
            find_media([parse_path(text)])
    assert [medium.media_id for medium in find_media([parse_path("s3://traps/dp/media")]).media] == ["a.mp4"]
    both = [parse_path("s3://traps/dp/media/a.mp4"), parse_path("s3://traps/dp/media")]
    assert [medium.media_id for medium in find_media(both).media] == ["a.mp4"]
    for paths in ([tmp_path, both[0]], [both[0], parse_path("s3://other/x")]):
        with pytest.raises(InputError, match="separate runs"):
            find_media(paths)


def test_missing_credentials_and_a_missing_server_are_explained(
    proxy: Proxy, upload: Upload, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload(b"x", "survey/a.mp4")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(InputError, match=r"credentials are missing or refused .PartialCredentialsError"):
        find_media([parse_path("s3://traps/survey")])
    # Without any credentials, public buckets can be read, and others ask for credentials.
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    proxy.signed.clear()
    assert len(find_media([parse_path("s3://traps/survey")]).media) == 1
    assert proxy.signed == [False]
    proxy.misbehave = lambda *_: (403, "AccessDenied")
    with pytest.raises(InputError, match=r"the credentials, if there are any .AWS_ACCESS_KEY_ID"):
        find_media([parse_path("s3://traps/survey")])
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "someone")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    filesystems.forget()
    with pytest.raises(InputError, match="no connection to the bucket s3://traps"):
        find_media([parse_path("s3://traps/survey")])


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    filesystems.forget()
    for package in ("s3fs", "gcsfs", "aiohttp"):
        monkeypatch.setitem(__import__("sys").modules, package, None)
    for text, extra in (("s3://a/b", "cloud"), ("gs://a/b", "gcs"), ("https://127.0.0.1:9/a/", "cloud")):
        with pytest.raises(MissingExtraError, match=rf"trapmeter\[{extra}\]"):
            find_media([parse_path(text)])


def test_a_run_over_a_web_server_gives_the_bytes_of_a_local_run(
    web: Callable[[Path], Web], survey: Path, tmp_path: Path
) -> None:
    measure(survey, tmp_path / "here")
    served = web(tmp_path)
    far = measure(parse_path(f"{served.address}/survey/"), tmp_path / "far")
    assert (tmp_path / "far/distances.csv").read_bytes() == (tmp_path / "here/distances.csv").read_bytes()
    assert far.facts["root"] == f"{served.address}/survey"
    one = find_media([parse_path(f"{served.address}/survey/S1/1%20%26a.mp4")])
    assert [medium.media_id for medium in one.media] == ["1 &a.mp4"]
    for text, words in (("survey/S1/2.mp4", "nothing at"), ("nowhere/", "nothing at"), ("survey/notes.txt", "neither")):
        with pytest.raises(InputError, match=words):
            find_media([parse_path(f"{served.address}/{text}")])
