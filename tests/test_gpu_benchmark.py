"""benchmarks/gpu.py on a CPU: its rows, their ratios, and variants that fail."""

import csv
import json
import os
import subprocess
import sys
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import ending
from trapmeter.training.recipes import Precision, Recipe, second_place

torch = pytest.importorskip("torch")
BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
# Not for longer: other benchmarks have the names of folders of tests.
with pytest.MonkeyPatch.context() as patch:
    patch.syspath_prepend(BENCHMARKS)
    gpu, gpu_measure, gpu_table, gpu_training = map(import_module, ("gpu", "gpu_measure", "gpu_table", "gpu_training"))

SMALL = ["--backbone", "test_efficientnet", "--size", "32", "48", "--batch", "2", "--steps", "1", "--repeats", "1"]


@pytest.fixture
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other processes get this path."""
    monkeypatch.syspath_prepend(BENCHMARKS)


def row(name: str, windows_per_s: float | None, part: str = "train") -> Any:
    outcome = "out of memory" if windows_per_s is None else gpu_table.Figures(windows_per_s, 32, 10.0, 12.0)
    return gpu_table.make_row(part, name, 32, 1, outcome, None)


def test_a_ratio_is_that_to_the_baseline() -> None:
    made = gpu_table.make_row("train", "bf16", 32, 1, gpu_table.Figures(150.0, 24), row("fp16", 50.0))
    assert (made.ratio, made.baseline, made.batch) == (3.0, "fp16", 24)
    loader = gpu_table.make_row("loader", "4 loader processes", 32, 1, gpu_table.Figures(25.0, 32), row("fp16", 50.0))
    assert (loader.ratio, loader.baseline) == (0.5, "train fp16")


def test_without_figures_there_is_no_ratio() -> None:
    failed = gpu_table.make_row("train", "bf16", 32, 1, "out of memory", row("fp16", 50.0))
    assert (failed.windows_per_s, failed.ratio, failed.note) == (None, None, "out of memory")
    assert gpu_table.make_row("train", "bf16", 32, 1, gpu_table.Figures(150.0, 32), row("fp16", None)).ratio is None


def test_a_line_has_a_cell_for_each_column() -> None:
    for made in (row("fp16", 50.0), row("fp16", None), replace(row("fp16", 1234.5), note="a | b")):
        assert gpu_table.row_text(made).count("|") == gpu_table.HEADER.splitlines()[0].count("|")


@given(most=st.integers(0, 63), too_many=st.integers(1, 64))
def test_the_largest_batch_that_fits(most: int, too_many: int) -> None:
    most = min(most, too_many - 1)
    tried: list[int] = []

    def fits(n: int) -> bool:
        tried.append(n)
        return n <= most

    assert gpu_measure.largest_that_fits(fits, too_many) == most
    assert len(tried) <= 6


@pytest.mark.parametrize("words", [[], ["--precisions", "bf16", "--devices", "4"], ["--parts", "loader", "inference"]])
def test_a_baseline_comes_before_the_rows_compared_with_it(words: list[str]) -> None:
    arguments, recipe = gpu.parse(words)
    arguments.precisions = arguments.precisions or [Precision.FP16, Precision.BF16]
    before: set[Any] = set()
    for variant, baseline in gpu.plan(arguments, recipe):
        assert baseline is None or baseline in before
        assert variant not in before
        before.add(variant)


def test_the_plan_has_every_combination() -> None:
    arguments, recipe = gpu.parse([])
    arguments.precisions = [Precision.FP16, Precision.BF16]
    variants = [variant for variant, _ in gpu.plan(arguments, recipe)]
    training = {(v.precision, v.is_channels_last, v.is_compiled) for v in variants if isinstance(v, gpu.Training)}
    assert len(training) == 8
    assert {v.batch for v in variants if isinstance(v, gpu.TorchScript)} == {1, 8, 32}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--batch", "0"], "expected at least 1, got 0"),
        (["--size", "8", "8"], "--size"),
        (["--out", "nowhere/table"], "there is no folder nowhere"),
        (["--precisions", "fp64"], "invalid choice"),
    ],
)
def test_wrong_options_are_refused(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        gpu.parse(words)
    assert message in capsys.readouterr().err


def workload(folder: Path) -> Any:
    recipe = second_place()
    spec = replace(recipe.input, size_hw=(32, 48))
    return gpu_measure.Workload(replace(recipe, backbone="test_efficientnet", weights="none", input=spec), 1, 1, folder)


@pytest.mark.slow
def test_a_batch_that_does_not_fit_is_replaced_by_the_largest_that_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import trapmeter.training.loop
    from trapmeter.training.distributed import ALONE

    def epoch(recipe: Recipe, *_: object) -> float:
        if recipe.batch_size > most:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return 1.0

    monkeypatch.setattr(trapmeter.training.loop, "train_epoch", epoch)
    variant = gpu.Training(Precision.BF16, is_channels_last=True, is_compiled=False, batch=8)
    most = 5
    figures = variant.measure(workload(tmp_path), ALONE)
    assert (figures.batch, figures.note) == (5, "out of memory with 8; 5 is the largest batch that fits")
    most = 0
    assert "even with a batch of one" in gpu.attempt(lambda ranks: variant.measure(workload(tmp_path), ranks), ALONE)
    compiled = replace(variant, is_compiled=True)
    assert gpu.attempt(lambda ranks: compiled.measure(workload(tmp_path), ranks), ALONE) == "out of memory"


IN_ONE_PROCESS = """
import sys
import gpu
from trapmeter.training.distributed import ALONE

def in_this_process(work, n, limit_s):
    outcome = gpu.attempt(work, ALONE)
    return outcome if isinstance(outcome, str) else [outcome]

gpu.in_processes = in_this_process
gpu.main(sys.argv[1:])
"""
"""Loading torch for every row would take minutes."""


def run_in_one_process(*words: str) -> str:
    """What a run of the benchmark prints."""
    paths = os.pathsep.join([str(BENCHMARKS), *sys.path])
    command = [sys.executable, "-c", IN_ONE_PROCESS, *words]
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": paths}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_the_table_of_a_run(tmp_path: Path) -> None:
    words = [*SMALL, "--no-compile", "--precisions", "fp32", "bf16", "fp16", "--inference-batches", "1", "2"]
    text = run_in_one_process(*words, "--workers", "1", "--out", str(tmp_path / "table"))
    content = json.loads((tmp_path / "table.json").read_text())
    rows = {(made["part"], made["name"], made["batch"]): made for made in content["rows"]}
    assert content["machine"]["torch"]
    assert content["machine"]["device"]
    assert content["settings"]["size_hw"] == [32, 48]
    # Every row with figures and a measured baseline has their quotient.
    by_name = {("" if part == "train" else batch, name): made for (part, name, batch), made in rows.items()}
    compared = [made for made in content["rows"] if made["ratio"] is not None]
    for made in compared:
        baseline = by_name[
            "" if made["part"] != "inference" else made["batch"], made["baseline"].removeprefix("train ")
        ]
        assert made["ratio"] == pytest.approx(made["windows_per_s"] / baseline["windows_per_s"])
    assert {made["part"] for made in compared} >= {"train", "inference"}
    for batch in (1, 2):
        assert rows["inference", "TorchScript fp32", batch]["windows_per_s"] > 0
        assert rows["inference", "predict --runtime torch", batch]["ratio"] > 0
    loader, fp16 = rows["loader", "1 loader process", 2], rows["train", "fp16, channels last", 2]
    assert loader["windows_per_s"] > 0
    assert loader["baseline"] == "train fp16, channels last"
    if torch.cuda.is_available():
        assert fp16["reserved_gb"] >= fp16["allocated_gb"] > 0
    else:
        # What fails is a row with its reason; the run went on.
        assert (fp16["note"], fp16["windows_per_s"]) == ("fp16 trains on GPUs only", None)
        assert loader["ratio"] is None
    printed = [line for line in text.splitlines() if line.startswith("|")]
    assert len(printed) == len(content["rows"]) + 2
    with (tmp_path / "table.csv").open(newline="") as file:
        written = list(csv.DictReader(file))
    assert [made["name"] for made in written] == [made["name"] for made in content["rows"]]
    assert {made["torch"] for made in written} == {content["machine"]["torch"]}


@pytest.mark.slow
def test_an_unknown_network_fails_in_every_row_but_the_run_ends(tmp_path: Path) -> None:
    words = [*SMALL, "--backbone", "no_such_network", "--precisions", "fp32", "--parts", "train", "inference"]
    run_in_one_process(*words, "--out", str(tmp_path / "table"))
    made = json.loads((tmp_path / "table.json").read_text())["rows"]
    assert {row["windows_per_s"] for row in made} == {None}
    assert all(row["note"] for row in made)


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.device_count() == 1, reason="two processes need two GPUs, or none")
@pytest.mark.usefixtures("importable")
@pytest.mark.parametrize("accumulate", [1, 2])
def test_two_processes_train_together(tmp_path: Path, accumulate: int) -> None:
    variant = gpu.Training(Precision.FP32, True, False, 2, devices=2, accumulate=accumulate)
    figures = gpu.measure(variant, workload(tmp_path), 600.0)
    assert not isinstance(figures, str), figures
    assert figures.windows_per_s > 0


@pytest.mark.slow
@pytest.mark.usefixtures("importable")
def test_processes_that_end_fail_or_hang_give_a_reason() -> None:
    assert gpu.in_processes(ending.die, 1, 600.0) == "its process ended with status 9"
    # The first process fails while the second one would wait for it.
    assert gpu.in_processes(ending.fail_or_wait, 2, 600.0) == "RuntimeError: no such thing"
    assert gpu.in_processes(ending.wait, 1, 0.0) == "not done after 0 minutes"
