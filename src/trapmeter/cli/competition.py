"""The verbs of the 2nd-place system of Deep Chimpact: run, submit, pseudolabel, evaluate."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

from cyclopts import Parameter

from trapmeter.cli.options import (
    EXIT_MEDIA_FAILED,
    OUT,
    RECIPE_GROUP,
    given_values,
    options_of,
    print_progress,
    recipe_values,
)
from trapmeter.competition.inference import InferenceSettings
from trapmeter.competition.settings import CompetitionSettings
from trapmeter.models.input_spec import InputSpec
from trapmeter.settings import Range, from_values
from trapmeter.training.recipes import CosineSchedule, Recipe

if TYPE_CHECKING:
    CompetitionOptions: TypeAlias = Any
    InferenceOptions: TypeAlias = Any
    RecipeOptions: TypeAlias = Any
    ScheduleOptions: TypeAlias = Any
    TargetOptions: TypeAlias = Any
else:
    CompetitionOptions = options_of(CompetitionSettings, has_file=True)
    InferenceOptions = options_of(InferenceSettings)
    RecipeOptions = options_of(Recipe, has_file=True, shows_defaults=False)
    ScheduleOptions = options_of(CosineSchedule, has_file=True, shows_defaults=False)
    TargetOptions = options_of(InputSpec, has_file=True, shows_defaults=False, only=frozenset({"target"}))


def run(
    configuration: Path,
    options: Annotated[CompetitionOptions, Parameter(name="*")] = CompetitionOptions(),
    *,
    recipe_changes: Annotated[RecipeOptions, Parameter(name="*", group=RECIPE_GROUP)] = RecipeOptions(),
    schedule: Annotated[ScheduleOptions, Parameter(name="*", group=RECIPE_GROUP)] = ScheduleOptions(),
    network_input: Annotated[TargetOptions, Parameter(name="*", group=RECIPE_GROUP)] = TargetOptions(),
) -> None:
    """Run all steps from the competition's files to a submission.

    The steps are frames, folds, training, ensemble, rounds of pseudolabels, submission, and evaluation if there are test
    labels. Prints the plan first and skips what is done. Needs `pip install 'trapmeter[train]'`.

    For example:

        trapmeter run second-place.toml
        trapmeter run second-place.toml --rounds 4 --out second-place/
        trapmeter run second-place.toml --nproc-per-node 4 --backbone tf_efficientnetv2_m.in21k --batch-size 16 --out medium/

    Parameters
    ----------
    configuration
        TOML file of settings (docs/reference/chain.md); options replace its values.
    """
    from trapmeter.errors import require_extra

    require_extra("torch", "train")
    from trapmeter.competition.pipeline import run_competition
    from trapmeter.competition.settings import read_competition_settings

    changes = recipe_values(recipe_changes, schedule, network_input)
    settings = read_competition_settings(configuration, changes, **given_values(options))
    print(f"submission: {run_competition(settings, print_progress)}")


def submit(
    options: Annotated[InferenceOptions, Parameter(name="*")] = InferenceOptions(),
    *,
    format_: Annotated[Path, Parameter(name="--format")],
    out: Annotated[Path, OUT],
    round_: Annotated[float | None, Parameter(name="--round"), Range(above=0.0)] = None,
) -> int:
    """Write a DrivenData submission.

    The distance of each row is the plain mean of all networks. An interrupted run resumes. Rows whose video has no frames get
    the median of the others, and the exit status is 3 then.

    For example:

        trapmeter submit --format submission_format.csv --store frames/ --model training/fold-0/bundle --flip --out sub.csv

    Parameters
    ----------
    format_
        CSV file of the video_id and time to predict, in their order.
    out
        The submission to write.
    round_
        Round to multiples of this many metres, such as 0.5. Never round distances for density.
    """
    from trapmeter.competition.submission import write_submission_for
    from trapmeter.console import progress_bars

    ensemble = from_values(InferenceSettings, given_values(options))
    with progress_bars() as progress:
        counts = write_submission_for(format_, ensemble, out, print_progress, round_to_m=round_, progress=progress)
    print(f"{counts.n_rows} rows: {out}")
    if counts.n_without_frames:
        print(f"{counts.n_without_frames} rows have no frames in the store and got the median of the others")
    return EXIT_MEDIA_FAILED if counts.n_without_frames else 0


def pseudolabel(
    options: Annotated[InferenceOptions, Parameter(name="*")] = InferenceOptions(),
    *,
    moments: Path,
    out: Annotated[Path, OUT],
    max_spread: Annotated[float, Range(least=0.0)] = 0.3,
) -> None:
    """Turn an ensemble's predictions into training samples.

    The more the networks agree, the more a sample counts. With `--max-spread 0`, each sample counts as much as a label, as in
    the 2nd-place system.

    For example:

        trapmeter pseudolabel --moments submission_format.csv --store frames/ --model training/fold-0/bundle --out extra.csv

    Parameters
    ----------
    moments
        CSV file of the video_id and time to label.
    out
        The table to write, for `train --extra`.
    max_spread
        Leave out seconds whose networks differ by more than this share of the distance; 0 keeps all.
    """
    from trapmeter.competition.submission import write_pseudolabels_for
    from trapmeter.console import progress_bars
    from trapmeter.training.settings import PseudolabelSettings

    ensemble = from_values(InferenceSettings, given_values(options))
    pseudolabels = PseudolabelSettings(max_spread or None)
    with progress_bars() as progress:
        counts = write_pseudolabels_for(
            moments, ensemble, out, print_progress, pseudolabels=pseudolabels, progress=progress
        )
    print(f"{counts.n_kept} pseudolabels, {counts.n_left_out} left out because the networks differ: {out}")


def evaluate(
    *,
    predictions: Path,
    labels: Path,
    out: Annotated[Path, OUT],
    metadata: Path | None = None,
    store: Path | None = None,
) -> None:
    """Compare predicted distances with known ones.

    Prints the error and bias of all rows and of groups of rows, such as bands of distance. --metadata adds groups by park and
    box, and intervals over sites; --store adds day and night.

    For example:

        trapmeter evaluate --predictions submission.csv --labels labels.csv --metadata metadata.csv --out evaluation/

    Parameters
    ----------
    predictions
        CSV file of video_id, time, distance, such as a submission.
    labels
        CSV file of video_id, time, distance.
    out
        Folder for evaluation.json and evaluation.png.
    metadata
        CSV file of video_id, time, x1, y1, x2, y2, probability, park, site_id.
    store
        Frame store of the videos; pictures without colour are night (infrared).
    """
    from trapmeter.competition.evaluation import evaluate_table, format_errors

    print(format_errors(evaluate_table(predictions, labels, out, metadata=metadata, store=store)))
    print(f"picture: {out / 'evaluation.png'}")
