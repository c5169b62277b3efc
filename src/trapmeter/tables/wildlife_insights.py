"""Tables of a Wildlife Insights download, with the columns that trapmeter's own tables have.

A download has deployments.csv (deployment_id, placename, latitude, longitude, start_date, end_date) and images.csv
(deployment_id, image_id, filename, location, timestamp, genus, species, common_name, ...), with a row for each animal that
somebody identified in an image. Its times are those of the cameras' clocks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path, PurePosixPath

from trapmeter.errors import InputError
from trapmeter.tables.csvfile import Row, read_columns, read_rows

DEPLOYMENTS_CSV = "deployments.csv"
_DEPLOYMENTS = ("deployment_id", "placename", "start_date", "end_date")
_IMAGES = ("deployment_id", "image_id", "timestamp")
_IMAGE_COLUMNS = ("media_id", "site_id", "start", "species", "species_score")
_NO_VALUE = frozenset({"", "NA", "NaN", "None", "null"})
MACHINE = "Computer Vision"
"""Who identified an image if no person did."""


def is_deployments(columns: Iterable[str]) -> bool:
    """Whether a table with these columns is the deployments.csv of a download."""
    return set(_DEPLOYMENTS) <= set(columns)


def is_images(columns: Iterable[str]) -> bool:
    """Whether a table with these columns is the images.csv of a download."""
    return set(_IMAGES) <= set(columns)


def read_survey_columns(path: str | Path) -> tuple[str, ...]:
    """The columns of the rows that `read_survey_rows` reads."""
    columns = read_columns(path)
    if is_images(columns):
        return _IMAGE_COLUMNS
    if is_deployments(columns):
        return (*columns, *(name for name in ("site_id", "start", "end", "deploymentID") if name not in columns))
    return columns


def read_survey_rows(path: str | Path, *, required: Sequence[str], one_per_image: bool = False) -> Iterator[Row]:
    """Reads the rows of a CSV file as `csvfile.read_rows` does; those of a download under trapmeter's names of columns.

    Rows of images have media_id, site_id, start, species and species_score. media_id is the name of the file, after that of
    its deployment if several images have this name. The site is the placename, else the deployment_id.

    one_per_image: only the first row of each image.

    Raises:
        InputError: as `read_rows`, or an image has no deployment or no name; names file and line.
    """
    path = Path(path)
    columns = read_columns(path)
    if is_images(columns):
        yield from _image_rows(path, one_per_image=one_per_image)
    elif is_deployments(columns):
        for row in read_rows(path, required=_DEPLOYMENTS):
            known = {"start": _time(row, "start_date"), "end": _time(row, "end_date")}
            site = {"site_id": _site_id(row), "deploymentID": row.text("deployment_id")}
            yield replace(row, cells={**row.cells, **known, **site})
    else:
        yield from read_rows(path, required=required)


def _image_rows(path: Path, *, one_per_image: bool) -> Iterator[Row]:
    rows = list(read_rows(path, required=_IMAGES))
    # A row for each animal of an image, so names count once an image.
    names = {row.text("image_id"): (row.text("deployment_id"), _file_name(row)) for row in rows}
    n_of_name = Counter(name for _, name in names.values())
    sites = _sites_beside(path)
    done: set[str] = set()
    for row in rows:
        image_id = row.text("image_id")
        if one_per_image and image_id in done:
            continue
        done.add(image_id)
        deployment_id, name = names[image_id]
        if sites and deployment_id not in sites:
            raise row.error("deployment_id", f"a deployment of {path.with_name(DEPLOYMENTS_CSV)}")
        cells = {
            "media_id": name if n_of_name[name] == 1 else f"{deployment_id}/{name}",
            "site_id": sites.get(deployment_id, deployment_id),
            "start": _time(row, "timestamp"),
            "species": _species(row),
            "species_score": _score(row),
        }
        yield replace(row, cells=cells, decimal=".")


def _sites_beside(path: Path) -> Mapping[str, str]:
    """The site of each deployment, from the deployments.csv in the same folder; {} without it."""
    table = path.with_name(DEPLOYMENTS_CSV)
    if not table.is_file() or not is_deployments(read_columns(table)):
        return {}
    return {row.text("deployment_id"): _site_id(row) for row in read_rows(table, required=_DEPLOYMENTS)}


def _site_id(row: Row) -> str:
    return _value(row, "placename") or row.text("deployment_id")


def _file_name(row: Row) -> str:
    """The name of an image's file: its own, else the end of its address."""
    name = _value(row, "filename") or PurePosixPath(_value(row, "location")).name
    if not name:
        raise InputError(f"{row.where}: expected the name of a file in filename or location; fill one of them in")
    return name


def _time(row: Row, column: str) -> str:
    """A cell with a date and time, or nothing, so that a message names the file's own column."""
    text = _value(row, column)
    try:
        datetime.fromisoformat(text or "1970-01-01")
    except ValueError:
        raise row.error(column, "a date and time such as 2024-05-01 06:00:00, or nothing") from None
    return text


def _species(row: Row) -> str:
    """The scientific name at the lowest rank that is known, from family down, else the common name; "" for blanks."""
    if row.optional_text("is_blank").casefold() in ("1", "true"):
        return ""
    genus, species = _value(row, "genus"), _value(row, "species")
    taxon = f"{genus} {species}".strip() if genus else _value(row, "family")
    return taxon or _value(row, "common_name")


def _score(row: Row) -> str:
    """The confidence (0..1) of a species that no person identified; downloads state it as a share or in per cent."""
    if row.optional_text("identified_by") != MACHINE or not _value(row, "cv_confidence"):
        return ""
    confidence = row.non_negative_number("cv_confidence", "the confidence")
    return f"{confidence if confidence <= 1 else confidence / 100:g}"


def _value(row: Row, column: str) -> str:
    text = row.optional_text(column)
    return "" if text in _NO_VALUE else text
