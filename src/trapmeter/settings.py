"""Settings are dataclasses whose fields declare each setting once: name, type, unit, range, default and help.

The command line, TOML files, run.json and the reference pages all come from these declarations. A field's name carries its
unit (`every_s`, `hfov_deg`), its docstring is the help, a `Range` states its limits, and `cyclopts.Parameter` names the
option if it differs from the field.
"""

from __future__ import annotations

import json
import math
import re
import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, fields, make_dataclass
from dataclasses import field as dataclass_field
from functools import cache
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin, get_type_hints

from cyclopts import Parameter

from trapmeter.errors import InputError

Settings = TypeVar("Settings")


@dataclass(frozen=True, slots=True)
class Range:
    """The range of a number, or of each number of a tuple; put it into `Annotated`."""

    least: float = -math.inf
    most: float = math.inf
    above: float = -math.inf
    below: float = math.inf
    unit: str = ""

    def holds(self, value: float) -> bool:
        """Whether the value is finite and lies in the range."""
        return math.isfinite(value) and self.least <= value <= self.most and self.above < value < self.below

    def __str__(self) -> str:
        words = (("at least", self.least), ("more than", self.above), ("at most", self.most), ("less than", self.below))
        limits = " and ".join(f"{word} {limit:g}" for word, limit in words if math.isfinite(limit))
        return f"{limits} {self.unit}".strip()


@dataclass(frozen=True, slots=True)
class Setting:
    """One declared setting.

    name: of the field, as TOML files and Python use it. option: as the command line uses it. hint: its type. limits: its
    range in words, or "". default: None if it has none or is required.
    """

    name: str
    option: str
    hint: Any
    help: str
    limits: str
    is_required: bool
    is_positional: bool
    default: Any


@cache
def settings_of(kind: type) -> tuple[Setting, ...]:
    """The declared settings of a dataclass, in their order."""
    from docstring_parser import parse_from_object

    texts = {entry.arg_name: entry.description or "" for entry in parse_from_object(kind).params}
    hints = get_type_hints(kind, include_extras=True)
    return tuple(_setting(one, hints[one.name], texts.get(one.name, "")) for one in fields(kind) if one.init)


def check_ranges(settings: Any) -> None:
    """Checks every number of a dataclass against its declared range; call it in `__post_init__`.

    Raises:
        InputError: a value lies outside; the text names the setting, the range and the value.
    """
    for name, hint in get_type_hints(type(settings), include_extras=True).items():
        for limits in (item for item in _metadata(hint) if isinstance(item, Range)):
            value = getattr(settings, name)
            if not all(map(limits.holds, value if isinstance(value, tuple) else () if value is None else (value,))):
                raise InputError(f"{_option(name, hint)}: expected {limits}, got {value}")


def from_values(kind: type[Settings], values: Mapping[str, Any], source: str = "") -> Settings:
    """Settings from plain values by field name, as TOML, JSON and keyword arguments give them.

    source: the file that the values come from, for messages.

    Raises:
        InputError: a name is unknown, a required one is missing, or a value has another type or lies outside its range.
    """
    from pydantic import TypeAdapter, ValidationError

    check_names(kind, values, source)
    try:
        # As JSON, text becomes a path or a choice, but never a number or a truth value.
        return TypeAdapter(kind).validate_json(json.dumps(values, default=str), strict=True)
    except ValidationError as error:
        raise InputError("; ".join(_complaint(kind, one, source) for one in error.errors())) from error


def to_values(settings: Any) -> dict[str, Any]:
    """Settings as plain values by field name; `from_values` is the inverse."""
    from pydantic import TypeAdapter

    values: dict[str, Any] = TypeAdapter(type(settings)).dump_python(settings, mode="json")
    return values


def check_names(kind: type, values: Mapping[str, Any], source: str = "") -> None:
    """Checks that every name is a setting's.

    Raises:
        InputError: one isn't.
    """
    known = [setting.name for setting in settings_of(kind)]
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise InputError(f"{_prefix(source)}unknown settings {', '.join(unknown)}; known are {', '.join(known)}")


def read_toml(kind: type, path: Path) -> dict[str, Any]:
    """The values of a TOML file by field name; relative paths count from the file's folder.

    Raises:
        InputError: the file can't be read, isn't TOML, or has a name that isn't a setting.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: expected UTF-8 text, got {error}; save it as UTF-8") from error
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{path}: not TOML: {error}; {_toml_advice(text, str(error))}") from error
    check_names(kind, values, str(path))
    for setting in settings_of(kind):
        value = values.get(setting.name)
        if value is None or Path not in _plain_types(setting.hint):
            continue
        if not isinstance(value, str) or any(mark < " " for mark in value):  # "C:\table\new.csv" has a tab
            raise InputError(f"{path}: {setting.name}: expected the name of a file, got {value!r}; {_BACKSLASH}")
        if not _is_choice(setting.hint, value):
            values[setting.name] = str(path.parent / value)
    return values


@cache
def partial_of(kind: type) -> Any:
    """A dataclass with the settings of another, all optional: what a command line adds to a file or a recipe.

    Where nothing was given a field is None; `given_values` keeps the others.
    """
    optional = [_optional(one) for one in settings_of(kind)]
    return make_dataclass(f"Partial{kind.__name__}", optional, namespace={"__module__": kind.__module__})


def given_values(partial: Any) -> dict[str, Any]:
    """The values of an instance of `partial_of` that are not None."""
    return {one.name: value for one in fields(partial) if (value := getattr(partial, one.name)) is not None}


def _optional(setting: Setting) -> tuple[str, Any, Any]:
    shown = "" if setting.default in (None, (), "", False) else f" [default: {setting.default}]"
    metadata = (*_metadata(setting.hint), Parameter(help=f"{setting.help}{shown}", show_default=False))
    optional: Any = Union[_bare(setting.hint), None]  # noqa: UP007 - made at run time
    kept = dataclass_field(default=None, kw_only=not setting.is_positional)
    return setting.name, Annotated[(optional, *metadata)], kept


def _setting(one: Field[Any], hint: Any, text: str) -> Setting:
    has_default = one.default is not MISSING or one.default_factory is not MISSING
    default = one.default_factory() if one.default_factory is not MISSING else one.default
    return Setting(
        name=one.name,
        option=_option(one.name, hint),
        hint=hint,
        help=text,
        limits=next((str(item) for item in _metadata(hint) if isinstance(item, Range)), ""),
        is_required=not has_default,
        is_positional=not one.kw_only,
        default=default if has_default else None,
    )


def _option(name: str, hint: Any) -> str:
    named = [item.name for item in _metadata(hint) if isinstance(item, Parameter) and item.name]
    return next(iter(named[0])) if named else f"--{name.replace('_', '-')}"


def _metadata(hint: Any) -> tuple[Any, ...]:
    return tuple(hint.__metadata__) if get_origin(hint) is Annotated else ()


def _bare(hint: Any) -> Any:
    return get_args(hint)[0] if get_origin(hint) is Annotated else hint


def _plain_types(hint: Any) -> set[Any]:
    """A type, or those of a union."""
    bare = _bare(hint)
    return set(get_args(bare)) if get_origin(bare) in (Union, UnionType) else {bare}


def _is_choice(hint: Any, value: str) -> bool:
    """Whether the text is a fixed word that the setting takes in place of a file."""
    return any(value in get_args(kind) for kind in _plain_types(hint) if str(kind).startswith("typing.Literal"))


def _complaint(kind: type, error: Any, source: str) -> str:
    where = ".".join(str(part) for part in error["loc"][:1])
    setting = next((one for one in settings_of(kind) if one.name == where), None)
    if isinstance(cause := error.get("ctx", {}).get("error"), InputError):
        return f"{_prefix(source)}{cause}"
    if error["type"].startswith("missing"):
        return f"{_prefix(source)}{where} is missing: {'' if setting is None else setting.help}"
    expected = error["msg"].removeprefix("Input should be ")
    return f"{_prefix(source)}{where}: expected {expected}, got {error['input']!r}"


def _prefix(source: str) -> str:
    return f"{source}: " if source else ""


_BACKSLASH = "put the text into single quotes, or write / in place of \\"


def _toml_advice(text: str, message: str) -> str:
    at = re.search(r"line (\d+)", message)
    has_backslash = at is not None and "\\" in text.split("\n")[int(at[1]) - 1]
    return _BACKSLASH if has_backslash else "put texts into double quotes"
