"""The verbs of the box model: train and evaluate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from trapmeter.cli.options import print_progress

app = typer.Typer(
    help="Train and judge the model that tells distances from boxes alone.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
_TABLES_HELP = "Folder with train_labels.csv and train_metadata.csv, as DrivenData's Deep Chimpact has them."


@app.command("train")
def train_model(
    tables: Annotated[Path, typer.Option(help=_TABLES_HELP)],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the trained model.")],
    name: Annotated[str, typer.Option(help="What the model is called in every row that it answers.")] = "boxmodel",
    attribution: Annotated[str, typer.Option(help="Whose data it learned from, under which licence.")] = "",
) -> None:
    """Train a box model on labelled boxes. Needs `pip install 'trapmeter[boxmodel]'`.

    For example:

    trapmeter boxmodel train --tables deep-chimpact/ --out my-box-model/
    """
    from trapmeter.boxmodel.settings import BoxModelSettings
    from trapmeter.boxmodel.training import train_box_model
    from trapmeter.boxmodel.training_data import read_labelled_observations

    train_box_model(
        read_labelled_observations(tables),
        out,
        BoxModelSettings(model_id=name, attribution=attribution),
        print_progress,
    )
    typer.echo(f"model: {out}")


@app.command("evaluate")
def evaluate_model(
    tables: Annotated[Path, typer.Option(help=_TABLES_HELP)],
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Folder for evaluation.json and oof.csv.")] = None,
    folds: Annotated[int, typer.Option(help="Groups of sites; each is answered by a model that never saw it.")] = 10,
) -> None:
    """Judge the box model at sites it has not seen. Needs `pip install 'trapmeter[boxmodel]'`.

    Every row counts, those without a box too. The intervals are to cover 90 %.

    For example:

    trapmeter boxmodel evaluate --tables deep-chimpact/ --out evaluation/
    """
    from trapmeter.boxmodel.evaluation import evaluate_box_model, format_figures, write_evaluation
    from trapmeter.boxmodel.settings import BoxModelSettings
    from trapmeter.boxmodel.training_data import read_labelled_observations

    evaluation = evaluate_box_model(read_labelled_observations(tables), BoxModelSettings(), folds, print_progress)
    typer.echo(format_figures(evaluation))
    if out is not None:
        write_evaluation(evaluation, out)
        typer.echo(f"every row: {out / 'oof.csv'}")
