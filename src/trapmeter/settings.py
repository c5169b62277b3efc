"""Settings are dataclasses whose fields declare each setting once: name, type, unit, range, default and help.

The command line, TOML files, run.json and the reference pages all come from these declarations. A field's name carries its
unit (`every_s`, `hfov_deg`), its docstring is the help, a `Range` states its limits, and `cyclopts.Parameter` names the
option if it differs from the field.
"""

from __future__ import annotations

import json
import math
import os
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, fields
from functools import cache
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, TypeAlias, TypeVar, Union, get_args, get_origin, get_type_hints

from cyclopts import Parameter

from trapmeter.errors import InputError

Settings = TypeVar("Settings")
Metadata = TypeVar("Metadata")


@dataclass(frozen=True, slots=True)
class Range:
    """The range of a number, or of each number of a tuple; put it into `Annotated`."""

    least: float = -math.inf
    most: float = math.inf
    above: float = -math.inf
    below: float = math.inf
    unit: str = ""

    def contains(self, value: float) -> bool:
        """Whether the value is finite and in the range."""
        return math.isfinite(value) and self.least <= value <= self.most and self.above < value < self.below

    def __str__(self) -> str:
        words = (("at least", self.least), ("more than", self.above), ("at most", self.most), ("less than", self.below))
        limits = " and ".join(f"{word} {limit:g}" for word, limit in words if math.isfinite(limit))
        return f"{limits} {self.unit}".strip()


@dataclass(frozen=True, slots=True)
class Listed:
    """Metadata of a tuple that may also be given as one value, or as text with commas: `2,3,5`."""

    kind: type[str] | type[float]

    def parse(self, value: Any) -> Any:
        """The values as a tuple; anything else stays as it is, for the type check to refuse."""
        if isinstance(value, str):
            return tuple(self._parse_text(text.strip()) for text in value.split(","))
        if isinstance(value, list):
            return tuple(value)
        return (value,) if isinstance(value, int | float) and not isinstance(value, bool) else value

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        from pydantic_core import core_schema

        return core_schema.no_info_before_validator_function(self.parse, handler(source))

    def _parse_text(self, text: str) -> str | float:
        try:
            return self.kind(text)
        except ValueError:
            raise ValueError(f"expected numbers separated by commas, such as 2,3,5,8, got {text!r}") from None


@dataclass(frozen=True, slots=True)
class Parsed:
    """Metadata of a setting that is text outside of Python: how text, or each text of a tuple, becomes its value.

    `parse` raises InputError for text that it can't read; `write` is its inverse.
    """

    parse: Callable[[str], Any]
    write: Callable[[Any], str] = str

    def to_text(self, value: Any) -> Any:
        """The text of a value; text stays as it is."""
        if isinstance(value, list | tuple):
            return [self.to_text(item) for item in value]
        return value if isinstance(value, str) or value is None else self.write(value)

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        from pydantic_core import core_schema

        written = core_schema.plain_serializer_function_ser_schema(self.to_text)
        schema = core_schema.no_info_plain_validator_function(self._to_value, serialization=written)
        return core_schema.nullable_schema(schema) if type(None) in get_args(source) else schema

    def _to_value(self, value: Any) -> Any:
        if isinstance(value, list):
            return tuple(map(self._to_value, value))
        if not isinstance(value, str):
            raise ValueError(f"expected text, got {value!r}")
        return self.parse(value)


@dataclass(frozen=True, slots=True)
class Setting:
    """One declared setting.

    kind: its type. metadata: what `Annotated` adds to the type. default: None if it has none or is required.
    """

    name: str
    kind: Any
    metadata: tuple[Any, ...]
    help: str
    is_required: bool
    is_positional: bool
    default: Any

    @property
    def option(self) -> str:
        """The setting's name on the command line."""
        named = next((item.name for item in self.metadata if isinstance(item, Parameter) and item.name), None)
        return next(iter(named)) if named else f"--{self.name.replace('_', '-')}"

    @property
    def limits(self) -> str:
        """The declared range in words; "" without one."""
        return str(self.find(Range) or "")

    @property
    def kinds(self) -> set[Any]:
        """The type, or the members of a union."""
        return set(get_args(self.kind)) if get_origin(self.kind) in (Union, UnionType) else {self.kind}

    def find(self, kind: type[Metadata]) -> Metadata | None:
        """The metadata of a kind, such as its `Range`."""
        return next((item for item in self.metadata if isinstance(item, kind)), None)


def _split(kind: type[str] | type[float]) -> Parameter:
    """The option of a `Listed` setting: given once with commas, or several times."""
    listed = Listed(kind)
    return Parameter(
        converter=lambda _, tokens: sum((listed.parse(token.value) for token in tokens), ()),
        n_tokens=1,
        allow_leading_hyphen=kind is float,
    )


Texts: TypeAlias = Annotated[tuple[str, ...], Listed(str), _split(str)]
Numbers: TypeAlias = Annotated[tuple[float, ...], Listed(float), _split(float)]

Jobs: TypeAlias = Annotated[int | None, Parameter(name=("--jobs", "-j")), Range(least=1)]
"""A number of worker processes; None is one per core."""


def worker_count(jobs: int | None) -> int:
    """The number given, or one for each core that this process may use."""
    if jobs is not None:
        return jobs
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@cache
def settings_of(kind: Any) -> tuple[Setting, ...]:
    """The declared settings of a dataclass, its own before those that it inherits."""
    from docstring_parser import parse_from_object

    documented = [entry for base in kind.__mro__[:-1] for entry in parse_from_object(base).params]
    texts = {entry.arg_name: " ".join((entry.description or "").split()) for entry in documented}
    hints = get_type_hints(kind, include_extras=True)
    inherited = {name for base in kind.__mro__[1:] for name in getattr(base, "__dataclass_fields__", ())}
    own_first = sorted((field for field in fields(kind) if field.init), key=lambda field: field.name in inherited)
    return tuple(_setting(field, hints[field.name], texts.get(field.name, "")) for field in own_first)


def _setting(field: Field[Any], hint: Any, text: str) -> Setting:
    is_annotated = get_origin(hint) is Annotated
    default = field.default_factory() if field.default_factory is not MISSING else field.default
    return Setting(
        name=field.name,
        kind=get_args(hint)[0] if is_annotated else hint,
        metadata=tuple(hint.__metadata__) if is_annotated else (),
        help=text,
        is_required=default is MISSING,
        is_positional=not field.kw_only,
        default=None if default is MISSING else default,
    )


def check_ranges(settings: Any) -> None:
    """Checks every number of a dataclass against its declared range; call it in `__post_init__`.

    Raises:
        InputError: a value is outside; the text names the setting, the range and the value.
    """
    kind: Any = type(settings)
    for setting in settings_of(kind):
        limits, value = setting.find(Range), getattr(settings, setting.name)
        numbers = value if isinstance(value, tuple) else () if value is None else (value,)
        if limits is not None and not all(map(limits.contains, numbers)):
            raise InputError(f"{setting.option}: expected {limits}, got {value}")


def from_values(kind: type[Settings], values: Mapping[str, Any], source: str = "") -> Settings:
    """Settings from plain values by field name, as TOML, JSON and keyword arguments give them.

    source: the file that the values come from, for messages.

    Raises:
        InputError: a name is unknown, a required one is missing, or a value has another type or is outside its range.
    """
    from pydantic import TypeAdapter, ValidationError

    check_names(kind, values, source)
    declared: tuple[Setting, ...] = settings_of(kind)  # type: ignore[arg-type]  # mypy: a type is hashable
    plain = {setting.name: _to_plain(setting, values[setting.name]) for setting in declared if setting.name in values}
    try:
        # As JSON, text becomes a path or a choice, but never a number or a truth value.
        return TypeAdapter(kind).validate_json(json.dumps(plain, default=str), strict=True)
    except ValidationError as error:
        raise InputError("; ".join(_complaint(declared, entry, source) for entry in error.errors())) from error


def to_values(settings: Any) -> dict[str, Any]:
    """Settings as plain values by field name; `from_values` is the inverse."""
    from pydantic import TypeAdapter

    values: dict[str, Any] = TypeAdapter(type(settings)).dump_python(settings, mode="json")
    return values


def with_changes(settings: Settings, changes: Mapping[str, Any], source: str = "") -> Settings:
    """The settings with other values by name; those of nested settings are mappings.

    Raises:
        InputError: as `from_values`.
    """
    values = to_values(settings)
    for name, value in changes.items():
        is_nested = isinstance(value, Mapping) and isinstance(values.get(name), Mapping)
        if is_nested:
            check_names(type(getattr(settings, name)), value, f"{_prefix(source)}{name}")
        values[name] = {**values[name], **value} if is_nested else value
    return from_values(type(settings), values, source)


def check_names(kind: Any, values: Mapping[str, Any], source: str = "") -> None:
    """Checks that every name is a setting's.

    Raises:
        InputError: one isn't.
    """
    known = [setting.name for setting in settings_of(kind)]
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise InputError(f"{_prefix(source)}unknown settings {', '.join(unknown)}; known are {', '.join(known)}")


def read_toml(kind: Any, path: Path) -> dict[str, Any]:
    """The values of a TOML file by field name; relative paths count from the file's folder.

    Settings that parse their text (`Parsed`) may have an address, such as s3://bucket/folder, in place of a path.

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
        if value is None or Path not in setting.kinds:
            continue
        if not isinstance(value, str):
            raise InputError(f"{path}: {setting.name}: expected the name of a file, got {value!r}")
        if any(mark < " " for mark in value):  # "C:\table\new.csv" has a tab
            raise InputError(f"{path}: {setting.name}: expected the name of a file, got {value!r}; {_BACKSLASH}")
        # A setting may take a fixed word or an address in place of a file.
        is_address = "://" in value and setting.find(Parsed) is not None
        if not is_address and not any(value in get_args(kind) for kind in setting.kinds if get_origin(kind) is Literal):
            values[setting.name] = str(path.parent / value)
    return values


def _to_plain(setting: Setting, value: Any) -> Any:
    """The value as JSON has it; one value stands for a tuple of one."""
    is_tuple = any(get_origin(kind) is tuple for kind in setting.kinds)
    many = [value] if is_tuple and isinstance(value, str | Path) and not setting.find(Listed) else value
    parsed = setting.find(Parsed)
    return many if parsed is None else parsed.to_text(many)


_EXPECTED = {
    "string_type": "text",
    "path_type": "the name of a file",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "dict_type": "a table of names and values, such as {north = 12.5}",
}
"""What pydantic's errors expect, in the words of people who write settings."""


def _complaint(declared: tuple[Setting, ...], error: Any, source: str) -> str:
    name = str(error["loc"][0])
    if error["type"].startswith("missing"):
        return f"{_prefix(source)}{name} is missing: {next(one.help for one in declared if one.name == name)}"
    if error["type"] == "value_error":
        return f"{_prefix(source)}{name}: {error['msg'].removeprefix('Value error, ')}"
    expected = _EXPECTED.get(error["type"], error["msg"].removeprefix("Input should be "))
    return f"{_prefix(source)}{name}: expected {expected}, got {error['input']!r}"


def _prefix(source: str) -> str:
    return f"{source}: " if source else ""


_BACKSLASH = "put the text into single quotes, or write / in place of \\"


def _toml_advice(text: str, message: str) -> str:
    at = re.search(r"line (\d+)", message)
    has_backslash = at is not None and "\\" in text.split("\n")[int(at[1]) - 1]
    return _BACKSLASH if has_backslash else "put texts into double quotes"
