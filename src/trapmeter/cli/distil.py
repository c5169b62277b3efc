"""The verb that teaches one small network what an ensemble answers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from trapmeter.cli.options import RuntimeOption, print_progress
from trapmeter.errors import require_extra
from trapmeter.models.runtimes.choice import Runtime
from trapmeter.parallel.engines import default_jobs


def distil(
    model: Annotated[
        list[str],
        typer.Option("--model", help="A teacher: folder of a bundle, or the name of a pulled one. Give all of them."),
    ],
    store: Annotated[Path, typer.Option(help="Folder that `trapmeter frames` has filled, in the student's size.")],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Folder for answers and student; what was broken off there goes on.")
    ],
    teachers_store: Annotated[
        Path | None, typer.Option(help="Frame store in the teachers' size, where it differs from the student's.")
    ] = None,
    labels: Annotated[Path | None, typer.Option(help="CSV file of video_id, time, distance; none is needed.")] = None,
    metadata: Annotated[
        Path | None,
        typer.Option(help="CSV file of video_id, time, x1, y1, x2, y2, probability, park, site_id; shown to all."),
    ] = None,
    moments: Annotated[
        Path | None,
        typer.Option(help="CSV file of the unlabelled video_id and time (default: all whose window is in the store)."),
    ] = None,
    animals: Annotated[
        Path | None, typer.Option(help="CSV file of every animal with its drawn box, as for `train`.")
    ] = None,
    recipe: Annotated[str, typer.Option(help="The student's; as for `train`.")] = "student_cpu",
    flip: Annotated[bool, typer.Option(help="Ask each teacher about the mirror image too.")] = True,
    label_share: Annotated[
        float, typer.Option(help="How far labels count beside teachers, 0 to 1, at labelled moments.")
    ] = 0.7,
    max_spread: Annotated[
        float,
        typer.Option(help="Leave out unlabelled moments where teachers differ by more than this share; 0 takes all."),
    ] = 0.3,
    start: Annotated[
        Path | None, typer.Option(help="Weights to begin with, such as best.safetensors of a teacher's fold.")
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="In place of the recipe's.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Windows in a batch, in place of the recipe's.")] = None,
    weights: Annotated[str | None, typer.Option(help="hub, package, none or a file, in place of the recipe's.")] = None,
    seed: Annotated[int | None, typer.Option(help="In place of the recipe's.")] = None,
    licence: Annotated[str, typer.Option(help="Of the student's weights; goes into the bundle.")] = "not stated",
    runtime: RuntimeOption = Runtime.AUTO,
) -> None:
    """Train one small network on an ensemble's answers, for labelled and unlabelled moments alike.

    Needs `pip install 'trapmeter[train]'`. The teachers answer once, and a training broken off goes on after its last whole
    epoch. The student is a bundle for `predict --model` like any other. Its intervals are those of the teachers.

    Of a labelled moment, teachers that were trained on its video are not heard, if others are there: `held_out.csv` beside a
    bundle, as `train` leaves it, tells which videos it had not seen.

    For example:

    trapmeter distil --model training/fold-0/bundle --model training/fold-1/bundle --teachers-store frames/
    --store frames-128x224/ --labels train_labels.csv --metadata train_metadata.csv --start training/fold-0/best.safetensors
    --out student/
    """
    require_extra("torch", "train")
    from trapmeter.console import progress_bars
    from trapmeter.distillation import distil as run
    from trapmeter.models.library import find_model
    from trapmeter.models.runtimes.choice import choose_runtime
    from trapmeter.training.recipes import find_recipe
    from trapmeter.training.settings import DistilSettings, PseudolabelSettings

    changes: dict[str, Any] = {"epochs": epochs, "batch_size": batch_size, "weights": weights, "seed": seed}
    chosen = choose_runtime(runtime)
    print_progress(f"teachers run in {chosen.runtime}: {chosen.reason}")
    settings = DistilSettings(
        tuple(find_model(name) for name in model),
        store,
        out,
        replace(find_recipe(recipe), **{name: value for name, value in changes.items() if value is not None}),
        teachers_store,
        labels,
        metadata,
        moments,
        animals,
        flip,
        label_share,
        PseudolabelSettings(max_spread or None),
        start,
        licence,
    )
    with progress_bars() as progress:
        bundle = run(
            settings,
            print_progress,
            lambda done, total: progress("answer", done, total, 0),
            runtime=chosen.runtime,
            threads=default_jobs(None),
        )
    typer.echo(f"bundle: {bundle}")
