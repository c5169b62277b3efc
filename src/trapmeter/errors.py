"""The errors that a user can act on, as one small tree.

TrapmeterError            anything that a user can fix; its text says what to do
├── InputError            a file, table or argument is not what was expected
├── MediaError            a video or photo cannot be opened or decoded
├── ModelError            a model file is missing, damaged or does not fit
├── RunError              a run cannot continue or write its output
└── MissingExtraError     an optional dependency is not installed

Mistakes in trapmeter itself are plain Python errors and end with exit status 1.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec


def error_text(error: BaseException) -> str:
    """The text of a plain Python error about content that was read; that of a KeyError alone would be a bare name."""
    if isinstance(error, KeyError):
        return f"{error.args[0]!r} is missing"
    return str(error) or type(error).__name__


class TrapmeterError(Exception):
    """Base of every error whose text is meant for the user."""


class InputError(TrapmeterError):
    """A file, table or argument is not what was expected."""


class MediaError(TrapmeterError):
    """A video or photo cannot be opened or decoded."""


class ModelError(TrapmeterError):
    """A model file is missing, damaged or does not fit."""


class RunError(TrapmeterError):
    """A run cannot continue or write its output."""


class MissingExtraError(TrapmeterError):
    """A feature needs a package that the base install leaves out."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(
            f"this needs the package {package!r}, which is not installed; "
            f"install it with: {sys.executable} -m pip install 'trapmeter[{extra}]'"
        )


def require_extra(package: str, extra: str) -> None:
    """Checks that a package of an optional extra is installed.

    Raises:
        MissingExtraError: it isn't; the text says how to install it.
    """
    if find_spec(package) is None:
        raise MissingExtraError(package, extra)
