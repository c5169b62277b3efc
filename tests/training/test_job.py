"""glibc keeps the large blocks of memory that every training step needs."""

import subprocess
import sys

import pytest

from trapmeter.training.job import keep_freed_memory

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
