"""The command line: each verb reads its options, makes one library call, and prints the result.

The verbs stand in the table below; a verb's module is loaded when the verb is used, so that help is instant.
"""

from __future__ import annotations

import errno
import io
import sys

from cyclopts import App, CycloptsError, Group, Parameter

from trapmeter._version import __version__
from trapmeter.cli.options import EXIT_INTERRUPTED, EXIT_USAGE
from trapmeter.errors import TrapmeterError


def _show_default(value: object) -> str | None:
    """The default as help shows it; "nothing given" goes without saying."""
    return None if value in (None, (), "", False) else str(value)


_MEASURE = Group("Measure distances", sort_key=1)
_USE = Group("Correct and use results", sort_key=2)
_TRAIN = Group("Train models", sort_key=3)
_COMPETE = Group("The 2nd-place system of Deep Chimpact", sort_key=4)

app = App(
    name="trapmeter",
    help="Measures how far animals stand from a camera trap.",
    version=__version__,
    version_format="plaintext",
    help_flags=["--help", "-h"],
    help_format="plaintext",
    default_parameter=Parameter(negative=(), show_default=_show_default),
)
models = App(name="models", help="Get published networks and manage those on this machine. Only `pull` uses the network.")
boxmodel = App(name="boxmodel", help="Train and evaluate the model that estimates distances from boxes alone.")
review = App(
    name="review",
    help="Check results by eye and correct them on a local page.",
    default_command=None,
)
