"""Writes docs/reference/cli.md from the command line itself: python tools/write_reference.py [--check].

With --check nothing is written; the exit status is 1 when the page is out of date.
"""

from __future__ import annotations

import inspect
import sys
from pathlib import Path
from typing import Any

from typer.main import get_command

from trapmeter.cli import app

PAGE = Path(__file__).parents[1] / "docs/reference/cli.md"
HEAD = "# Command line\n\nMade from the program by `tools/write_reference.py`; the same texts as `--help`.\n"


def page() -> str:
    """The whole page as Markdown."""
    return "\n".join([HEAD, *_verbs("trapmeter", get_command(app))])


def _verbs(name: str, command: Any) -> list[str]:
    """A section for a verb, or for each verb of a group."""
    if hasattr(command, "commands"):
        head = [] if name == "trapmeter" else [f"## {name}\n", f"{command.help}\n"]
        return head + [line for verb, sub in command.commands.items() for line in _verbs(f"{name} {verb}", sub)]
    lines = [
        f"## {name}\n",
        f"{inspect.cleandoc(command.help or '')}\n",
        "| argument | meaning | default |",
        "| --- | --- | --- |",
    ]
    for parameter in command.params:
        if parameter.name in ("help",):
            continue
        shown = (
            " ".join(f"`{flag}`" for flag in parameter.opts)
            if parameter.param_type_name == "option"
            else _argument(parameter)
        )
        default = "" if parameter.required or parameter.default in (None, False) else f"`{parameter.default}`"
        text = (parameter.help or "").replace("|", "\\|")
        lines.append(f"| {shown} | {text} | {'needed' if parameter.required else default} |")
    return [*lines, ""]


def _argument(parameter: Any) -> str:
    return f"`{parameter.name.upper()}{'...' if parameter.nargs == -1 else ''}`"


def main() -> None:
    """Writes or checks the page."""
    if "--check" in sys.argv[1:]:
        sys.exit(0 if PAGE.read_text(encoding="utf-8") == page() else f"{PAGE} is out of date: run {sys.argv[0]}")
    PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
