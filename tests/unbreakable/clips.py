"""Small surveys: copies of one clip under given names, with tables of boxes and labels."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from trapmeter.tables.csvfile import to_cell

SECONDS = 4
HEADER = ("video_id", "time", "x1", "y1", "x2", "y2", "probability", "park", "site_id")


@dataclass(frozen=True)
class Survey:
    """The paths of a small survey."""

    videos: Path
    boxes: Path
    labels: Path
    names: tuple[str, ...]

    def predict(self, out: Path, *more: object) -> list[object]:
        """Arguments that predict distances without a detector."""
        return ["predict", self.videos, "--out", out, "--boxes", self.boxes, "--jobs", 1, *more]

    def frames(self, store: Path, *more: object) -> list[object]:
        """Arguments that store its frames."""
        tables = ["--labels", self.labels, "--videos", self.videos, "--store", store]
        return ["frames", *tables, "--size", "48x80", "--jobs", 1, *more]


def make_survey(folder: Path, clip: Path, names: Sequence[str]) -> Survey:
    """A survey with a copy of the clip under each name."""
    videos = folder / "videos"
    for name in names:
        (videos / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(clip, videos / name)
    cells = [to_cell(name) for name in names]
    rows = [(name, t, 0.3, 0.4, 0.35 + t / 50, 0.7, 0.9, "p", "s") for name in cells for t in range(SECONDS)]
    _write(folder / "boxes.csv", [HEADER, *rows])
    _write(
        folder / "labels.csv",
        [("video_id", "time", "distance"), *((name, t, 5) for name in cells for t in range(SECONDS))],
    )
    return Survey(videos, folder / "boxes.csv", folder / "labels.csv", tuple(names))


def numbered(n: int) -> list[str]:
    """Names of n clips at three sites."""
    return [f"S{number % 3}/{number:02d}.mp4" for number in range(n)]


def contents(folder: Path) -> dict[str, bytes]:
    """The content of all files of a folder that are not hidden."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name[0] != "."
    }


def half_written(folder: Path) -> list[Path]:
    """Partial files, which a run must not leave behind."""
    return [path for path in folder.rglob("*") if path.name.endswith(".part")]


def learned(out: Path) -> list[dict[str, str]]:
    """The epochs of a training's first fold, without their duration."""
    with (out / "fold-0/metrics.csv").open(encoding="utf-8") as file:
        return [{**row, "seconds": ""} for row in csv.DictReader(file)]


def _write(path: Path, rows: Sequence[Sequence[object]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
