"""Media in worker processes: each gets one result, even if its worker crashes or hangs."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fakes import bright_eyes, dying_eyes
from trapmeter.parallel.workers import INTERNAL_ERROR, TimeLimits
from trapmeter.prediction.medium_pipeline import MediumTask
from trapmeter.prediction.worker_models import process_media
from trapmeter.records import Medium, MediumKind

PADDING = bytes(100_000)
"""Appended to pictures: a larger file may take longer."""


def photos(folder: Path, greys: list[int]) -> list[MediumTask]:
    """White pictures are small files, all others large ones."""
    tasks = []
    for number, grey in enumerate(greys):
        path = folder / f"{number}.png"
        Image.fromarray(np.full((60, 80, 3), grey, np.uint8)).save(path)
        if grey < 255:
            with path.open("ab") as file:
                file.write(PADDING)
        tasks.append(MediumTask(Medium(path.name, path, MediumKind.PHOTO), None, 1.0))
    return tasks


def test_each_medium_gets_one_result(tmp_path: Path) -> None:
    tasks = photos(tmp_path, [200, 100, 200, 100, 200])
    results = list(process_media(tasks, bright_eyes, 2, TimeLimits()))
    assert sorted(s.media_id for s in results) == [f"{i}.png" for i in range(5)]
    assert sum(bool(s.seconds[0].boxes) for s in results) == 3


@pytest.mark.slow
def test_a_crash_or_hang_fails_only_its_medium(tmp_path: Path) -> None:
    tasks = photos(tmp_path, [200, 0, 255, 200, 0, 200])
    # Ten minutes for each but the small one, which hangs.
    time_limits = TimeLimits(1.0, 6000.0)
    failures = {s.media_id: s.failure for s in process_media(tasks, dying_eyes, 2, time_limits)}
    assert failures.pop("1.png") == "the decoder crashed (SIGSEGV)"
    assert failures.pop("4.png") == "the decoder crashed (SIGSEGV)"
    limit_s = time_limits.limit_s((tmp_path / "2.png").stat().st_size)
    assert limit_s < 10
    assert failures.pop("2.png") == f"given up after {limit_s:.0f} s: decoding hangs"
    assert set(failures.values()) == {""}


def test_an_internal_error_fails_only_its_medium_and_is_named(tmp_path: Path) -> None:
    tasks = photos(tmp_path, [200] * 3)
    results = list(process_media(tasks, partial(bright_eyes, input_hw=None), 2, TimeLimits()))
    assert len(results) == 3
    assert all(s.failure.startswith(f"{INTERNAL_ERROR} (TypeError") for s in results)
