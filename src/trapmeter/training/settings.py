"""The settings of `trapmeter train`, `trapmeter distil` and their pseudolabels. Light to import."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from trapmeter.errors import InputError
from trapmeter.models.installed import find_model
from trapmeter.settings import Parsed, Range, check_ranges
from trapmeter.training.recipes import Recipe, default, find_recipe, student_cpu, write_recipe

LABEL_SHARE = 0.7


class FoldsBy(StrEnum):
    """What stays together when videos are assigned to folds."""

    SITE = "site"
    """All videos of a site: the error is the one at new sites."""
    VIDEO = "video"
    """Only a video's own rows, as in the 2nd-place system: the error is the one at known sites, and too small."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainSettings:
    """The settings of `trapmeter train`."""

    labels: Path
    """CSV file of known distances: video_id, time, distance."""
    metadata: Path | None = None
    """CSV file of boxes and sites: video_id, time, x1, y1, x2, y2, probability, park, site_id."""
    store: Path
    """Folder of the frame store that `trapmeter frames` filled."""
    out: Annotated[Path, Parameter(name=("--out", "-o"))]
    """Folder for the folds. An interrupted training resumes there."""
    recipe: Annotated[Recipe, Parsed(find_recipe, write_recipe)] = field(default_factory=default)
    """Name of the recipe: default, anywhere or second_place, for GPUs; default_cpu, anywhere_cpu, second_place_cpu or
    small."""
    folds_by: FoldsBy = FoldsBy.SITE
    """What stays together in a fold: site (all videos of a site, so that the error is the one at new sites) or video (as in
    the 2nd-place system, with the error at known sites)."""
    n_folds: Annotated[int, Range(least=2)] = 10
    """Number of folds that the videos are assigned to."""
    fold: Annotated[int | None, Range(least=0), Parameter(name="--folds")] = None
    """The fold to train, counted from 0; without it all folds are trained, one after the other."""
    extra: Path | None = None
    """CSV file of pseudolabels to add to the training rows of every fold."""
    extra_metadata: Path | None = None
    """CSV file of boxes and sites of the pseudolabels' videos, if --metadata doesn't hold them."""
    licence: str = "not stated"
    """Licence of the trained weights; stored in each bundle."""
    animals: Path | None = None
    """CSV file of every animal with its drawn box and distance: video_id, time, distance_m, x1, y1, x2, y2, and shoulder_m or
    species for networks that take facts. It teaches a locating head where the animal is, and networks with a box channel to
    estimate the animal in the box."""
    cameras: Path | None = None
    """CSV file of site_id, hfov_deg or focal_35mm, height_m, pitch_deg, aspect: each site's camera, for networks that take
    facts (the recipes anywhere and anywhere_cpu)."""

    def __post_init__(self) -> None:
        check_ranges(self)
        if self.fold is not None and self.fold >= self.n_folds:
            raise InputError(f"--folds: expected a number from 0 to {self.n_folds - 1}, got {self.fold}")
        if self.extra_metadata is not None and self.extra is None:
            raise InputError("--extra-metadata is of the pseudolabels' videos; also give --extra")
        if self.cameras is not None and self.metadata is None:
            raise InputError("--cameras are found by the sites of the videos; also give --metadata")


@dataclass(frozen=True, slots=True)
class PseudolabelSettings:
    """Which predictions of an ensemble become training samples, and with which weight."""

    max_relative_spread: Annotated[float | None, Range(above=0), Parameter(name="--max-spread")] = 0.3
    """Leave out predictions whose members' standard deviation exceeds this share of the distance. Without it all are kept and
    weigh as much as labels, as in the 2nd-place system."""

    def __post_init__(self) -> None:
        check_ranges(self)

    def weight(self, distance_m: float, spread_m: float) -> float | None:
        """From 1 if all members agree down to 0.1 at the largest spread allowed; None beyond it."""
        if self.max_relative_spread is None:
            return 1.0
        # Below one metre, any fixed difference would be a large share of the distance.
        share = spread_m / max(distance_m, 1.0) / self.max_relative_spread
        return None if share > 1 else 1.0 - 0.9 * share


@dataclass(frozen=True, slots=True, kw_only=True)
class DistilSettings:
    """The settings of `trapmeter distil`."""

    teachers: Annotated[tuple[Path, ...], Parsed(find_model), Parameter(name="--model")]
    """A teacher: the folder of a bundle, or the name of a downloaded one. Give all of them; they must take the same input."""
    store: Path
    """Folder of the frame store with the frames for the student."""
    out: Annotated[Path, Parameter(name=("--out", "-o"))]
    """Folder for the student. An interrupted distillation resumes there."""
    recipe: Annotated[Recipe, Parsed(find_recipe, write_recipe)] = field(default_factory=student_cpu)
    """Name of the student's recipe."""
    teachers_store: Path | None = None
    """Folder of the frame store with frames of the teachers' size, if it differs from the student's."""
    labels: Path | None = None
    """CSV file of known distances: video_id, time, distance."""
    metadata: Path | None = None
    """CSV file of boxes and sites: video_id, time, x1, y1, x2, y2, probability, park, site_id."""
    moments: Path | None = None
    """CSV file of the unlabelled seconds to train on: video_id, time. Without it all seconds are used whose windows are
    complete in the store."""
    animals: Path | None = None
    """CSV file of every animal with its drawn box and distance: video_id, time, distance_m, x1, y1, x2, y2, and shoulder_m or
    species for networks that take facts."""
    cameras: Path | None = None
    """CSV file of site_id, hfov_deg or focal_35mm, height_m, pitch_deg, aspect: each site's camera, for networks that take
    facts."""
    flip: Annotated[bool, Parameter(negative="--no-flip")] = True
    """Also run each teacher on the mirror image."""
    label_share: Annotated[float, Range(0, 1)] = LABEL_SHARE
    """Share of the label in the target of a labelled second; the rest is the teachers' prediction."""
    pseudolabels: PseudolabelSettings = field(default_factory=PseudolabelSettings)
    """Which predictions for unlabelled seconds become targets."""
    start: Path | None = None
    """Start weights of the student, such as best.safetensors of a teacher's fold; without it the recipe's."""
    licence: str = "not stated"
    """Licence of the student's weights; stored in the bundle."""

    def __post_init__(self) -> None:
        check_ranges(self)
        if self.animals is not None and self.labels is None:
            raise InputError("--animals shows which animal a label belongs to; also give --labels")
        if self.cameras is not None and self.metadata is None:
            raise InputError("--cameras are found by the sites of the videos; also give --metadata")
