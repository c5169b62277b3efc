"""The verbs that look through results by eye: review, and review export."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from trapmeter.errors import require_extra

_SERVE = "serve"


class _ServeGroup(TyperGroup):
    """`review DIR` means `review serve DIR`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Puts the verb before arguments that begin with none."""
        if args and args[0] not in {*self.commands, *ctx.help_option_names}:
            args = [_SERVE, *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=_ServeGroup,
    help="Look through results by eye and correct them: `trapmeter review DIR` is short for `trapmeter review serve DIR`.",
    no_args_is_help=True,
    rich_markup_mode=None,
    subcommand_metavar="DIR | serve DIR | export DIR --out FOLDER",
)


@app.command(_SERVE)
def serve(
    results: Annotated[Path, typer.Argument(help="Folder of `trapmeter predict`, or its distances.csv.")],
    videos: Annotated[
        Path | None, typer.Option(help="Folder that the names in distances.csv start from, if the media were moved.")
    ] = None,
    port: Annotated[int, typer.Option(help="Port of this machine; 0 takes a free one.", min=0, max=65535)] = 0,
    no_open: Annotated[bool, typer.Option("--no-open", help="Print the address only, and open no browser.")] = False,
) -> None:
    """Look through results on a page of this machine's own. Needs `pip install 'trapmeter[review]'`.

    Shows each row with its picture, the most doubtful first; keys accept, correct, move, delete and add (`?` lists them).
    Every decision is kept in review.jsonl beside distances.csv, which itself is never changed. The page answers this machine
    alone, and only with the key in the address that is printed. Ctrl-C ends it.

    For example:

    trapmeter review results/

    trapmeter review results/ --videos /media/card1 --no-open
    """
    require_extra("fastapi", "review")
    require_extra("uvicorn", "review")
    from trapmeter.review.server import serve as serve_page

    serve_page(
        results,
        videos,
        port,
        opens_browser=not no_open,
        announce=lambda address: typer.echo(f"{address}\nCtrl-C ends the review"),
    )


@app.command()
def export(
    results: Annotated[Path, typer.Argument(help="Folder that was reviewed.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the tables; made if need be.")],
) -> None:
    """Write what a review has decided: corrected distances, labels, and animals to leave out.

    distances.csv has the columns of `predict`'s. labels.csv holds every animal whose distance was accepted, given or
    added, for `calibrate --labels`, `train --animals` and `predict --truth`. train_labels.csv and train_metadata.csv hold
    the nearest animal of each second that was decided about in full, for `train` and `boxmodel train`. leave-out.csv names
    the animals that react to the camera, for `density --leave-out`. Works while the page is open, too.

    For example:

    trapmeter review export results/ --out reviewed/

    trapmeter density reviewed/distances.csv --leave-out reviewed/leave-out.csv --deployments deployments.csv
    """
    from trapmeter.review.export import export_review

    for line in export_review(results, out):
        typer.echo(line)
