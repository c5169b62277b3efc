"""The competition run from one file with a tiny network: the plan, every step, resuming, and refusals."""

import csv
import shutil
from dataclasses import fields
from pathlib import Path

import pytest

from training_world import World, make_world, tiny_recipe
from trapmeter.competition.pipeline import run_competition
from trapmeter.competition.settings import CompetitionSettings, read_competition_settings
from trapmeter.errors import InputError, RunError
from trapmeter.models.runtimes.choice import Runtime, RuntimeChoice
from trapmeter.models.runtimes.network import Ensemble
from trapmeter.training.recipes import RECIPES

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

    opened = []
    monkeypatch.setattr(inference, "choose_runtime", lambda requested: RuntimeChoice(requested, "requested"))
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
    assert "train each round with trapmeter train" in capsys.readouterr().err
    assert not (configuration.parent / "out").exists()
