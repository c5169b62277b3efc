"""What a process does before it trains: glibc keeps large blocks of memory, cuDNN searches the fastest convolutions."""

import subprocess
import sys

import pytest

from training_world import tiny_recipe
from trapmeter.training.distributed import ALONE
from trapmeter.training.job import keep_freed_memory, prepare_process
from trapmeter.training.recipes import Precision

pytestmark = pytest.mark.slow

FAULTS = """
import resource, sys
import torch
from trapmeter.training.job import keep_freed_memory
if sys.argv[1] == "keep":
    assert keep_freed_memory()
for number in range(40):
    if number == 20:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.ones(16_000_000)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(not keep_freed_memory(), reason="needs glibc")
def test_large_blocks_stay_in_memory() -> None:
    pytest.importorskip("torch")

    def faults(how: str) -> int:
        command = [sys.executable, "-c", FAULTS, how]
        return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    assert 10 * faults("keep") < faults("default")


@pytest.mark.parametrize(
    ("precision", "is_searched"), [(Precision.FP16, True), (Precision.FP64, False)], ids=["fp16", "fp64"]
)
def test_a_gpu_searches_its_fastest_convolutions_unless_digits_are_compared(
    precision: Precision, is_searched: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    prepare_process(ALONE, tiny_recipe(precision=precision))
    assert torch.backends.cudnn.benchmark is is_searched
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    prepare_process(ALONE, tiny_recipe())
    assert not torch.backends.cudnn.benchmark
