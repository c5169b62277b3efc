"""The verbs that train: frames, train, distil, blend, and the box model's."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

from cyclopts import Parameter

from trapmeter.boxmodel.settings import BoxModelSettings
from trapmeter.cli.options import (
    EXIT_MEDIA_FAILED,
    OUT,
    RECIPE_GROUP,
    given_values,
    options_of,
    print_progress,
    recipe_values,
)
from trapmeter.frames.spec import Codec, parse_size
from trapmeter.models.input_spec import InputSpec, Resize
from trapmeter.models.runtimes.choice import Runtime
from trapmeter.parallel.engine import EngineSettings
from trapmeter.settings import Jobs, Range, from_values, with_changes, worker_count
from trapmeter.training.recipes import CosineSchedule, Recipe
from trapmeter.training.settings import DistilSettings, TrainSettings
from trapmeter.windows import parse_offsets

BOX_MODEL = BoxModelSettings()

if TYPE_CHECKING:
    TrainOptions: TypeAlias = Any
    DistilOptions: TypeAlias = Any
    RecipeOptions: TypeAlias = Any
    ScheduleOptions: TypeAlias = Any
    TargetOptions: TypeAlias = Any
else:
    TrainOptions = options_of(TrainSettings)
    DistilOptions = options_of(DistilSettings)
    RecipeOptions = options_of(Recipe, has_file=True, shows_defaults=False)
    ScheduleOptions = options_of(CosineSchedule, has_file=True, shows_defaults=False)
    TargetOptions = options_of(InputSpec, has_file=True, shows_defaults=False, only=frozenset({"target"}))

_LOCAL = EngineSettings()


def frames(
    *,
    store: str,
    labels: tuple[Path, ...] = (),
    videos: str | None = None,
    size: str | None = None,
    offsets: Annotated[str | None, Parameter(allow_leading_hyphen=True)] = None,
    resize: Resize | None = None,
    codec: Codec | None = None,
    jobs: Jobs = None,
    shard: str | None = None,
    workers: Annotated[EngineSettings, Parameter(name="*")] = _LOCAL,
    check: bool = False,
) -> int:
    """Store the frames that training and submissions need.

    Decodes each video once. For every second in the tables, the store keeps the frames at each of --offsets seconds around
    it, in one file per video. An interrupted run resumes. Run the command with other tables to add what they
    need. failed.csv in the store lists what could not be stored. JPEG needs `pip install 'trapmeter[train]'`.

    With --shard, several machines that share a file system fill one store; the same command without --shard then says whether
    the store is complete.

    Exit status: 0 success, 3 some videos failed or the check found something, 2 wrong options or input.

    For example:

        trapmeter frames --labels train_labels.csv --videos videos/ --store frames/
        trapmeter frames --labels train_labels.csv --videos videos/ --store exact/ --resize opencv-linear --codec png
        trapmeter frames --labels train_labels.csv --videos videos/ --store frames/ --shard 2/8
        trapmeter frames --store frames/ --check

    Parameters
    ----------
    store
        Folder of the frame store, created if it doesn't exist; or s3://BUCKET/FOLDER.
    labels
        CSV file with video_id and time: the seconds that need frames. May be given several times.
    videos
        Folder with the videos (with all subfolders), or its address, such as s3://BUCKET/FOLDER.
    size
        Height x width of the frames. Default: 270x480, or that of the store.
    offsets
        Seconds around each second that are needed. Default: -4,-2,-1,0,1,2,4.
    resize
        swscale-area is fast and smooth; the 2nd place used opencv-linear. Default: swscale-area, or that of the store.
    codec
        jpeg is small and fast, png exact. Default: jpeg, or that of the store.
    jobs
        Worker processes. Default: one per core of the machine or the cluster.
    shard
        Process only the i-th of n parts of the videos, such as 2/8.
    check
        Read every frame in the store and report what is wrong.
    """
    from trapmeter.console import print_store, progress_bars
    from trapmeter.frames.fill import fill_and_check
    from trapmeter.parallel.engine import parse_engine_shard

    with progress_bars() as progress:
        report = fill_and_check(
            store,
            labels,
            videos,
            size_hw=None if size is None else parse_size(size),
            offsets_s=None if offsets is None else parse_offsets(offsets),
            resize=resize,
            codec=codec,
            jobs=jobs,
            shard=parse_engine_shard(shard, workers.engine),
            workers=workers,
            check=check,
            progress=progress,
        )
    print_store(report, store)
    return EXIT_MEDIA_FAILED if report.has_failed else 0


def train(
    options: Annotated[TrainOptions, Parameter(name="*")] = TrainOptions(),
    *,
    recipe_changes: Annotated[RecipeOptions, Parameter(name="*", group=RECIPE_GROUP)] = RecipeOptions(),
    schedule: Annotated[ScheduleOptions, Parameter(name="*", group=RECIPE_GROUP)] = ScheduleOptions(),
    network_input: Annotated[TargetOptions, Parameter(name="*", group=RECIPE_GROUP)] = TargetOptions(),
) -> None:
    """Train networks on labelled windows, fold by fold.

    Needs `pip install 'trapmeter[train]'`. With `--metadata` the network sees each second's box, and sites are held out
    completely. `--animals` gives drawn boxes, which teach where the labelled animal is and are not shown to the network.

    The best network of each fold becomes a bundle for `predict --model`, `submit` and `pseudolabel`. The same command resumes
    after the last complete epoch and skips finished folds. Under `torchrun` or `srun` all devices of one or more hosts train
    together, and the networks are the same.

    For example:

        trapmeter train --labels train_labels.csv --metadata train_metadata.csv --store frames/ --out training/
        torchrun --nproc-per-node 4 -m trapmeter.cli train --recipe second_place --folds-by video --folds 0 --labels ...
        torchrun --nnodes 2 --nproc-per-node 4 --rdzv-backend c10d --rdzv-endpoint HOST:29400 -m trapmeter.cli train ...
    """
    from trapmeter.errors import require_extra

    require_extra("torch", "train")
    from trapmeter.training.distributed import ranks_from_environment
    from trapmeter.training.run import train as train_folds

    settings = from_values(TrainSettings, given_values(options))
    recipe = with_changes(settings.recipe, recipe_values(recipe_changes, schedule, network_input))
    bundles = train_folds(replace(settings, recipe=recipe), print_progress)
    if ranks_from_environment().is_first:
        for bundle in bundles:
            print(f"bundle: {bundle}")


def distil(
    options: Annotated[DistilOptions, Parameter(name="*")] = DistilOptions(),
    *,
    max_spread: Annotated[float, Range(least=0.0)] = 0.3,
    runtime: Runtime = Runtime.AUTO,
    recipe_changes: Annotated[RecipeOptions, Parameter(name="*", group=RECIPE_GROUP)] = RecipeOptions(),
    schedule: Annotated[ScheduleOptions, Parameter(name="*", group=RECIPE_GROUP)] = ScheduleOptions(),
    network_input: Annotated[TargetOptions, Parameter(name="*", group=RECIPE_GROUP)] = TargetOptions(),
) -> None:
    r"""Train one small network on an ensemble's predictions.

    Needs `pip install 'trapmeter[train]'`. The student learns from labelled and unlabelled seconds. The teachers predict
    once, and an interrupted training resumes after its last complete epoch. The student is a bundle for `predict --model`
    like any other; its intervals are those of the teachers.

    For a labelled second, teachers that were trained on its video are left out if there are others: `held_out.csv` beside a
    bundle, which `train` writes, lists the videos that a teacher was not trained on.

    For example:

        trapmeter distil --model fold-0/bundle --model fold-1/bundle --teachers-store frames/ --store small/ --out student/
        trapmeter distil --model fold-0/bundle --store small/ --labels labels.csv --start fold-0/best.safetensors --out new/

    Parameters
    ----------
    max_spread
        Leave out unlabelled seconds whose teachers differ by more than this share of the distance; 0 keeps all.
    runtime
        What runs the teachers: onnxruntime, openvino, torch, or auto.
    """
    from trapmeter.errors import require_extra

    require_extra("torch", "train")
    from trapmeter.console import progress_bars
    from trapmeter.distillation import distil as train_student

    pseudolabels = {"max_relative_spread": max_spread or None}
    settings = from_values(DistilSettings, {**given_values(options), "pseudolabels": pseudolabels})
    recipe = with_changes(settings.recipe, recipe_values(recipe_changes, schedule, network_input))
    with progress_bars() as progress:
        bundle = train_student(
            replace(settings, recipe=recipe),
            print_progress,
            progress,
            runtime=runtime,
            threads=worker_count(None),
        )
    print(f"bundle: {bundle}")


def blend(
    *,
    training: Path,
    metadata: Path,
    out: Annotated[Path, OUT],
    box_model: Path | None = None,
    box_answers: Path | None = None,
) -> None:
    """Learn how to combine networks and box model.

    For `predict --blend`. Learns from both models' predictions at sites that neither has seen, by whether there is a box, how
    confident the detector is, and whether the picture's edge cuts the box. Prints the errors of both and of the blend, each
    at held-out sites.

    For example:

        trapmeter blend --training training/ --metadata train_metadata.csv --out blend.json

    Parameters
    ----------
    training
        Folder that `trapmeter train` has filled; all its folds are used.
    metadata
        CSV file of video_id, time, x1, y1, x2, y2, probability, park, site_id.
    out
        The blend to write, a JSON file.
    box_model
        Folder of a box model to use instead of the built-in one.
    box_answers
        oof.csv of `boxmodel evaluate`, for a box model trained on the same labels as the networks.
    """
    from trapmeter.boxmodel.knowledge import Knowledge
    from trapmeter.prediction.fit_blend import fit_blend_of_training

    fit = fit_blend_of_training(training, metadata, out, box_model, box_answers)
    print(f"{fit.n_seconds} seconds at {fit.n_sites} held-out sites, mean absolute error:")
    print(f"  networks  {fit.networks_mae_m:.2f} m")
    print(f"  box model {fit.boxes_mae_m:.2f} m")
    print(f"  blend     {fit.blend_mae_m:.2f} m")
    untold = fit.blend.for_knowledge(Knowledge.NOTHING)
    shares = ", ".join(f"{kind} {share:.0%}" for kind, share in untold.shares.items())
    print(f"share of the networks: {shares}")
    print(f"blend: {out}")


def train_box_model(
    *,
    tables: tuple[Path, ...],
    out: Annotated[Path, OUT],
    simulated: Annotated[int, Range(least=0)] = BOX_MODEL.simulated_sites,
    name: str = "boxmodel",
    attribution: str = "",
) -> None:
    """Train a box model on labelled boxes.

    Needs `pip install 'trapmeter[boxmodel]'`. The model also learns to use what is known about cameras and animals, from
    tables that state it and from simulated sites.

    For example:

        trapmeter boxmodel train --tables deep-chimpact/ --out my-box-model/
        trapmeter boxmodel train --tables deep-chimpact/ --tables my-labels/ --simulated 3000 --out my-box-model/

    Parameters
    ----------
    tables
        Folder with train_labels.csv and train_metadata.csv, in the format of DrivenData's Deep Chimpact; may be given more
        than once. The metadata may have columns for what is known: hfov_deg, aspect_ratio, shoulder_m, camera_height_m,
        pitch_deg.
    out
        Folder for the trained model.
    simulated
        Simulated sites with other lenses, heights and animals to train on as well.
    name
        Name of the model in every row that it estimates.
    attribution
        Whose data it was trained on, under which licence.
    """
    from trapmeter.boxmodel.training import train_box_model as train_model
    from trapmeter.boxmodel.training_data import read_tables

    settings = BoxModelSettings(model_id=name, attribution=attribution, simulated_sites=simulated)
    train_model(read_tables(tables), out, settings, print_progress)
    print(f"model: {out}")


def evaluate_box_model(
    *,
    tables: tuple[Path, ...],
    out: Annotated[Path | None, OUT] = None,
    simulated: Annotated[int, Range(least=0)] = BOX_MODEL.simulated_sites,
    folds: Annotated[int, Range(least=2)] = 10,
) -> None:
    """Evaluate the box model at sites it has not seen.

    Needs `pip install 'trapmeter[boxmodel]'`. All rows count, including those without a box. The intervals should cover 90 %.

    For example:

        trapmeter boxmodel evaluate --tables deep-chimpact/ --out evaluation/

    Parameters
    ----------
    tables
        Folder with train_labels.csv and train_metadata.csv, in the format of DrivenData's Deep Chimpact; may be given more
        than once.
    simulated
        Simulated sites to train on as well.
    out
        Folder for evaluation.json and oof.csv (every row's prediction).
    folds
        Number of groups of sites; each group is predicted by a model that has not seen it.
    """
    from trapmeter.boxmodel.evaluation import evaluate_box_model as evaluate_model
    from trapmeter.boxmodel.evaluation import format_figures, write_evaluation
    from trapmeter.boxmodel.training_data import read_tables
    from trapmeter.files import make_folder

    samples = read_tables(tables)
    if out is not None:
        make_folder(out)  # Fails now rather than after minutes of training.
    evaluation = evaluate_model(samples, BoxModelSettings(simulated_sites=simulated), folds, print_progress)
    print(format_figures(evaluation))
    if out is not None:
        write_evaluation(evaluation, out)
        print(f"every row: {out / 'oof.csv'}")
