"""The verbs of the network: frames, train, submit, pseudolabel, evaluate, and run for all of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from trapmeter.cli.options import (
    EXIT_MEDIA_FAILED,
    EngineOption,
    RayAddressOption,
    RuntimeOption,
    parse_choice,
    print_progress,
)
from trapmeter.errors import InputError, require_extra
from trapmeter.frames.spec import Codec
from trapmeter.models.input_spec import Resize
from trapmeter.models.runtimes.choice import Runtime
from trapmeter.parallel.engine import EngineName

LabelsOption = Annotated[Path, typer.Option(help="CSV file of video_id, time, distance.")]
MetadataOption = Annotated[
    Path | None, typer.Option(help="CSV file of video_id, time, x1, y1, x2, y2, probability, park, site_id.")
]
StoreOption = Annotated[Path, typer.Option(help="Folder that `trapmeter frames` has filled.")]
ModelsOption = Annotated[
    list[str],
    typer.Option("--model", help="Folder of a bundle, or the name of a pulled one; give several for an ensemble."),
]
FlipOption = Annotated[bool, typer.Option("--flip", help="Ask each network about the mirror image too.")]


def add_verbs(app: typer.Typer) -> None:
    """Adds the verbs in the order in which they are used."""
    for verb in (frames, train, blend, submit, pseudolabel, evaluate):
        app.command()(verb)
    app.command("run")(run_competition)


def frames(
    store: Annotated[
        str,
        typer.Option(metavar="PATH", help="Folder of the frame store; made if need be. Or s3://BUCKET/FOLDER."),
    ],
    labels: Annotated[
        list[Path] | None,
        typer.Option(
            help="The moments that need frames: a CSV file with video_id and time. May be given several times."
        ),
    ] = None,
    videos: Annotated[
        str | None,
        typer.Option(
            help="Folder with the videos (searched to the bottom), or its address, such as s3://BUCKET/FOLDER."
        ),
    ] = None,
    size: Annotated[
        str | None, typer.Option(help="Height x width of the frames (default: 270x480, or what the store has).")
    ] = None,
    offsets: Annotated[
        str | None, typer.Option(help="The seconds around each moment that are needed (default -4,-2,-1,0,1,2,4).")
    ] = None,
    resize: Annotated[
        Resize | None,
        typer.Option(
            help="swscale-area averages while decoding: quick, no aliasing. opencv-linear is what the 2nd-place weights "
            "saw (default: swscale-area, or what the store has)."
        ),
    ] = None,
    codec: Annotated[
        Codec | None, typer.Option(help="jpeg is small and quick, png exact (default: jpeg, or what the store has).")
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option(
            "--jobs", "-j", help="Worker processes (default: one per core of the machine, or of the cluster)."
        ),
    ] = None,
    shard: Annotated[
        str | None, typer.Option(help="Only the i-th of n shares of the videos, such as 2/8, beside the others.")
    ] = None,
    engine: EngineOption = EngineName.LOCAL,
    ray_address: RayAddressOption = None,
    check: Annotated[
        bool, typer.Option("--check", help="Read back every frame in the store and say what is wrong.")
    ] = False,
) -> None:
    """Store the frames that training and submission need, decoded once and ready to be read.

    For every moment in the tables, the frame at each of --offsets seconds around it is stored; the store has one file per
    video. A run that was broken off goes on where it stopped, and more tables add what they need. What could not be stored
    is in failed.csv in the store's folder. JPEG needs `pip install 'trapmeter[train]'`.

    With --shard, several machines that share a file system fill one store; the same command without it then says whether all
    is there.

    Exit status: 0 all well, 3 some videos failed or the check found something, 2 wrong arguments or input.

    For example:

    trapmeter frames --labels train_labels.csv --videos videos/ --store frames/

    trapmeter frames --labels train_labels.csv --videos videos/ --store exact/ --resize opencv-linear --codec png

    trapmeter frames --labels train_labels.csv --videos videos/ --store frames/ --shard 2/8

    trapmeter frames --store frames/ --check
    """
    from trapmeter.console import print_fill, print_problems, progress_bars
    from trapmeter.frames.fill import fill_and_check
    from trapmeter.frames.spec import parse_size
    from trapmeter.parallel.sharding import parse_shard
    from trapmeter.storage.address import parse_path
    from trapmeter.windows import parse_offsets

    target = parse_path(store)
    with progress_bars() as progress:
        report = fill_and_check(
            target,
            labels or (),
            videos,
            size_hw=None if size is None else parse_size(size),
            offsets_s=None if offsets is None else parse_offsets(offsets),
            resize=resize,
            codec=codec,
            jobs=jobs,
            shard=None if shard is None else parse_shard(shard),
            engine=engine,
            ray_address=ray_address,
            check=check,
            progress=progress,
        )
    if report.filled is not None and report.failures_file is not None:
        print_fill(report.filled, target, report.failures_file)
    if report.problems is not None:
        print_problems(report.problems, report.folder)
    if report.has_failed:
        raise typer.Exit(EXIT_MEDIA_FAILED)


def train(
    labels: LabelsOption,
    store: StoreOption,
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Folder for the folds; a training broken off there goes on.")
    ],
    metadata: MetadataOption = None,
    animals: Annotated[
        Path | None,
        typer.Option(help="CSV file of every animal with its drawn box; teaches `default` recipes where to look."),
    ] = None,
    recipe: Annotated[
        str, typer.Option(help="default or second_place, for GPUs; default_cpu, second_place_cpu or small.")
    ] = "default",
    folds: Annotated[str, typer.Option(help="The fold to train, counted from 0, or all.")] = "all",
    n_folds: Annotated[int, typer.Option(help="Into how many folds the videos are parted.")] = 10,
    folds_by: Annotated[
        str, typer.Option(help="site: judged at new sites; video: as the 2nd place did, which judges at known sites.")
    ] = "site",
    extra: Annotated[Path | None, typer.Option(help="Pseudolabels to train on as well.")] = None,
    extra_metadata: Annotated[Path | None, typer.Option(help="Metadata of the pseudolabels' videos.")] = None,
    epochs: Annotated[int | None, typer.Option(help="In place of the recipe's.")] = None,
    batch_size: Annotated[
        int | None,
        typer.Option(help="Windows in a batch, in place of the recipe's 32; second_place makes a step of five."),
    ] = None,
    precision: Annotated[
        str | None,
        typer.Option(help="fp32, fp16, bf16, or fp64 to compare trainings digit by digit; in place of the recipe's."),
    ] = None,
    weights: Annotated[str | None, typer.Option(help="hub, package, none or a file, in place of the recipe's.")] = None,
    seed: Annotated[int | None, typer.Option(help="In place of the recipe's.")] = None,
    licence: Annotated[str, typer.Option(help="Of the trained weights; goes into the bundles.")] = "not stated",
) -> None:
    """Train networks on labelled windows, fold by fold. Needs `pip install 'trapmeter[train]'`.

    With `--metadata` the network is shown each moment's box, and sites are held out whole. `--animals` takes drawn boxes
    (video_id, time, distance_m, x1, y1, x2, y2), which teach where the labelled animal is and are not shown.

    Each fold's best network becomes a bundle for `predict --model`, `submit` and `pseudolabel`. Given again, the same
    command goes on after the last whole epoch and skips finished folds. Under `torchrun` or `srun` all devices of one or more
    hosts train together, to the same networks.

    For example:

    trapmeter train --labels train_labels.csv --metadata train_metadata.csv --store frames/ --out training/

    torchrun --nproc-per-node 4 -m trapmeter.cli train --recipe second_place --folds-by video --folds 0 --labels ... --out ...

    torchrun --nnodes 2 --nproc-per-node 4 --rdzv-backend c10d --rdzv-endpoint HOST:29400 -m trapmeter.cli train ...
    """
    require_extra("torch", "train")
    from trapmeter.training.distributed import ranks_from_environment
    from trapmeter.training.recipes import Precision, find_recipe
    from trapmeter.training.run import FoldsBy, TrainSettings
    from trapmeter.training.run import train as run

    changes: dict[str, Any] = {"epochs": epochs, "batch_size": batch_size, "weights": weights, "seed": seed}
    changes["precision"] = None if precision is None else parse_choice(Precision, "--precision", precision)
    chosen = replace(find_recipe(recipe), **{name: value for name, value in changes.items() if value is not None})
    if folds != "all" and not folds.isdecimal():
        raise InputError(f"--folds is all or the number of a fold, got {folds!r}")
    fold = None if folds == "all" else int(folds)
    by = parse_choice(FoldsBy, "--folds-by", folds_by)
    settings = TrainSettings(
        labels, metadata, store, out, chosen, by, n_folds, fold, extra, extra_metadata, licence, animals
    )
    bundles = run(settings, print_progress)
    if ranks_from_environment().is_first:
        for bundle in bundles:
            typer.echo(f"bundle: {bundle}")


def blend(
    training: Annotated[Path, typer.Option(help="Folder that `trapmeter train` filled; all its folds count.")],
    metadata: Annotated[
        Path, typer.Option(help="CSV file of video_id, time, x1, y1, x2, y2, probability, park, site_id.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="The blend to write, a JSON file.")],
    box_model: Annotated[Path | None, typer.Option(help="Folder of a box model in place of the embedded one.")] = None,
    box_answers: Annotated[
        Path | None,
        typer.Option(
            help="oof.csv of `boxmodel evaluate`, for a box model trained on the same labels as the networks."
        ),
    ] = None,
) -> None:
    """Learn how far networks and box model are each to be heard, for `predict --blend`.

    Learnt from what both said of moments at sites that they had not seen, by whether there is a box, how sure it is, and
    whether the picture's border cuts it. Prints the errors of both and of the blend, each at held-out sites.

    For example:

    trapmeter blend --training training/ --metadata train_metadata.csv --out blend.json
    """
    from trapmeter.prediction.fit_blend import fit_blend_of_training

    learnt = fit_blend_of_training(training, metadata, out, box_model, box_answers)
    typer.echo(f"{learnt.moments} moments at {learnt.sites} held-out sites, mean absolute error:")
    typer.echo(f"  networks  {learnt.networks_mae_m:.2f} m")
    typer.echo(f"  box model {learnt.boxes_mae_m:.2f} m")
    typer.echo(f"  blend     {learnt.blend_mae_m:.2f} m")
    shares = ", ".join(f"{kind} {share:.0%}" for kind, share in learnt.blend.shares.items())
    typer.echo(f"share of the networks: {shares}")
    typer.echo(f"blend: {out}")


def submit(
    form: Annotated[
        Path, typer.Option("--format", help="CSV file of the video_id and time to predict, in their order.")
    ],
    store: StoreOption,
    model: ModelsOption,
    out: Annotated[Path, typer.Option("--out", "-o", help="The submission to write.")],
    metadata: MetadataOption = None,
    flip: FlipOption = False,
    runtime: RuntimeOption = Runtime.AUTO,
    round_to: Annotated[
        float | None, typer.Option("--round", help="Round to multiples of this, such as 0.5. Never for density.")
    ] = None,
) -> None:
    """Write a DrivenData submission: the plain mean of all networks for every row of the format.

    Broken off, it goes on where it stopped. Rows whose video has no frames get the median of the others, and the exit status
    is 3 then.

    For example:

    trapmeter submit --format submission_format.csv --store frames/ --model training/fold-0/bundle --flip --out submission.csv
    """
    from trapmeter.competition.inference import InferenceSettings
    from trapmeter.competition.submission import write_submission_for
    from trapmeter.console import progress_bars

    ensemble = InferenceSettings(store, tuple(model), metadata, flip, runtime)
    with progress_bars() as progress:
        counts = write_submission_for(form, ensemble, out, print_progress, round_to_m=round_to, progress=progress)
    typer.echo(f"{counts.n_rows} rows: {out}")
    if counts.n_without_frames:
        typer.echo(f"{counts.n_without_frames} rows have no frames in the store and got the median of the others")
        raise typer.Exit(EXIT_MEDIA_FAILED)


def pseudolabel(
    moments: Annotated[Path, typer.Option(help="CSV file of the video_id and time to label.")],
    store: StoreOption,
    model: ModelsOption,
    out: Annotated[Path, typer.Option("--out", "-o", help="The table to write, for `train --extra`.")],
    metadata: MetadataOption = None,
    flip: FlipOption = False,
    runtime: RuntimeOption = Runtime.AUTO,
    max_spread: Annotated[
        float,
        typer.Option(help="Leave out where the networks differ by more than this share of the distance; 0 takes all."),
    ] = 0.3,
) -> None:
    """Turn an ensemble's answers for unlabelled videos into samples to train on.

    The more the networks agree, the more a sample counts. With `--max-spread 0` all count as labels do, as in the 2nd-place
    system.
    """
    from trapmeter.competition.inference import InferenceSettings
    from trapmeter.competition.submission import PseudolabelSettings, write_pseudolabels_for
    from trapmeter.console import progress_bars

    ensemble = InferenceSettings(store, tuple(model), metadata, flip, runtime)
    settings = PseudolabelSettings(max_spread or None)
    with progress_bars() as progress:
        counts = write_pseudolabels_for(
            moments, ensemble, out, print_progress, pseudolabels=settings, progress=progress
        )
    typer.echo(f"{counts.n_kept} pseudolabels, {counts.n_left_out} left out where the networks differ: {out}")


def evaluate(
    predictions: Annotated[Path, typer.Option(help="CSV file of video_id, time, distance, such as a submission.")],
    labels: LabelsOption,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for evaluation.json and evaluation.png.")],
    metadata: MetadataOption = None,
    store: Annotated[
        Path | None, typer.Option(help="Frame store with the videos' pictures: they tell night (infrared) from day.")
    ] = None,
) -> None:
    """Compare predicted distances with known ones: error, bias, and where they come from.

    With metadata also by park and box, and with intervals over sites; with a store by day and night.

    For example:

    trapmeter evaluate --predictions submission.csv --labels test_labels.csv --metadata test_metadata.csv --out evaluation/
    """
    from trapmeter.competition.evaluation import evaluate_table, format_errors

    typer.echo(format_errors(evaluate_table(predictions, labels, out, metadata=metadata, store=store)))
    typer.echo(f"picture: {out / 'evaluation.png'}")


def run_competition(
    configuration: Annotated[Path, typer.Argument(help="TOML file; docs/reference/chain.md lists its settings.")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder for everything, in place of the file's.")
    ] = None,
) -> None:
    """Do everything from videos to a submission, as a small configuration file says, skipping what is done.

    Frames, folds, training, ensemble, rounds of pseudolabels, submission, and evaluation where labels are given. Prints
    the plan first. Needs `pip install 'trapmeter[train]'`.

    For example:

    trapmeter run second-place.toml
    """
    require_extra("torch", "train")
    from trapmeter.competition.pipeline import run_competition as run

    typer.echo(f"submission: {run(configuration, print_progress, out=out)}")
