"""The command line, called within the tests' own process: that saves a start of Python for each call."""

from __future__ import annotations

import sys

import pytest

from trapmeter.cli import main


def inside(*arguments: object) -> int:
    """The exit status of a call of `trapmeter`. What is no clear error, and would show a traceback, is raised."""
    with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit) as ended:
        patch.setattr(sys, "argv", ["trapmeter", *map(str, arguments)])
        main()
    return int(ended.value.code or 0)


def call(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    """As `inside`, with what the call wrote to standard output and standard error."""
    status = inside(*arguments)
    return status, *capsys.readouterr()
