"""The log of a training: one row per epoch, the held-out predictions and the learning curve."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import astuple, dataclass, fields
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from trapmeter.errors import RunError
from trapmeter.files import atomic_file, atomic_path
from trapmeter.training.samples import Sample

if TYPE_CHECKING:
    import numpy as np

METRICS = "metrics.csv"
HELD_OUT = "held_out.csv"
TOLD = "told"
CURVE = "curve.png"
ALL_CURVES = "curves.png"


@dataclass(frozen=True, slots=True)
class EpochRecord:
    """One epoch, counted from 0: learning rate, mean training loss, held-out error in metres, duration in seconds."""

    epoch: int
    learning_rate: float
    loss: float
    held_out_mae_m: float
    seconds: float


@dataclass(frozen=True, slots=True)
class FoldResult:
    """The result of a fold: its lowest held-out error in metres (nan with nothing held out), and its epochs."""

    best_mae_m: float
    epochs: int


@dataclass(frozen=True, slots=True)
class HeldOutPrediction:
    """A held-out sample with its prediction; metres."""

    video_id: str
    site_id: str
    prediction_m: float
    truth_m: float
    is_told: bool = False


class TrainingLog:
    """Writes metrics.csv and TensorBoard's events of one fold, and resumes at the given epoch."""

    def __init__(self, folder: Path, epoch: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._folder = folder
        self._records = [record for record in read_metrics(folder) if record.epoch < epoch]
        self._write()
        with self._board_errors():
            self._board = SummaryWriter(str(folder / "tensorboard"), purge_step=epoch)

    def add(self, record: EpochRecord) -> None:
        """Adds an epoch."""
        self._records.append(record)
        self._write()
        with self._board_errors():
            self._board.add_scalar("loss", record.loss, record.epoch)
            self._board.add_scalar("held_out_mae_m", record.held_out_mae_m, record.epoch)
            self._board.add_scalar("learning_rate", record.learning_rate, record.epoch)
            self._board.flush()

    def write_held_out(self, samples: Sequence[Sample], metres: np.ndarray, told: Sequence[bool] | None = None) -> None:
        """Writes the predictions (n,) in metres for the held-out samples.

        told: of a network that takes facts, whether each distance by size was known to it.
        """
        with atomic_file(self._folder / HELD_OUT) as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(("video_id", "time", "distance", "truth", "site_id", *(() if told is None else (TOLD,))))
            for number, (sample, prediction_m) in enumerate(zip(samples, metres.tolist(), strict=True)):
                row = (
                    sample.video_id,
                    f"{sample.time_s:g}",
                    f"{prediction_m:.4f}",
                    f"{sample.distance_m:g}",
                    sample.site_id,
                    *(() if told is None else (int(told[number]),)),
                )
                writer.writerow(row)

    def finish(self) -> None:
        """Closes the log and draws the curve."""
        with self._board_errors():
            self._board.close()
        draw_curve(self._records, self._folder / CURVE)

    @contextmanager
    def _board_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise RunError(
                f"{self._folder / 'tensorboard'} can't be written: {error.strerror or error}; check the folder's permissions "
                "and free space, and run the same command again"
            ) from error

    def _write(self) -> None:
        with atomic_file(self._folder / METRICS) as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(field.name for field in fields(EpochRecord))
            writer.writerows(astuple(record) for record in self._records)


def read_metrics(folder: Path) -> list[EpochRecord]:
    """The rows of metrics.csv; none without the file."""
    path = folder / METRICS
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return [
            EpochRecord(int(row["epoch"]), *(float(row[field.name]) for field in fields(EpochRecord)[1:]))
            for row in csv.DictReader(file)
        ]


def read_held_out(folder: Path) -> list[HeldOutPrediction]:
    """The rows of held_out.csv; none without the file."""
    path = folder / HELD_OUT
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return [
            HeldOutPrediction(
                row["video_id"], row["site_id"], float(row["distance"]), float(row["truth"]), row.get(TOLD) == "1"
            )
            for row in csv.DictReader(file)
        ]


def held_out_videos(bundle: Path) -> frozenset[str]:
    """The videos that a network was not trained on, according to held_out.csv beside its bundle."""
    return frozenset(row.video_id for row in read_held_out(bundle.parent))


def draw_curve(records: Sequence[EpochRecord], path: Path) -> None:
    """Draws loss and held-out error over the epochs, with the learning rate below."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 5), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    epochs = [record.epoch for record in records]
    upper.plot(epochs, [record.loss for record in records], label="training loss")
    upper.plot(epochs, [record.held_out_mae_m for record in records], label="held-out error (m)")
    upper.set_ylim(bottom=0)
    upper.legend()
    upper.grid(alpha=0.3)
    lower.plot(epochs, [record.learning_rate for record in records], color="grey")
    lower.set_yscale("log")
    lower.set(xlabel="epoch", ylabel="learning rate")
    lower.grid(alpha=0.3)
    with atomic_path(path) as partial:
        figure.savefig(partial, format="png", dpi=110)


def draw_all_curves(folder: Path) -> Path | None:
    """Draws the training losses and held-out errors of all folds of a training into its folder; None if there are none."""
    from matplotlib.figure import Figure

    by_fold = {path.name: read_metrics(path) for path in folder.glob("fold-*")}
    named = sorted((name for name, records in by_fold.items() if records), key=lambda name: (len(name), name))
    if not named:
        return None
    figure = Figure(figsize=(9, 7), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True)
    for name in named:
        records = by_fold[name]
        epochs, errors_m = [r.epoch for r in records], [r.held_out_mae_m for r in records]
        upper.plot(epochs, [r.loss for r in records], linewidth=1)
        best_m = min((error_m for error_m in errors_m if math.isfinite(error_m)), default=math.nan)
        lower.plot(epochs, errors_m, linewidth=1, label=f"{name}: {best_m:.2f} m")
    upper.set(ylabel="training loss", ylim=(0, None))
    lower.set(xlabel="epoch", ylabel="held-out error (m)", ylim=(0, None))
    lower.legend(title="lowest error", ncols=2, fontsize="small")
    for axes in (upper, lower):
        axes.grid(alpha=0.3)
    # Drawing takes seconds: only the finished picture is written, so that hardly any kill leaves a part of it behind.
    picture = BytesIO()
    figure.savefig(picture, format="png", dpi=110)
    with atomic_path(folder / ALL_CURVES) as partial:
        partial.write_bytes(picture.getvalue())
    return folder / ALL_CURVES
