"""The settings of the 2nd-place system, from its files to a submission."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from trapmeter.models.runtimes.choice import Runtime
from trapmeter.settings import Range, check_ranges, from_values, read_toml
from trapmeter.training.settings import FoldsBy


@dataclass(frozen=True, slots=True, kw_only=True)
class CompetitionSettings:
    """Settings of `trapmeter run`. In a TOML file, relative paths count from the file's folder."""

    labels: Path
    """CSV file of video_id, time, distance: the training videos' labels."""
    metadata: Path
    """CSV file of boxes, parks and sites of the training videos, and of the test videos if test_metadata is not given."""
    videos: Path
    """Folder of the training videos."""
    test_format: Path
    """CSV file of video_id, time: the rows to predict, in their order."""
    test_videos: Path
    """Folder of the test videos."""
    out: Annotated[Path, Parameter(name=("--out", "-o"))]
    """Folder for everything that is made."""
    test_metadata: Path | None = None
    """CSV file of boxes, parks and sites of the test videos."""
    test_labels: Path | None = None
    """CSV file of the test videos' distances: evaluates each submission."""
    animals: Path | None = None
    """CSV file of every animal of the training videos with its drawn box: video_id, time, distance_m, x1, y1, x2, y2."""
    recipe: str = "second_place"
    """Name of the training recipe."""
    folds: Annotated[int, Range(least=2)] = 10
    """Number of folds, and of networks in the ensemble."""
    folds_by: FoldsBy = FoldsBy.SITE
    """What a fold holds out: whole sites, or videos as the 2nd place did (its validation errors are too small)."""
    rounds: Annotated[int, Range(least=0)] = 1
    """Rounds of pseudolabels after the first training."""
    flip: Annotated[bool, Parameter(negative="--no-flip")] = True
    """Run each network on the mirror image too."""
    max_spread: Annotated[float, Range(least=0.0)] = 0.0
    """Leave out pseudolabels whose networks differ by more than this share of the distance; 0 keeps all with full weight, as
    the 2nd place did."""
    round_to: Annotated[float, Parameter(name="--round"), Range(least=0.0, unit="metres")] = 0.0
    """Round submissions to multiples of this; 0 does not round. Never round distances for density."""
    epochs: Annotated[int, Range(least=0)] = 0
    """Epochs of each training; 0 keeps the recipe's."""
    weights: str = ""
    """Weights to start from: hub, package, none or a file; empty keeps the recipe's."""
    jobs: Annotated[int, Parameter(name=("--jobs", "-j")), Range(least=1)] = 2
    """Worker processes."""
    runtime: Runtime = Runtime.AUTO
    """What runs the trained networks: onnxruntime, openvino, torch, or auto."""

    def __post_init__(self) -> None:
        check_ranges(self)


def read_competition_settings(path: str | Path, **options: Any) -> CompetitionSettings:
    """Settings from a TOML file with the names of `CompetitionSettings`; options replace its values.

    Raises:
        InputError: the file can't be read, or a name or value is wrong.
    """
    values = read_toml(CompetitionSettings, Path(path)) | options
    return from_values(CompetitionSettings, values, str(path))
