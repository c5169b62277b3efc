"""Videos and frames that vanish during a run: rows with a reason, and the same bytes once they are back."""

import csv
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from terminal import inside
from training_world import World, tiny_recipe
from trapmeter.errors import InputError
from trapmeter.parallel.workers import Engine, run_tasks
from trapmeter.training import run
from trapmeter.training.settings import TrainSettings
from trapmeter.training.training_log import EpochRecord, TrainingLog
from unbreakable.clips import Survey, contents, learned

pytestmark = pytest.mark.slow


def after_the_first(real: Callable[..., Iterator[Any]], act: Callable[[], object]) -> Callable[..., Iterator[Any]]:
    """The same results; calls act after the first one."""

    def results(*arguments: Any, **options: Any) -> Iterator[Any]:
        for number, result in enumerate(real(*arguments, **options)):
            if number == 0:
                act()
            yield result

    return results


def test_predict_reports_a_folder_that_vanishes(
    survey: Survey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import trapmeter.prediction.run as run

    assert inside(*survey.predict(tmp_path / "complete")) == 0
    out, away = tmp_path / "out", tmp_path / "away"
    with monkeypatch.context() as patch:
        patch.setattr(run, "process_media", after_the_first(run.process_media, lambda: survey.videos.rename(away)))
        assert inside(*survey.predict(out)) == 3
    with (out / "distances.csv").open(encoding="utf-8") as file:
        reasons = {row["reason"] for row in csv.DictReader(file) if row["status"] == "failed"}
    assert reasons == {"No such file or directory"}
    assert (out / "report.html").exists()
    away.rename(survey.videos)
    assert inside(*survey.predict(out)) == 0
    assert (out / "distances.csv").read_bytes() == (tmp_path / "complete/distances.csv").read_bytes()


def test_frames_reports_videos_that_vanish(survey: Survey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import trapmeter.parallel.workers as workers

    assert inside(*survey.frames(tmp_path / "complete")) == 0
    store, away = tmp_path / "store", tmp_path / "away.mp4"
    last = survey.videos / survey.names[-1]
    with monkeypatch.context() as patch:
        vanishing = Engine(after_the_first(run_tasks, lambda: last.rename(away)))
        patch.setattr(workers, "THIS_MACHINE", vanishing)
        assert inside(*survey.frames(store)) == 3
    assert "No such file or directory" in (store / "failed.csv").read_text()
    away.rename(last)
    assert inside(*survey.frames(store)) == 0
    assert contents(store) == contents(tmp_path / "complete")


def test_train_reports_frames_that_vanish(
    world: World,
    train: list[object],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert inside(*train, "--out", tmp_path / "complete") == 0
    shard = min((world.store / "shards").glob("*.frames"))
    away = tmp_path / shard.name
    add = TrainingLog.add

    def add_and_take_away(log: TrainingLog, record: EpochRecord) -> None:
        add(log, record)
        if shard.exists():
            shard.rename(away)

    with monkeypatch.context() as patch:
        patch.setattr(TrainingLog, "add", add_and_take_away)
        assert inside(*train, "--out", tmp_path / "out") == 2
    errors = capsys.readouterr().err
    assert "not in the frame store" in errors
    assert "Traceback" not in errors
    away.rename(shard)
    assert inside(*train, "--out", tmp_path / "out") == 0
    assert learned(tmp_path / "out") == learned(tmp_path / "complete")


def test_an_error_in_a_loader_process_keeps_its_message(world: World, tmp_path: Path) -> None:
    recipe = tiny_recipe(workers=1, epochs=1)
    settings = TrainSettings(
        labels=world.labels,
        metadata=world.metadata,
        store=world.store,
        out=tmp_path / "out",
        recipe=recipe,
        n_folds=2,
        fold=0,
    )
    shards = sorted((world.store / "shards").glob("*.frames"))

    def take_away(said: str) -> None:
        if "training samples" in said:
            for shard in shards:
                shard.rename(tmp_path / shard.name)

    try:
        with pytest.raises(InputError) as error:
            run.train(settings, take_away)
    finally:
        for shard in shards:
            (tmp_path / shard.name).rename(shard)
    assert re.match(r"v\d\d\.mp4: .*not in the frame store", str(error.value))
    assert len(str(error.value).splitlines()) == 1


def test_empty_and_missing_tables_are_named(survey: Survey, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty.csv").touch()
    for table in (tmp_path / "empty.csv", tmp_path / "missing.csv"):
        for option in ("--times", "--boxes", "--truth", "--site"):
            assert inside("predict", survey.videos, "--out", tmp_path / "out", option, table) == 2
            assert table.name in capsys.readouterr().err, option
