"""The verbs of the network: frames, train, submit, pseudolabel, evaluate, and run for all of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

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
from trapmeter.parallel.engines import EngineName, default_jobs, open_engine, parse_engine_shard

if TYPE_CHECKING:
    from trapmeter.competition.inference import EnsemblePrediction, VideoSecond

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
    from trapmeter.frames.fill import failures_path, fill_store, verify_store
    from trapmeter.frames.requests import read_requests
    from trapmeter.frames.spec import parse_size
    from trapmeter.frames.store import LAYOUT, open_or_create_store
    from trapmeter.storage.address import RemotePath, parse_path
    from trapmeter.storage.publish import publish_folder, work_folder
    from trapmeter.windows import WIDE_OFFSETS_S, parse_offsets

    target = parse_path(store)
    share = parse_engine_shard(shard, engine)
    if isinstance(target, RemotePath) and (share is not None or engine is EngineName.RAY):
        raise InputError(
            "--shard and --engine ray write into a folder that all machines see: give such a --store, not an address"
        )
    size_hw = None if size is None else parse_size(size)
    offsets_s = WIDE_OFFSETS_S if offsets is None else parse_offsets(offsets)
    has_failed = False
    if labels and videos is not None:
        place = parse_path(videos)
        wanted, missing = read_requests(labels, place, offsets_s)
        with publish_folder(target, LAYOUT, "--store") as folder:
            # With Ray, workers may have been started in another folder.
            where = folder.absolute() if engine is EngineName.RAY else folder
            frame_store = open_or_create_store(where, size_hw=size_hw, resize=resize, codec=codec)
            with open_engine(engine, ray_address, jobs, [place, where]) as opened, progress_bars() as progress:
                report = fill_store(
                    frame_store,
                    wanted,
                    opened.jobs,
                    progress,
                    missing=missing,
                    engine=opened.engine.run_tasks,
                    shard=share,
                )
            failures = failures_path(frame_store, share).relative_to(frame_store.folder)
        print_fill(report, target, target / failures.as_posix())
        has_failed = bool(report.failures)
    elif labels or videos is not None or offsets is not None or shard is not None or not check:
        raise InputError("give --labels and --videos to fill a store, --check to verify one, or all of them")
    if check:
        here = work_folder(target) if isinstance(target, RemotePath) else target
        frame_store = open_or_create_store(here, size_hw=size_hw, resize=resize, codec=codec, may_create=False)
        with progress_bars() as progress:
            problems = verify_store(frame_store, progress)
        print_problems(problems, here)
        has_failed = has_failed or bool(problems)
    if has_failed:
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
    typer.echo(f"{learnt.n_seconds} seconds at {learnt.n_sites} held-out sites, mean absolute error:")
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
    from trapmeter.competition.inference import write_submission
    from trapmeter.tables.drivendata import read_video_seconds

    moments = [(moment.video_id, moment.time_s) for moment in read_video_seconds(form)]
    answers = _predict_seconds(moments, store, model, out, metadata, flip=flip, runtime=runtime)
    n_missing = write_submission(out, moments, answers, round_to)
    typer.echo(f"{len(moments)} rows: {out}")
    if n_missing:
        typer.echo(f"{n_missing} rows have no frames in the store and got the median of the others")
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
    from trapmeter.competition.inference import PseudolabelSettings, write_pseudolabels
    from trapmeter.tables.drivendata import read_video_seconds

    asked = [(moment.video_id, moment.time_s) for moment in read_video_seconds(moments)]
    answers = _predict_seconds(asked, store, model, out, metadata, flip=flip, runtime=runtime)
    n_kept, n_left_out = write_pseudolabels(out, answers, PseudolabelSettings(max_spread or None))
    typer.echo(f"{n_kept} pseudolabels, {n_left_out} left out where the networks differ: {out}")


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
    from trapmeter.competition import evaluation
    from trapmeter.frames.store import FrameStore
    from trapmeter.tables.drivendata import best_box_rows, read_labels

    truth = read_labels(labels)
    nights = (
        {} if store is None else evaluation.find_night_videos(FrameStore.open(store), (row.video_id for row in truth))
    )
    pairs = evaluation.pair_predictions(read_labels(predictions), truth, best_box_rows(metadata), nights)
    figures = evaluation.evaluate_pairs(pairs)
    evaluation.write_evaluation(figures, pairs, out)
    typer.echo(evaluation.format_errors(figures))
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
    from trapmeter.competition.pipeline import read_competition_settings
    from trapmeter.competition.pipeline import run_competition as run
    from trapmeter.training.distributed import ranks_from_environment

    if ranks_from_environment().world_size > 1:
        raise InputError(
            "trapmeter run is one process; under torchrun or srun, train its round with trapmeter train and --out "
            "OUT/round-0, and then start trapmeter run alone: it takes over what is trained"
        )

    settings = read_competition_settings(configuration)
    submission = run(settings if out is None else replace(settings, out=out), print_progress)
    typer.echo(f"submission: {submission}")


def _predict_seconds(
    moments: list[VideoSecond],
    store: Path,
    models: list[str],
    out: Path,
    metadata: Path | None,
    *,
    flip: bool,
    runtime: Runtime,
) -> dict[VideoSecond, EnsemblePrediction]:
    """What the ensemble answers; the journal beside the output lets a call that was broken off go on."""
    from trapmeter.competition.inference import predict_seconds
    from trapmeter.console import progress_bars
    from trapmeter.frames.store import FrameStore
    from trapmeter.models.library import find_model
    from trapmeter.models.runtimes.choice import choose_runtime
    from trapmeter.models.runtimes.network import Ensemble
    from trapmeter.tables.drivendata import best_box_rows

    chosen = choose_runtime(runtime)
    print_progress(f"networks run in {chosen.runtime}: {chosen.reason}")
    folders = [find_model(model) for model in models]
    ensemble = Ensemble.load(folders, flip=flip, threads=default_jobs(None), runtime=chosen.runtime)
    boxes = {moment: row.box for moment, row in best_box_rows(metadata).items()}
    out.parent.mkdir(parents=True, exist_ok=True)
    journal = out.with_name(f"{out.name}.answers.jsonl")
    with progress_bars() as progress:
        return predict_seconds(
            ensemble,
            FrameStore.open(store),
            moments,
            boxes,
            journal,
            flip=flip,
            runtime=chosen.runtime,
            progress=lambda done, total: progress("answer", done, total, 0),
        )
