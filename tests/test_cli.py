"""The command line as a user meets it: exit statuses, errors that name file and row, help for every verb."""

import csv
import os
import signal
import subprocess
import sys
import time
from importlib import import_module
from pathlib import Path

import pytest
from cyclopts import App

from conftest import MakeClip
from terminal import inside
from trapmeter import cli
from trapmeter.demo.clips import CLIPS, NETWORK

VERBS = [[], ["boxmodel"], ["models"], ["review", "export"], *([verb] for _, verb, _, _ in cli.VERBS)]
VERBS += [[group, verb] for (group, _), verbs in cli.GROUPED_VERBS.items() for verb, _, _ in verbs]


def trapmeter(*arguments: object, columns: int = 200) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from trapmeter.cli import main; main()", *map(str, arguments)]
    environment = {**os.environ, "COLUMNS": str(columns), "TERM": "xterm"}
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=3000, env=environment)


@pytest.fixture
def clip(make_clip: MakeClip) -> Path:
    return make_clip("cli.mp4", n=25, rate=10)


@pytest.mark.parametrize("verb", VERBS, ids=" ".join)
def test_every_verb_has_help(verb: list[str]) -> None:
    result = trapmeter(*verb, "--help")
    assert result.returncode == 0
    assert "Usage" in result.stdout


@pytest.mark.parametrize(
    ("function", "text"),
    [(function, text) for _, _, function, text in cli.VERBS]
    + [(function, text) for verbs in cli.GROUPED_VERBS.values() for _, function, text in verbs],
)
def test_the_overview_says_what_the_verb_itself_says(function: str, text: str) -> None:
    module, _, name = function.partition(":")
    verb = getattr(import_module(f"trapmeter.cli.{module}"), name)
    docstring = (verb.default_command if isinstance(verb, App) else verb).__doc__
    assert docstring.split("\n\n")[0] == text


def test_version() -> None:
    import trapmeter as package

    assert trapmeter("--version").stdout.strip() == f"trapmeter {package.__version__}"


@pytest.mark.slow
def test_a_good_run_ends_with_0_and_a_broken_video_with_3(clip: Path, tmp_path: Path) -> None:
    result = trapmeter("predict", clip, "--out", tmp_path / "good")
    assert result.returncode == 0, result.stderr
    assert {"distances.csv", "report.html", "run.json"} <= {path.name for path in (tmp_path / "good").iterdir()}
    (tmp_path / "bad.mp4").write_bytes(b"bad" * 100)
    result = trapmeter("predict", clip, tmp_path / "bad.mp4", "--out", tmp_path / "mixed")
    assert result.returncode == 3
    assert "bad.mp4: Invalid data found when processing input" in result.stdout
    with (tmp_path / "mixed/distances.csv").open() as file:
        statuses = {row["media_id"].split("/")[-1]: row["status"] for row in csv.DictReader(file)}
    assert statuses["bad.mp4"] == "failed"
    assert statuses["cli.mp4"] in ("measured", "no_animal")


def test_a_shard_of_frames_says_where_its_failures_are(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels, store = tmp_path / "labels.csv", tmp_path / "store"
    labels.write_text("video_id,time,distance\ncli.mp4,1,3\n" + "".join(f"lost{i}.mp4,1,3\n" for i in range(12)))
    call = (
        "frames",
        "--labels",
        labels,
        "--videos",
        clip.parent,
        "--store",
        store,
        "--codec",
        "png",
        "--size",
        "36x64",
    )
    assert inside(*call, "--shard", "1/2") == 3
    named = store / "shard-1-of-2/failed.csv"
    assert f"2 more, see {named}" in capsys.readouterr().out
    assert len(named.read_text().splitlines()) == 13


@pytest.mark.slow
def test_shards_and_their_merge(clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    boxes = table(tmp_path / "boxes.csv", "video_id,time,x1,y1,x2,y2,probability\ncli.mp4,0,0.1,0.1,0.4,0.5,0.9\n")
    call = ["predict", clip, "--boxes", boxes, "--out", tmp_path / "out"]
    for number in (1, 2):
        assert inside(*call, "--shard", f"{number}/2") == 0
    assert f"trapmeter merge {tmp_path}/out/shard-*-of-2 --out {tmp_path}/out" in capsys.readouterr().out
    assert inside("merge", tmp_path / "out/shard-1-of-2", "--out", tmp_path / "out") == 2
    assert "not all shards are given: 2/2 missing" in capsys.readouterr().err
    assert inside("merge", *(tmp_path / "out").glob("shard-*-of-2"), "--out", tmp_path / "out") == 0
    assert (tmp_path / "out/report.html").exists()
    assert inside(*call, "--shard", "3/2") == 2


def table(path: Path, content: str) -> Path:
    path.write_text(content)
    return path


def test_bad_input_names_file_and_row(clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    (tmp_path / "empty").mkdir()
    no_column = table(tmp_path / "no_column.csv", "video,time\ncli.mp4,1\n")
    no_number = table(tmp_path / "no_number.csv", "video_id,time\ncli.mp4,0\ncli.mp4,soon\n")
    header = "video_id,time,x1,y1,x2,y2,probability,park,site_id\n"
    outside = table(tmp_path / "outside.csv", header + "cli.mp4,0,0.1,0.1,1.4,0.5,0.9,p,s\n")
    cases = [
        ([tmp_path / "empty"], ["no video or photo found", "empty"]),
        ([tmp_path / "gone.mp4"], ["gone.mp4", "No such file"]),
        ([clip, "--times", no_column], ["no_column.csv", "video_id", "'video', 'time'"]),
        ([clip, "--times", no_number], ["no_number.csv", "line 3", "soon"]),
        ([clip, "--boxes", outside], ["outside.csv", "line 2", "1.4"]),
        ([clip, "--times", tmp_path / "nowhere.csv"], ["nowhere.csv"]),
        ([clip, "--site", "folder:x"], ["folder:x", "folder:-1"]),
        (
            [
                clip,
                "--site",
                "regex:(",
            ],
            ["regular expression"],
        ),
        ([clip, "--every", "0"], ["--every"]),
        ([clip, "--every", "1", "--times", no_number], ["exclude each other"]),
        ([clip, "--min-score", "2"], ["--min-score"]),
        ([clip, "--truth", no_column], ["no_column.csv"]),
        ([clip, "--box-model", tmp_path / "empty"], ["empty"]),
    ]
    for arguments, words in cases:
        assert inside("predict", *arguments, "--out", out) == 2, arguments
        said = capsys.readouterr().err
        for word in words:
            assert word in said, (arguments, said)
        assert not (out / "distances.csv").exists()


def test_of_a_repeated_option_the_last_counts(clip: Path, tmp_path: Path) -> None:
    first, last = tmp_path / "first", tmp_path / "last"
    assert inside("predict", clip, "--out", first, "--jobs", 1, "--out", last) == 0
    assert (last / "distances.csv").exists()
    assert not first.exists()


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("nonsense", 'Unknown command "nonsense"'),
        ("boxmodel nonsense", "See: trapmeter boxmodel --help"),
        ("predict --nonsense", "Unknown option: --nonsense"),
        ("predict a.mp4 --outt x", "--outt. Did you mean --out? See: trapmeter predict --help"),
        ("predict a.mp4", "trapmeter predict needs --out. See: trapmeter predict --help"),
        ("predict a.mp4 --out", "--out needs a value"),
        ("predict a.mp4 --out x --every soon", "--every: expected a number, got 'soon'"),
        ("predict a.mp4 --out x --jobs 1.5", "--jobs: expected a whole number, got '1.5'"),
        ("predict a.mp4 --out x --runtime big", '"big" for --runtime. Choose from: "auto"'),
        (
            "predict a.mp4 --out x --detector big",
            "--detector: expected int8, float32 or the ONNX file of a detector, got 'big'",
        ),
        ("report", "trapmeter report needs RESULTS"),
        ("review export --out x", "trapmeter review export needs RESULTS"),
        ("demo more", "trapmeter demo takes no further argument, got 'more'"),
        ("report x --jobs 0", "--jobs: expected at least 1, got 0"),
        ("review x --port 70000", "--port: expected at least 0 and at most 65535, got 70000"),
        ("calibrate x --out y --pick 0", "--pick: expected at least 1, got 0"),
        ("boxmodel evaluate --tables x --folds 1", "--folds: expected at least 2, got 1"),
        ("submit --format a --store b --model c --out d --round 0", "--round: expected more than 0, got 0.0"),
        ("points a.mp4 --site S --time nan", "--time takes seconds of 0 or more, got nan"),
    ],
)
def test_a_wrong_command_says_what_was_expected(command: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert inside(*command.split()) == 2
    assert said in capsys.readouterr().err


def test_a_list_may_begin_with_a_negative_number(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    missing = tmp_path / "gone.pt"
    assert inside("models", "import", missing, "--offsets", "-2,-1,0,1,2") == 2
    assert "gone.pt: no such file" in capsys.readouterr().err
    assert inside("frames", "--store", tmp_path, "--offsets", "-2,-1,0") == 2
    assert "give --labels and --videos" in capsys.readouterr().err


def test_a_store_whose_pictures_cannot_be_read_is_refused_before_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from trapmeter.frames.spec import StoreSpec
    from trapmeter.frames.store import FrameStore

    pytest.importorskip("simplejpeg")
    FrameStore.create(tmp_path / "store", StoreSpec())
    times = table(tmp_path / "times.csv", "video_id,time\ncli.mp4,1\n")
    monkeypatch.setitem(sys.modules, "simplejpeg", None)
    call = ("--store", tmp_path / "store", "--times", times, "--model", NETWORK, "--runtime", "onnxruntime")
    assert inside("predict", *call, "--out", tmp_path / "out") == 2
    assert "needs the package 'simplejpeg'" in capsys.readouterr().err
    assert not (tmp_path / "out/distances.csv").exists()


@pytest.mark.parametrize("verb", ["review export", "review", "points", "train", "frames"])
def test_help_is_wrapped_by_the_terminal_alone_and_states_true_defaults(verb: str) -> None:
    said = trapmeter(*verb.split(), "--help", columns=1000).stdout
    for odd in ("None", "True", "(0.0,)"):
        assert f"[default: {odd}" not in said
    if verb == "train":  # a recipe's values are not those of the dataclass
        assert "[default:" not in said.partition("Changes to the recipe")[2]
    if verb == "review export":
        assert (
            "labels.csv has every animal that was added, or whose distance was accepted or entered, for `calibrate --labels`"
            in said
        )


@pytest.mark.slow
def test_real_clips_end_with_3_a_reason_for_each_broken_one_and_chimpanzees_measured(
    shared: Path, tmp_path: Path
) -> None:
    clips = shared / "clips"
    broken = ["codecs/empty.mp4", "codecs/trunc_nomoov.mp4"]
    paths = [clips / name for name in (*broken, "codecs/trunc.avi", "real/chimps.mp4")]
    assert inside("predict", *paths, "--out", tmp_path) == 3
    with (tmp_path / "distances.csv").open() as file:
        rows = list(csv.DictReader(file))
    for name in broken:
        (row,) = (row for row in rows if row["media_id"] == name)
        assert (row["status"], bool(row["reason"])) == ("failed", True)
    seconds = {row["time_s"] for row in rows if row["media_id"] == "real/chimps.mp4" and row["status"] == "measured"}
    assert len(seconds) >= 12


@pytest.mark.slow
def test_ctrl_c_says_how_to_go_on(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-c",
        "from trapmeter.cli import main; main()",
        "predict",
        str(CLIPS),
        "--out",
        str(tmp_path),
    ]
    # Tests that a script started in the background ignore the signal, and their children would inherit that.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    finally:
        signal.signal(signal.SIGINT, before)
    while not (tmp_path / "seen.jsonl").exists():
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=3000)
    assert process.returncode == 130
    assert "stopped; the same command resumes" in said


def test_the_demo_never_overwrites_a_survey(clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert inside("predict", clip, "--out", tmp_path / "survey") == 0
    before = (tmp_path / "survey/distances.csv").read_bytes()
    assert inside("demo", "--out", tmp_path / "survey") == 2
    assert "another run than the demo's" in capsys.readouterr().err
    assert (tmp_path / "survey/distances.csv").read_bytes() == before


def test_a_site_rule_that_matches_nothing_is_refused(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for rule, hint in (
        ("folder:1", f"give the folder above it ({clip.parent.parent}) instead"),
        ("regex:(S9+)", "correct it, or leave --site out"),
    ):
        assert inside("predict", clip, "--out", tmp_path, "--site", rule) == 2
        said = capsys.readouterr().err
        assert "gives none of the 1 media a site" in said
        assert hint in said


def test_another_cameras_boxes_are_not_taken(clip: Path, tmp_path: Path) -> None:
    folder = tmp_path / "S01"
    folder.mkdir()
    (folder / "a.mp4").write_bytes(clip.read_bytes())
    boxes = table(tmp_path / "boxes.csv", "video_id,time,x1,y1,x2,y2,probability\nS02/a.mp4,0,0.1,0.1,0.4,0.5,0.9\n")
    assert inside("predict", folder, "--out", tmp_path / "out", "--boxes", boxes) == 3
    assert "which has S02/a.mp4" in (tmp_path / "out/distances.csv").read_text()


@pytest.mark.slow
def test_rows_that_are_made_again_say_why(clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "videos/S1").mkdir(parents=True)
    (tmp_path / "videos/S1/a.mp4").write_bytes(clip.read_bytes())
    boxes = table(tmp_path / "boxes.csv", "video_id,time,x1,y1,x2,y2,probability\na.mp4,0,0.1,0.1,0.4,0.5,0.9\n")
    call = ["predict", tmp_path / "videos", "--out", tmp_path / "out", "--boxes", boxes]
    assert inside(*call) == 0
    assert inside(*call) == 0
    assert "computed again" not in capsys.readouterr().out
    assert inside(*call, "--site", "folder:1", "--hfov", "50") == 0
    said = capsys.readouterr().out
    assert "all rows were computed again because --site was none, is folder:1; --hfov was not given, is 50.0" in said
    assert "S1" in (tmp_path / "out/distances.csv").read_text()


def test_models_say_what_is_missing_and_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TRAPMETER_MODELS", str(tmp_path / "models"))
    assert inside("models", "verify") == 0
    assert f"nothing to check in {tmp_path / 'models'}" in capsys.readouterr().out
    assert inside("models", "verify", tmp_path) == 1
    assert capsys.readouterr().out.count(str(tmp_path)) == 1
    import trapmeter.models.install as install

    monkeypatch.setattr(install, "find_spec", lambda _: None)
    assert inside("models", "import", tmp_path / "gone.pt") == 2
    assert "gone.pt: no such file" in capsys.readouterr().err


def test_a_part_that_is_missing_from_a_card_is_named(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    (bundle / "model.onnx").write_bytes(b"x")
    (bundle / "bundle.json").write_text("{}")
    assert inside("models", "show", bundle) == 2
    assert "('trapmeter_bundle' is missing)" in capsys.readouterr().err
    registry = table(tmp_path / "mine.toml", '[mine]\nformat = "bundle"\n')
    assert inside("models", "list", "--registry", registry) == 2
    assert "the entry 'mine' is invalid: 'urls' is missing" in capsys.readouterr().err
    blends = {"{}": "('trapmeter_blend' is missing)", "[]": "(expected a JSON object)"}
    for content, words in blends.items():
        blend = table(tmp_path / "blend.json", content)
        assert inside("predict", clip, "--out", tmp_path / "out", "--model", NETWORK, "--blend", blend) == 2
        assert words in capsys.readouterr().err


def test_flags_stand_in_the_help_without_a_type() -> None:
    said = trapmeter("predict", "--help").stdout
    assert "--flip" in said
    assert "<bool>" not in said
