"""Writes the pages of docs/reference that come from the code: python tools/write_reference.py [--check].

With --check nothing is written; the exit status is 1 when a page is out of date.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from typer.main import get_command

import trapmeter
from trapmeter.cli import app

FOLDER = Path(__file__).parents[1] / "docs/reference"
COMMAND_LINE = "# Command line\n\nMade from the program by `tools/write_reference.py`; the same texts as `--help`.\n"
PYTHON = """# Python

Everything here is `trapmeter.NAME`; other modules are ours and may change. Ten lines from a folder to a table:

```python
from pathlib import Path

import trapmeter

settings = trapmeter.PredictSettings(
    paths=(Path("VIDEOS"),), out=Path("results"), site=trapmeter.parse_site_rule("folder:1")
)
run = trapmeter.prediction(settings)
table = trapmeter.to_frame(run.estimates)
print(table.groupby("site_id")["distance_m"].describe())
```

In a script (not a notebook), put all but the imports below `if __name__ == "__main__":`, for workers are processes that
read it anew.
"""
SECTIONS = {
    "Measuring": ("PredictSettings", "predict", "PredictRun", "parse_site_rule"),
    "Tables": ("read_distances", "write_distances", "to_frame", "read_boxes"),
    "Density": ("read_density_settings", "density_settings", "DensitySettings", "run_density", "DensityRun"),
    "Parts of a run": ("parse_path", "find_media", "open_medium", "MegadetectorLite", "BoxModel"),
    "Records": ("Medium", "Frame", "Box", "Observation", "Distance", "Estimate", "Status"),
    "Errors": ("TrapmeterError", "InputError", "MediaError", "ModelError", "RunError", "MissingExtraError"),
}


def command_line() -> str:
    """The page of the command line, as Markdown."""
    return "\n".join([COMMAND_LINE, *_verbs("trapmeter", get_command(app))])


def python() -> str:
    """The page of the Python names; the documentation's builder fills in what `:::` names."""
    lines = [PYTHON]
    for section, names in SECTIONS.items():
        lines.append(f"## {section}\n")
        for name in names:
            written = getattr(trapmeter, name)
            lines.append(f"### {name}\n\n::: {written.__module__}.{written.__qualname__}\n")
    return "\n".join(lines)


PAGES: dict[str, Callable[[], str]] = {"cli.md": command_line, "python.md": python}


def _verbs(name: str, command: Any) -> list[str]:
    """A section for a verb, or for each verb of a group."""
    if hasattr(command, "commands"):
        head = [] if name == "trapmeter" else [f"## {name}\n", f"{command.help}\n"]
        return head + [line for verb, sub in command.commands.items() for line in _verbs(f"{name} {verb}", sub)]
    lines = [
        f"## {name}\n",
        f"{_with_examples(inspect.cleandoc(command.help or ''))}\n",
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


def _with_examples(text: str) -> str:
    """The help with its examples as one block of commands."""
    return re.sub(
        r"(?:^trapmeter .*\n*)+",
        lambda found: "```\n" + re.sub(r"\n\n+", "\n", found.group()).strip() + "\n```\n",
        text + "\n",
        flags=re.MULTILINE,
    ).rstrip()


def main() -> None:
    """Writes or checks the pages."""
    for name, page in PAGES.items():
        path, text = FOLDER / name, page()
        if "--check" not in sys.argv[1:]:
            path.write_text(text, encoding="utf-8")
        elif path.read_text(encoding="utf-8") != text:
            sys.exit(f"{path} is out of date: run python tools/write_reference.py")


if __name__ == "__main__":
    main()
