"""The command line: each verb reads its options, makes one library call, and prints the result.

The table below lists the verbs. A verb's module loads only when the verb is used, so help appears at once.
"""

from __future__ import annotations

import errno
import inspect
import io
import sys
from collections.abc import Collection
from importlib import import_module
from typing import Any

from cyclopts import (
    App,
    ArgumentCollection,
    CoercionError,
    CycloptsError,
    Group,
    MissingArgumentError,
    Parameter,
    UnknownCommandError,
    UnknownOptionError,
    UnusedCliTokensError,
)

from trapmeter._version import __version__
from trapmeter.cli.options import EXIT_INTERRUPTED, EXIT_USAGE, check_limits
from trapmeter.errors import TrapmeterError

MEASURE, USE, TRAIN, COMPETE = (
    Group(title, sort_key=number)
    for number, title in enumerate(
        ("Measure distances", "Correct and use results", "Train models", "The 2nd-place system of Deep Chimpact")
    )
)
VERBS = (
    (MEASURE, "predict", "predict:predict", "Measure the distance of every animal in videos and photos."),
    (MEASURE, "merge", "predict:merge", "Merge the results of all shards of a run."),
    (MEASURE, "demo", "predict:demo", "Measure twelve small clips that come with trapmeter."),
    (USE, "report", "results:report", "Write the report of a folder of results again."),
    (USE, "review", "results:review", "Check results by eye and correct them in the browser."),
    (USE, "points", "analysis:points", "Mark points, poles and people at known distances in reference photographs."),
    (USE, "calibrate", "analysis:calibrate", "Correct distances with what you know about the sites."),
    (USE, "density", "analysis:density", "Estimate animal density from distances."),
    (USE, "export", "results:export", "Write results in the format of another tool."),
    (TRAIN, "frames", "training:frames", "Store the frames that training and submissions need."),
    (TRAIN, "train", "training:train", "Train networks on labelled windows, fold by fold."),
    (TRAIN, "distil", "training:distil", "Train one small network on an ensemble's predictions."),
    (TRAIN, "blend", "training:blend", "Learn how to combine networks and box model."),
    (COMPETE, "run", "competition:run", "Run all steps from the competition's files to a submission."),
    (COMPETE, "submit", "competition:submit", "Write a DrivenData submission."),
    (COMPETE, "pseudolabel", "competition:pseudolabel", "Turn an ensemble's predictions into training samples."),
    (COMPETE, "evaluate", "competition:evaluate", "Compare predicted distances with known ones."),
)
"""Group, verb, module and function, and the first sentence of its help."""

GROUPED_VERBS = {
    ("boxmodel", "Train and evaluate the model that estimates distances from boxes."): (
        ("train", "training:train_box_model", "Train a box model on labelled boxes."),
        ("evaluate", "training:evaluate_box_model", "Evaluate the box model at sites it has not seen."),
    ),
    ("models", "Get published networks and manage those on this machine."): (
        ("list", "models:list_models", "List the published models and those on this machine."),
        ("pull", "models:pull_model", "Download a published model and check it."),
        ("import", "models:import_model", "Make a model from a TorchScript file or a bundle."),
        ("show", "models:show_model", "Show the card of a model."),
        ("verify", "models:verify_models", "Check models: files, card, checksum and network."),
        ("quantise", "models:quantise_model", "Make a network faster with 8-bit numbers."),
    ),
}


def _paragraphs(docstring: str) -> str:
    """The help in a docstring, without its parameters, with one line for each paragraph; the terminal wraps it."""
    help_text = docstring.partition("\nParameters\n")[0].strip()
    parts = [part if part.startswith(" ") else " ".join(part.split()) for part in help_text.split("\n\n")]
    return "\n\n".join(parts)


def _dashed(name: str) -> str:
    """The name of a field or a choice as options have it; cyclopts would write `log1-p`."""
    return name.lower().replace("_", "-")


def _show_default(value: object) -> str | None:
    """The default as help shows it; an empty one is not shown."""
    if value is None or value is False or value in ((), ""):
        return None
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    return "yes" if value is True else str(value)


def _refuse_fractions(_app: App, _verbs: tuple[str, ...], arguments: ArgumentCollection) -> None:
    """Refuses 1.5 where a whole number is expected; cyclopts would round it."""
    for argument in arguments:
        for token in argument.tokens:
            if argument.hint in (int, int | None) and "." in token.value:
                raise CoercionError(argument=argument, token=token, target_type=int)


def make_app(used: Collection[str] | None = None) -> App:
    """The command line.

    used: words of the command: verbs among them load now and bring their own help; the others have the table's. None loads
    all.
    """
    made = App(
        name="trapmeter",
        help="Measures how far animals stand from a camera trap.",
        version=f"trapmeter {__version__}",
        help_format="plaintext",
        config=_refuse_fractions,
        # Of a repeated option the last counts, so that a script's own options can be followed by others.
        default_parameter=Parameter(
            negative=(), show_default=_show_default, name_transform=_dashed, allow_repeating=True
        ),
    )

    def add(to: App, number: int, verb: str, function: str, text: str, **options: Any) -> None:
        target: Any = f"trapmeter.cli.{function}"
        if used is None or verb in used:
            module, _, name = target.partition(":")
            loaded = getattr(import_module(module), name)
            if isinstance(loaded, App):  # a verb with a verb of its own, such as `review export`
                for part in (loaded, *(loaded[name] for name in loaded if not name.startswith("-"))):
                    part.help = _paragraphs(inspect.getdoc(part.default_command) or text)
                text = ""
            else:
                target, text = loaded, _paragraphs(inspect.getdoc(loaded) or text)
        options |= {"help": text} if text else {}
        to.command(target, name=verb, sort_key=number, **options)

    for number, (group, verb, function, text) in enumerate(VERBS):
        add(made, number, verb, function, text, group=group)
    for (name, help_text), verbs in GROUPED_VERBS.items():
        part = App(name=name, help=help_text, group=TRAIN, sort_key=len(VERBS))
        for number, (verb, function, text) in enumerate(verbs):
            add(part, number, verb, function, text)
        made.command(part)
    return made


def main(arguments: list[str] | None = None) -> None:
    """Runs the command line and ends with its exit status."""
    # A file name that the terminal can't show must not end a run that is done.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    words = sys.argv[1:] if arguments is None else arguments
    try:
        verb, given, _ = make_app(words[:2]).parse_args(words, exit_on_error=False, print_error=False)
        check_limits(verb, given.arguments)
        status = verb(*given.args, **given.kwargs)
    except TrapmeterError as error:
        _fail(str(error))
    except CycloptsError as error:
        _fail(_usage_text(error))
    except OSError as error:
        if error.errno not in _DISK_ERRORS:
            raise
        name = "" if error.filename is None else f"{error.filename}: "
        _fail(f"{name}{error.strerror}; check the path, its permissions and the free space")
    except KeyboardInterrupt:
        print("trapmeter: stopped; the same command resumes", file=sys.stderr)
        sys.exit(EXIT_INTERRUPTED)
    sys.exit(status if isinstance(status, int) else 0)


def _usage_text(error: CycloptsError) -> str:
    """What is wrong with a command, in plain words."""
    verb, argument, text = " ".join(("trapmeter", *(error.command_chain or ()))), error.argument, str(error)
    match error:
        case MissingArgumentError() if argument is not None:
            _, asks, similar = text.partition(" Did you mean ")
            if error.keyword or argument.tokens:
                name = error.keyword or argument.name
                return f"{name} needs a value; write one that begins with a dash as {name}=-..."
            name = argument.name if argument.index is None else argument.name.lstrip("-").upper()
            text = f"{verb} needs {name}.{asks}{similar}"
        case CoercionError(msg=None, token=token) if token is not None and error.target_type in _EXPECTED:
            return f"{token.keyword}: expected {_EXPECTED[error.target_type]}, got {token.value!r}"
        case CoercionError(msg=None, token=token) if token is not None and "dict[" in str(error.target_type):
            return f"{token.keyword}: expected a name and a number, such as {token.keyword}.north 12.5, got {token.value!r}"
        case UnusedCliTokensError():
            text = f"{verb} takes no further argument, got {', '.join(map(repr, error.unused_tokens or ()))}."
        case UnknownCommandError() | UnknownOptionError():
            pass
        case _:
            return text
    return f"{text} See: {verb} --help"


_EXPECTED: dict[Any, str] = {int: "a whole number", float: "a number", bool: "true or false"}


def _fail(text: str) -> None:
    print(f"trapmeter: {text}", file=sys.stderr)
    sys.exit(EXIT_USAGE)


_DISK_ERRORS = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO}
    | {errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENAMETOOLONG, errno.ELOOP, errno.ESTALE}
)
"""What a disk may refuse at any time. The library gives a better text where it expects one of these; this is the rest."""
