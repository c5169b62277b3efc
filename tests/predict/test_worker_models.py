from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from fakes import bright_eyes, dying_eyes
from trapmeter.parallel.workers import INTERNAL_ERROR, TimeLimits
from trapmeter.predict.medium_pipeline import MediumTask
from trapmeter.predict.worker_models import process_media
from trapmeter.records import Medium, MediumKind


def photos(folder: Path, greys: list[int]) -> list[MediumTask]:
    tasks = []
    for number, grey in enumerate(greys):
        path = folder / f"{number}.png"
        Image.fromarray(np.full((60, 80, 3), grey, np.uint8)).save(path)
        tasks.append(MediumTask(Medium(path.name, path, MediumKind.PHOTO), None, 1.0))
    return tasks


def test_all_media_come_back_once(tmp_path: Path) -> None:
    tasks = photos(tmp_path, [200, 100, 200, 100, 200])
    seen = list(process_media(tasks, bright_eyes, 2, TimeLimits()))
    assert sorted(s.media_id for s in seen) == [f"{i}.png" for i in range(5)]
    assert sum(bool(s.seconds[0].boxes) for s in seen) == 3


def test_a_crash_and_a_hang_fail_alone(tmp_path: Path) -> None:
    tasks = photos(tmp_path, [200, 0, 255, 200, 0, 200])
    seen = {s.media_id: s.failure for s in process_media(tasks, dying_eyes, 2, TimeLimits(3.0, 0.0))}
    assert seen.pop("1.png") == "the decoder crashed (SIGSEGV)"
    assert seen.pop("4.png") == "the decoder crashed (SIGSEGV)"
    assert seen.pop("2.png") == "given up after 3 s: decoding hangs"
    assert set(seen.values()) == {""}


def test_an_error_of_ours_fails_its_medium_and_says_so(tmp_path: Path) -> None:
    tasks = photos(tmp_path, [200] * 3)
    seen = list(process_media(tasks, partial(bright_eyes, input_hw=None), 2, TimeLimits()))
    assert len(seen) == 3
    assert all(s.failure.startswith(f"{INTERNAL_ERROR} (TypeError") for s in seen)
