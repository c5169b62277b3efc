"""Builders for tests of runs: a small survey with a table of boxes, and the task of a single medium."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from trapmeter.prediction.medium_pipeline import MediumTask
from trapmeter.records import Medium, MediumKind

BOXES_HEADER = "video_id,time,x1,y1,x2,y2,probability,park,site_id\n"


def make_survey(folder: Path, clip: Path, names: Sequence[str], *, n_seconds: int, broken: str) -> Path:
    """Copies the clip to folder/survey under each name, adds a broken video and, beside them, boxes.csv; returns the survey.

    The table has one box for each of the first n_seconds of each video, and one for the broken video; it names files without
    their folders.
    """
    survey = folder / "survey"
    for name in names:
        (survey / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(clip, survey / name)
    (survey / broken).write_bytes(b"RIFF" + b"\x00" * 500)
    rows = "".join(
        f"{Path(name).name},{t},0.{x + 1},0.4,0.{x + 3},0.7,0.{9 - t},park,s\n"
        for x, name in enumerate(names)
        for t in range(n_seconds)
    )
    (folder / "boxes.csv").write_text(f"{BOXES_HEADER}{rows}{Path(broken).name},0,0.1,0.1,0.2,0.2,0.9,park,s\n")
    return survey


def medium_task(path: Path, **changes: object) -> MediumTask:
    """A task for every second of a video, or for a photo."""
    kind = MediumKind.PHOTO if path.suffix in (".jpg", ".png") else MediumKind.VIDEO
    return replace(MediumTask(Medium(path.name, path, kind), None, 1.0), **changes)
