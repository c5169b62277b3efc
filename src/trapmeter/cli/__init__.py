"""The command line: each verb reads its arguments, makes one library call, and says where the result is.

A module for each group of verbs; this one puts them together. Heavy packages load inside the verbs, so that help is instant.
"""

from __future__ import annotations

import errno
import io
import sys
from typing import Annotated

import typer

from trapmeter._version import __version__
from trapmeter.cli import boxmodel, calibrate, density, distil, models, review, training
from trapmeter.cli import predict as measure
from trapmeter.cli import results as export
from trapmeter.cli import results as report
from trapmeter.cli.options import EXIT_USAGE
from trapmeter.errors import TrapmeterError

app = typer.Typer(
    name="trapmeter",
    help="Measures how far animals stand from a camera trap.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
measure.add_verbs(app)
calibrate.add_verbs(app)
app.add_typer(boxmodel.app, name="boxmodel")
training.add_verbs(app)
app.command()(distil.distil)
app.add_typer(models.app, name="models")
app.add_typer(review.app, name="review")
density.add_verbs(app)
export.add_export(app)
report.add_report(app)


def main() -> None:
    """Runs the command line and ends with its exit status."""
    # A file name that the terminal can't show must not end a run that is done.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        app()
    except TrapmeterError as error:
        print(f"trapmeter: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(EXIT_USAGE)
    except OSError as error:
        if error.errno not in _DISK_ERRORS:
            raise
        what = "" if error.filename is None else f"{error.filename}: "
        print(  # noqa: T201
            f"trapmeter: {what}{error.strerror}; check the path, its permissions and the free space", file=sys.stderr
        )
        sys.exit(EXIT_USAGE)


_DISK_ERRORS = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO}
    | {errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENAMETOOLONG, errno.ELOOP, errno.ESTALE}
)
"""What a disk may refuse at any moment. Where it is foreseen there is a better text; here is the rest."""


def _show_version(is_wanted: bool) -> None:
    if is_wanted:
        typer.echo(f"trapmeter {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    pass
