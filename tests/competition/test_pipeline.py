"""The competition run from one file with a tiny network: the plan, every step, resuming, and refusals."""

import csv
import json
import shutil
from dataclasses import fields, replace
from pathlib import Path

import pytest

from training_world import World, make_world, tiny_recipe
from trapmeter.competition.pipeline import run_competition
from trapmeter.competition.settings import CompetitionSettings, read_competition_settings
from trapmeter.errors import InputError, RunError
from trapmeter.frames.spec import Codec
from trapmeter.frames.store import FrameStore
from trapmeter.models.runtimes.choice import Runtime, RuntimeChoice
from trapmeter.models.runtimes.network import Ensemble
from trapmeter.training.recipes import RECIPES

torch = pytest.importorskip("torch")

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return make_world(tmp_path_factory.mktemp("competition"))


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One real bundle, which stands in for all: exporting each network would take longer than everything else."""
    from trapmeter.training.export import export_network
    from trapmeter.training.network import make_network

    recipe = tiny_recipe()
    network = make_network(recipe.backbone, recipe.input, "none")
    network.set_initial_distance(5.0)
    folder = tmp_path_factory.mktemp("exported")
    export_network(network, recipe.input, folder, "tiny", "MIT", {})
    return folder


@pytest.fixture
def configuration(world: World, exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    import trapmeter.training.export

    def copy(network: object, spec: object, folder: Path, *_: object) -> None:
        shutil.copytree(exported, folder, dirs_exist_ok=True)

    monkeypatch.setattr(trapmeter.training.export, "export_network", copy)
    monkeypatch.setitem(RECIPES, "tiny", lambda: tiny_recipe(epochs=1))
    # The last two videos are the test set.
    for name, chosen in (("train", lambda video: video < "v10"), ("test", lambda video: video >= "v10")):
        for table in (world.labels, world.metadata):
            lines = table.read_text().splitlines()
            kept = [lines[0], *(line for line in lines[1:] if chosen(line.split(",")[0]))]
            (tmp_path / f"{name}_{table.name}").write_text("\n".join(kept) + "\n")
    path = tmp_path / "second-place.toml"
    path.write_text(
        f'labels = "train_labels.csv"\nmetadata = "train_metadata.csv"\nvideos = "{world.videos}"\n'
        f'test_format = "test_labels.csv"\ntest_metadata = "test_metadata.csv"\ntest_labels = "test_labels.csv"\n'
        f'test_videos = "{world.videos}"\nout = "out"\nrecipe = "tiny"\nfolds = 2\nrounds = 1\njobs = 1\n'
    )
    return path


def test_videos_become_a_submission_and_a_second_run_has_nothing_to_do(configuration: Path) -> None:
    lines: list[str] = []
    submission = run_competition(read_competition_settings(configuration), lines.append)
    out = configuration.parent / "out"
    assert submission == out / "submission-1.csv"
    with submission.open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["video_id"], row["time"]) for row in rows] == [
        (f"v{n}.mp4", str(t)) for n in (10, 11) for t in range(4)
    ]
    assert {"pseudolabels-1.csv", "submission-0.csv", "evaluation-0", "evaluation-1", "round-0", "round-1"} <= {
        path.name for path in out.iterdir()
    }
    assert sum(": to do" in line for line in lines) == 8
    assert any("(8 pseudolabels)" in line for line in lines)
    assert any("networks run in " in line for line in lines)
    before = submission.read_bytes()
    lines.clear()
    run_competition(read_competition_settings(configuration), lines.append)
    assert len(lines) >= 8
    assert all(": done" in line for line in lines)
    # A step whose result is missing is repeated, with the same bytes.
    submission.unlink()
    run_competition(read_competition_settings(configuration), lines.append)
    assert submission.read_bytes() == before


def test_one_more_round_resumes_and_other_settings_are_refused(configuration: Path) -> None:
    configuration.write_text(configuration.read_text().replace("rounds = 1", "rounds = 0"))
    run_competition(read_competition_settings(configuration), lambda _: None)
    configuration.write_text(configuration.read_text().replace("rounds = 0", "rounds = 1"))
    lines: list[str] = []
    run_competition(read_competition_settings(configuration), lines.append)
    assert sum(": done" in line for line in lines) == 4
    configuration.write_text(configuration.read_text().replace("folds = 2", "folds = 3"))
    with pytest.raises(RunError, match="another folds"):
        run_competition(read_competition_settings(configuration), lambda _: None)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("labels = ", "not TOML"),
        ('label = "x"', "unknown settings label"),
        ('labels = "x"', "missing"),
        ("rounds = -1", "rounds"),
        ('folds_by = "park"', "park"),
        ('runtime = "abacus"', "abacus"),
    ],
)
def test_a_wrong_file_is_refused(configuration: Path, text: str, message: str) -> None:
    name = text.split(" ", maxsplit=1)[0]
    kept = [line for line in configuration.read_text().splitlines() if not line.startswith(f"{name} ")]
    configuration.write_text("\n".join([*(kept if message != "missing" else []), text]) + "\n")
    with pytest.raises(InputError, match=message):
        read_competition_settings(configuration)


@pytest.mark.parametrize("runtime", [Runtime.ONNXRUNTIME, Runtime.OPENVINO])
def test_the_requested_runtime_runs_the_networks(
    configuration: Path, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    from trapmeter.competition import inference
    from trapmeter.models.runtimes import network

    opened = []
    monkeypatch.setattr(network, "choose_runtime", lambda requested: RuntimeChoice(requested, "requested"))
    load = Ensemble.load

    def recording_load(folders: list[Path], **arguments: object) -> Ensemble:
        opened.append(arguments.pop("runtime"))
        return load(folders, **arguments)

    monkeypatch.setattr(inference.Ensemble, "load", recording_load)
    configuration.write_text(configuration.read_text().replace("rounds = 1", f'rounds = 0\nruntime = "{runtime}"'))
    run_competition(read_competition_settings(configuration), lambda _: None)
    assert opened == [runtime]
    journal = (configuration.parent / "out/answers-0.jsonl").read_text().splitlines()
    assert f'"runtime":"{runtime}"' in journal[0]


def test_the_reference_page_has_every_setting() -> None:
    text = (ROOT / "docs/reference/chain.md").read_text()
    for field in fields(CompetitionSettings):
        assert f"`{field.name}`" in text


def test_the_file_of_the_demo_is_valid() -> None:
    settings = read_competition_settings(ROOT / "src/trapmeter/demo/chain.toml")
    for path in (settings.labels, settings.metadata, settings.test_format, settings.videos, settings.test_labels):
        assert path is not None
        assert path.exists()


def test_a_competition_run_is_a_single_process(
    configuration: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from trapmeter.cli import main

    for name, value in (("RANK", "0"), ("WORLD_SIZE", "2"), ("LOCAL_RANK", "0")):
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("sys.argv", ["trapmeter", "run", str(configuration)])
    with pytest.raises(SystemExit, match="2"):
        main()
    assert "give --nproc-per-node" in capsys.readouterr().err
    assert not (configuration.parent / "out").exists()


def changed(configuration: Path, text: str) -> CompetitionSettings:
    configuration.write_text(configuration.read_text() + text)
    return read_competition_settings(configuration)


def test_every_setting_of_the_recipe_can_be_changed(configuration: Path) -> None:
    settings = changed(
        configuration,
        "[changes]\nbackbone = 'test_resnet'\nweight_decay = 0.5\nema_decay = 0.9\ncompile = true\nworkers = 7\n"
        "schedule = {lr = 0.5}\ninput = {target = 'metres'}\n[changes.augment]\np_flip = 0.25\n",
    )
    recipe = settings.changed_recipe()
    assert (recipe.backbone, recipe.weight_decay, recipe.ema_decay) == ("test_resnet", 0.5, 0.9)
    assert (recipe.compile, recipe.workers, recipe.schedule.lr, recipe.schedule.t_max) == (True, 7, 0.5, 3)
    assert (recipe.input.target, recipe.input.size_hw, recipe.augment.p_flip) == ("metres", (32, 48), 0.25)
    more = read_competition_settings(configuration, {"epochs": 9, "schedule": {"t_max": 5.0}}).changed_recipe()
    assert (more.epochs, more.schedule.lr, more.schedule.t_max, more.workers) == (9, 0.5, 5.0, 7)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epoch = 1", "unknown settings epoch"),
        ("schedule = {rate = 1}", "schedule: unknown settings rate"),
        ("batch_size = 0", "--batch-size: expected at least 1"),
        ("workers = 'many'", "workers: expected a whole number"),
        ("name = 'other'", "name is not a change"),
    ],
)
def test_a_wrong_change_is_refused(configuration: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        changed(configuration, f"[changes]\n{text}\n")


def test_a_setting_of_the_recipe_in_the_wrong_place_is_refused_with_advice(configuration: Path) -> None:
    with pytest.raises(InputError, match=r"unknown settings epochs.* belong below \[changes\]"):
        changed(configuration, "epochs = 3\n")


def test_the_command_line_changes_the_recipe(configuration: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from trapmeter.cli import main
    from trapmeter.competition import pipeline

    started: list[CompetitionSettings] = []
    monkeypatch.setattr(pipeline, "run_competition", lambda settings, _: started.append(settings))
    options = ["--batch-size", "2", "--lr", "0.01", "--target", "metres", "--codec", "png", "--nproc-per-node", "3"]
    with pytest.raises(SystemExit, match="0"):
        main(["run", str(configuration), *options])
    recipe = started[0].changed_recipe()
    assert (recipe.batch_size, recipe.schedule.lr, recipe.input.target) == (2, 0.01, "metres")
    assert (started[0].codec, started[0].nproc_per_node) == ("png", 3)


@pytest.mark.parametrize(("line", "codec"), [("", "png"), ('codec = "jpeg"\n', "jpeg")])
def test_the_exact_recipe_has_exact_frames(
    configuration: Path, line: str, codec: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from trapmeter.competition import pipeline

    monkeypatch.setitem(RECIPES, "second_place", tiny_recipe)

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(pipeline, "train", stop)
    settings = changed(configuration, line)
    for recipe, expected in (("second_place", codec), ("tiny", "jpeg")):
        out = configuration.parent / recipe
        with pytest.raises(KeyboardInterrupt):
            run_competition(replace(settings, recipe=recipe, out=out), lambda _: None)
        assert FrameStore.open(out / "frames").spec.codec == expected


def test_a_run_of_an_earlier_version_goes_on_with_its_frames(
    configuration: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(RECIPES, "second_place", lambda: tiny_recipe(epochs=1))
    settings = replace(read_competition_settings(configuration), recipe="second_place", rounds=0)
    run_competition(replace(settings, codec=Codec.JPEG), lambda _: None)
    steps = settings.out / "steps.json"
    content = json.loads(steps.read_text())
    assert content["settings"].pop("codec") == "jpeg"
    assert content["settings"].pop("changes") == "{}"
    assert (content["settings"]["epochs"], content["settings"]["weights"]) == ("0", "")
    steps.write_text(json.dumps(content))
    lines: list[str] = []
    run_competition(settings, lines.append)
    assert all(": done" in line for line in lines)
    run_competition(replace(settings, changes={"workers": 1}), lambda _: None)
    with pytest.raises(RunError, match=r"another epochs .it has '0', not '2'.; choose another out"):
        run_competition(replace(settings, changes={"epochs": 2}), lambda _: None)
    with pytest.raises(RunError, match=r"another codec .it has 'jpeg', not 'png'"):
        run_competition(replace(settings, codec=Codec.PNG), lambda _: None)


def test_a_fold_that_is_too_small_is_noticed_before_the_frames(configuration: Path) -> None:
    settings = replace(read_competition_settings(configuration), changes={"batch_size": 64})
    with pytest.raises(InputError, match=r"fold 0: 16 samples are too few .* a smaller --batch-size"):
        run_competition(settings, lambda _: None)
    assert not (settings.out / "frames").exists()


def test_a_round_trains_in_two_processes(configuration: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both rounds, in processes that know only the real recipes."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    small = {"backbone": "test_efficientnet", "weights": "none", "epochs": 1, "batch_size": 4, "head": "pooled"}
    settings = replace(
        read_competition_settings(configuration),
        recipe="small",
        changes=small | {"place_weight": 0.0, "input": {"size_hw": [32, 48], "offsets_s": [0.0]}},
        nproc_per_node=2,
    )
    submission = run_competition(settings, lambda _: None)
    assert submission.name == "submission-1.csv"
    for folder in (settings.out / "round-0", settings.out / "round-1"):
        assert (folder / "curves.png").read_bytes().startswith(b"\x89PNG")
        assert json.loads((folder / "fold-1/finished.json").read_text())["epochs"] == 1
    state = torch.load(settings.out / "round-1/fold-1/state.pt", weights_only=True)
    assert state["n_processes"] == 2


def test_more_processes_than_gpus_are_refused(configuration: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    settings = replace(read_competition_settings(configuration), nproc_per_node=3)
    with pytest.raises(InputError, match="--nproc-per-node: expected at most 2, the number of GPUs, got 3"):
        run_competition(settings, lambda _: None)


def test_a_failed_round_says_so(world: World, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    from trapmeter.competition.rounds import train_in_processes

    settings = CompetitionSettings(
        labels=world.labels,
        metadata=world.metadata,
        videos=world.videos,
        test_format=world.labels,
        test_videos=world.videos,
        out=tmp_path,
        nproc_per_node=2,
    )
    with pytest.raises(RunError, match="2 processes ended with status 1; their messages above say why"):
        train_in_processes(settings, 0)
    assert "trapmeter: " in capfd.readouterr().err
