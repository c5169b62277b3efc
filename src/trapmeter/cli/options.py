"""Options from declared settings, and exit statuses that the verbs share."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import field, fields, is_dataclass, make_dataclass
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, Union, get_origin, get_type_hints

from cyclopts import Group, Parameter

from trapmeter.errors import InputError
from trapmeter.settings import Parsed, Range, Setting, settings_of

if TYPE_CHECKING:
    from trapmeter.prediction.run import PredictRun
    from trapmeter.prediction.sharded_run import ShardRun

EXIT_INTERNAL_ERROR = 1
EXIT_USAGE = 2
EXIT_MEDIA_FAILED = 3
EXIT_INTERRUPTED = 130

OUT = Parameter(name=("--out", "-o"))
"""The option for the output of a verb."""

RECIPE_GROUP = Group("Changes to the recipe", help="Without them the recipe's own values hold.", sort_key=1)


@cache
def options_of(
    kind: type,
    *,
    has_file: bool = False,
    shows_defaults: bool = True,
    only: frozenset[str] | None = None,
    first: tuple[str, ...] = (),
) -> Any:
    """A dataclass that cyclopts turns into the options of a verb: the settings of another one, None if not given.

    has_file: a file or a recipe gives the other settings, so none is required and every switch has its opposite (`--no-...`).
    shows_defaults: whether help states the defaults of the dataclass; those of a recipe differ. only: the names of those
    settings that become options; None for all. first: names of settings that stand before others in help, after the
    required ones.
    `given_values` returns what was given, for `from_values`. Settings that are dataclasses themselves have no option.
    """
    settings = settings_of(kind)
    # A dataclass that has no keyword-only fields, such as a recipe, doesn't mean its fields as arguments of a command.
    has_arguments = not all(setting.is_positional for setting in settings)
    options = [
        _option(
            setting,
            has_file=has_file,
            shows_defaults=shows_defaults,
            is_argument=has_arguments and setting.is_positional,
        )
        for setting in sorted(settings, key=lambda setting: _rank(setting, first))
        if _is_option(setting) and (only is None or setting.name in only)
    ]
    return make_dataclass(f"{kind.__name__}Options", options, namespace={"__module__": kind.__module__})


def given_values(options: Any) -> dict[str, Any]:
    """The values of an instance of `options_of` that are not None."""
    values = {option.name: getattr(options, option.name) for option in fields(options)}
    return {name: value for name, value in values.items() if value is not None}


def recipe_values(recipe: Any, schedule: Any, network_input: Any) -> dict[str, Any]:
    """The settings of a recipe that options change: instances of the `options_of` Recipe, its schedule and its input."""
    parts = {"schedule": given_values(schedule), "input": given_values(network_input)}
    return given_values(recipe) | {name: values for name, values in parts.items() if values}


def check_limits(verb: Callable[..., Any], values: Mapping[str, Any]) -> None:
    """Checks the numbers that a verb takes itself against the ranges that it declares; settings check their own.

    Raises:
        InputError: a number is outside; the text names the option, the range and the number.
    """
    numbers = {name: value for name, value in values.items() if isinstance(value, int | float)}
    hints = get_type_hints(verb, include_extras=True) if numbers else {}
    for name, number in numbers.items():
        metadata = getattr(hints[name], "__metadata__", ())
        limits = next((item for item in metadata if isinstance(item, Range)), None)
        if limits is not None and not limits.contains(number):
            named = (item.name for item in metadata if isinstance(item, Parameter) and item.name)
            option = next(iter(next(named, (f"--{name.replace('_', '-')}",))))
            raise InputError(f"{option}: expected {limits}, got {number}")


def _rank(setting: Setting, first: tuple[str, ...]) -> int:
    """The place of a setting in help; among equals the order of declaration holds."""
    if setting.is_positional or setting.is_required:
        return -1
    return first.index(setting.name) if setting.name in first else len(first)


def _is_option(setting: Setting) -> bool:
    is_excluded = any(isinstance(item, Parameter) and item.parse is False for item in setting.metadata)
    return not is_excluded and (not is_dataclass(setting.kind) or setting.find(Parsed) is not None)


def _option(setting: Setting, *, has_file: bool, shows_defaults: bool, is_argument: bool) -> tuple[str, Any, Any]:
    """A field for `make_dataclass`: name, type and default."""
    parsed, kind = setting.find(Parsed), setting.kind
    default = setting.default if parsed is None else parsed.to_text(setting.default)
    limits = f" [{setting.limits}]" if setting.limits else ""
    is_shown = shows_defaults and default is not False and default not in (None, (), [], {}, "")
    shown = f" [default: {'yes' if default is True else default}]" if is_shown else ""
    stated = Parameter(
        help=f"{setting.help}{limits}{shown}", show_default=False, required=setting.is_required and not has_file
    )
    # Other metadata is for `from_values`: cyclopts would run it too if pydantic happens to be loaded.
    metadata = (*(item for item in setting.metadata if isinstance(item, Parameter)), stated)
    if has_file and kind is bool:
        metadata = (Parameter(negative=f"--no-{setting.option.removeprefix('--')}"), *metadata)
    if parsed is not None:
        kind = tuple[str, ...] if get_origin(kind) is tuple else str
    optional: Any = Union[kind, None]  # noqa: UP007 - made at run time
    return setting.name, Annotated[(optional, *metadata)], field(default=None, kw_only=not is_argument)


def print_progress(text: str) -> None:
    """A line of progress, on standard error."""
    print(text, file=sys.stderr, flush=True)


def exit_status(run: PredictRun | ShardRun) -> int:
    """The status that says how a run went."""
    if run.has_internal_errors:
        return EXIT_INTERNAL_ERROR
    return EXIT_MEDIA_FAILED if run.has_failed_media else 0
