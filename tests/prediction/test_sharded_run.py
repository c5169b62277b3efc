"""A merged run has the same bytes as a run without shards, and a merge names what is wrong."""

import json
import shutil
from pathlib import Path
from typing import get_type_hints

import pytest

from conftest import MakeClip
from prediction_world import make_survey
from trapmeter.demo.clips import NETWORK
from trapmeter.errors import InputError, RunError
from trapmeter.parallel.sharding import Shard
from trapmeter.prediction.run import run_prediction
from trapmeter.prediction.settings import PATH_FIELDS, PredictSettings
from trapmeter.prediction.sharded_run import merge_shards, predict_shard
from trapmeter.settings import from_values, to_values
from trapmeter.tables.site_rules import CsvSite, FolderSite


@pytest.fixture
def survey(tmp_path: Path, make_clip: MakeClip) -> Path:
    """Two sites, each in more than one shard, and a broken video."""
    names = [f"s{number % 2}/{number}.mp4" for number in range(5)]
    clip = make_clip("shards.mp4", n=30, rate=10)
    return make_survey(tmp_path, clip, names, n_seconds=2, broken="s1/broken.avi")


def settings(survey: Path, out: str = "out", **changes: object) -> PredictSettings:
    base = {"paths": (survey,), "out": survey.parent / out, "boxes": survey.parent / "boxes.csv", "jobs": 1}
    return PredictSettings(**{**base, "site": FolderSite(1), **changes})


def shards(survey: Path, n: int, **changes: object) -> list[Path]:
    return [predict_shard(settings(survey, **changes), Shard(i, n)).folder for i in range(1, n + 1)]


def test_settings_survive_json() -> None:
    before = PredictSettings(
        (Path("a"),), out=Path("out"), times=Path("t.csv"), site=CsvSite(Path("s.csv")), models=(NETWORK,), flip=True
    )
    assert from_values(PredictSettings, json.loads(json.dumps(to_values(before)))) == before


@pytest.mark.slow
def test_shards_merge_to_the_bytes_of_one_run(survey: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    whole = run_prediction(settings(survey, "whole"))
    times = survey.parent / "times.csv"
    # The shards run with relative paths; the merge runs in another folder.
    monkeypatch.chdir(survey.parent)
    here = settings(survey, paths=(Path("survey"),), boxes=Path("boxes.csv"), out=Path("out"))
    runs = [predict_shard(here, Shard(i, 3)) for i in (3, 1, 2)]
    assert sum(run.n_media for run in runs) == 6
    assert sum(run.n_failed for run in runs) == 1
    folders = [survey.parent / run.folder for run in runs]
    assert sorted(folder.name for folder in folders) == ["shard-1-of-3", "shard-2-of-3", "shard-3-of-3"]
    monkeypatch.chdir(tmp_path.parent)
    merged = merge_shards(folders, tmp_path / "merged")
    expected = (tmp_path / "whole/distances.csv").read_bytes()
    assert (tmp_path / "merged/distances.csv").read_bytes() == expected
    assert merged.summary == whole.summary
    facts = json.loads((tmp_path / "merged/run.json").read_text())
    assert facts["shards"] == [str(folder) for folder in folders]
    # The merged folder can be resumed like any other.
    steps: list[tuple[str, int, int, int]] = []
    run_prediction(settings(survey, "merged"), lambda *step: steps.append(step))
    assert steps[0] == ("look", 5, 6, 0)
    assert (tmp_path / "merged/distances.csv").read_bytes() == expected
    # A merge can be repeated.
    merge_shards(folders, tmp_path / "merged")
    assert (tmp_path / "merged/distances.csv").read_bytes() == expected
    assert not times.exists()


def test_an_interrupted_shard_is_resumed(survey: Path) -> None:
    (folder,) = shards(survey, 1)
    journal = folder / "seen.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(lines[:3]) + lines[3][:20])
    with pytest.raises(RunError, match=r"not finished: 1/1 \(4 media\), the first of them s0/4\.mp4"):
        merge_shards([folder], survey.parent / "merged")
    steps: list[tuple[str, int, int, int]] = []
    predict_shard(settings(survey), Shard(1, 1), progress=lambda *step: steps.append(step))
    assert steps[0][1] == sum(b'"failure":""' in line for line in lines[:3])
    merge_shards([folder], survey.parent / "merged")
    run_prediction(settings(survey, "whole"))
    merged, whole = (survey.parent / name / "distances.csv" for name in ("merged", "whole"))
    assert merged.read_bytes() == whole.read_bytes()


@pytest.mark.slow
def test_there_may_be_more_shards_than_media(survey: Path) -> None:
    folders = shards(survey, 8)
    assert merge_shards(folders, survey.parent / "merged").summary.n_media == 6


@pytest.mark.slow
def test_a_medium_that_was_added_later_is_not_left_out(survey: Path, make_clip: MakeClip) -> None:
    folders = shards(survey, 2)
    shutil.copy(make_clip("shards.mp4", n=30, rate=10), survey / "s0/late.mp4")
    with pytest.raises(RunError, match=r"\(1 media\), the first of them s0/late\.mp4; run these shards again"):
        merge_shards(folders, survey.parent / "merged")
    assert shards(survey, 2) == folders
    assert merge_shards(folders, survey.parent / "merged").summary.n_media == 7


@pytest.mark.slow
def test_shards_of_different_runs_are_refused(survey: Path) -> None:
    one, two = shards(survey, 2)
    out = survey.parent / "merged"
    other_n = predict_shard(settings(survey), Shard(1, 3)).folder
    other_every = predict_shard(settings(survey, "other", every_s=2.0), Shard(2, 2)).folder
    copy = survey.parent / "copy"
    shutil.copytree(one, copy)
    cases = [
        ([], "no shard given"),
        ([one], "not all shards are given: 2/2 missing"),
        ([one, two, copy], f"shard 1/2 is given twice: {one} and {copy}"),
        ([one, other_n], f"{other_n} is shard 1/3: of different runs"),
        ([one, other_every], r"of different runs: every_s is 1\.0 and 2\.0"),
        ([one, survey], "no shard of a run"),
        ([one, survey / "nowhere"], "no shard of a run"),
    ]
    for folders, words in cases:
        with pytest.raises(InputError, match=words):
            merge_shards(folders, out)
    assert not out.exists()
    data = json.loads((two / "shard.json").read_text())
    (two / "shard.json").write_text(json.dumps({**data, "trapmeter": "0.0.1"}))
    with pytest.raises(InputError, match=r"made by trapmeter 0\.0\.1"):
        merge_shards([one, two], out)
    (two / "shard.json").write_text("{}")
    with pytest.raises(InputError, match="not a file that trapmeter wrote"):
        merge_shards([one, two], out)


def test_a_damaged_busy_or_foreign_journal_is_named(survey: Path) -> None:
    from filelock import FileLock

    one, two = shards(survey, 2)
    out = survey.parent / "merged"
    with FileLock(two / ".lock"), pytest.raises(RunError, match="shard-2-of-2: another run is writing there"):
        merge_shards([one, two], out)
    journal = two / "seen.jsonl"
    before = journal.read_bytes()
    journal.write_bytes(before.replace(b'"seconds":[', b'"seconds":{', 1))
    with pytest.raises(RunError, match=r"shard-2-of-2/seen\.jsonl, line 2: .*give its command again"):
        merge_shards([one, two], out)
    journal.unlink()
    with pytest.raises(RunError, match="run shard 2/2 again"):
        merge_shards([one, two], out)
    journal.write_bytes(before)
    run_prediction(settings(survey, "merged", every_s=2.0))
    with pytest.raises(RunError, match=r"merged: holds a run with other settings \(every_s was 2\.0, is 1\.0\)"):
        merge_shards([one, two], out)


def test_every_path_setting_survives_json_as_a_path(survey: Path) -> None:
    """A setting that isn't in PATH_FIELDS would be read back as a string."""
    hints = get_type_hints(PredictSettings)
    assert {name for name, hint in hints.items() if hint in (Path, Path | None)} == set(PATH_FIELDS)


def test_a_merge_into_a_shard_is_refused(survey: Path) -> None:
    folders = shards(survey, 2)
    with pytest.raises(InputError, match="is the folder of a shard; choose another --out"):
        merge_shards(folders, folders[0])
