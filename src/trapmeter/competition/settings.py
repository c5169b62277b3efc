"""The settings of the 2nd-place system, from its files to a submission."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from trapmeter.errors import InputError
from trapmeter.frames.spec import Codec
from trapmeter.models.runtimes.choice import Runtime
from trapmeter.settings import Parsed, Range, check_ranges, from_values, read_toml, with_changes
from trapmeter.storage.address import AnyPath, parse_path
from trapmeter.training.recipes import Recipe, find_recipe
from trapmeter.training.settings import FoldsBy

EXACT_RECIPES = frozenset({"second_place"})
"""Recipes that promise every number of another system, and so need frames without JPEG's errors."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CompetitionSettings:
    """Settings of `trapmeter run`. In a TOML file, relative paths count from the file's folder."""

    labels: Path
    """CSV file of video_id, time, distance: the training videos' labels."""
    metadata: Path
    """CSV file of boxes, parks and sites of the training videos, and of the test videos if test_metadata is not given."""
    videos: Annotated[AnyPath, Parsed(parse_path)]
    """Folder of the training videos, or its address, such as s3://BUCKET/FOLDER."""
    test_format: Path
    """CSV file of video_id, time: the rows to predict, in their order."""
    test_videos: Annotated[AnyPath, Parsed(parse_path)]
    """Folder of the test videos, or its address."""
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
    changes: Annotated[dict[str, Any], Parameter(parse=False)] = field(default_factory=dict)
    """Changes to the recipe: a table of its settings, such as backbone, weights, epochs, batch_size, weight_decay, ema_decay,
    compile or workers, with tables in it for schedule (lr, eta_min, t_max), input (target and others) and augment."""
    codec: Codec | None = None
    """How the frame store encodes pictures: jpeg is small and fast, png exact. Without it, a store that exists keeps its own,
    and a new one has png for second_place and jpeg for other recipes."""
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
    jobs: Annotated[int, Parameter(name=("--jobs", "-j")), Range(least=1)] = 2
    """Worker processes that decode the videos, and threads of each network that predicts."""
    nproc_per_node: Annotated[int, Range(least=1)] = 1
    """Processes that train together on this machine, such as one for each GPU."""
    runtime: Runtime = Runtime.AUTO
    """What runs the trained networks: onnxruntime, openvino, torch, or auto."""

    def __post_init__(self) -> None:
        check_ranges(self)
        self.changed_recipe()

    def changed_recipe(self) -> Recipe:
        """The recipe with its changes.

        Raises:
            InputError: there is no such recipe, or a change has a wrong name or value.
        """
        if "name" in self.changes:
            raise InputError("changes: name is not a change; set the recipe's name with recipe")
        recipe = find_recipe(self.recipe)
        return with_changes(recipe, self.changes, "changes") if self.changes else recipe


def read_competition_settings(
    path: str | Path, changes: Mapping[str, Any] | None = None, **options: Any
) -> CompetitionSettings:
    """Settings from a TOML file with the names of `CompetitionSettings`; options and changes replace its values.

    changes: of the recipe; those that the file has and these haven't stay.

    Raises:
        InputError: the file can't be read, or a name or value is wrong.
    """
    try:
        values = read_toml(CompetitionSettings, Path(path)) | options
    except InputError as error:
        if "unknown settings" not in str(error):
            raise
        raise InputError(
            f"{error}. Settings of the recipe, such as epochs and weights, belong below [changes]"
        ) from error
    if changes:
        values["changes"] = _merged(values.get("changes", {}), changes)
    return from_values(CompetitionSettings, values, str(path))


def _merged(first: Any, second: Mapping[str, Any]) -> dict[str, Any]:
    """The values of both, nested or not; the second's count where both have one."""
    merged: dict[str, Any] = dict(first) if isinstance(first, Mapping) else {}
    for name, value in second.items():
        merged[name] = _merged(merged.get(name), value) if isinstance(value, Mapping) else value
    return merged
