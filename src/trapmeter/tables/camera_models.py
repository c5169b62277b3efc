"""Fields of view of camera-trap models, found by the make and model in a photo's EXIF.

`embedded/camera_models.csv` has one row per model: make and model as the camera writes them (a model that ends in * stands
for all that begin like it), name, hfov_deg (horizontal field of view), sd_deg, aspect, basis, exif, source (an address) and
note. A figure is in the table only if a source states it. What sets off the camera, its motion sensor, has another angle,
which is not in the table.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import cache, lru_cache
from pathlib import Path

from trapmeter.tables.csvfile import Row, read_rows

TABLE = Path(__file__).parent / "embedded" / "camera_models.csv"
MAX_ASPECT_RATIO = 1.12
"""Pictures of a model may be this much wider or flatter than those that its figure is for. Strips with date and
temperature, which programs cut off, make 4:3 into up to 1.43; 16:9 is another crop of the sensor."""


class Basis(StrEnum):
    """What kind of figure the source gives."""

    HORIZONTAL = "horizontal"
    UNSPECIFIED = "unspecified"
    CONVERTED = "converted"


@dataclass(frozen=True, slots=True)
class CameraModel:
    """A camera model and its lens.

    make, model: as in EXIF; a model that ends in * stands for all that begin like it. hfov_deg: horizontal field of view,
    degrees. sd_deg: how far it may be off, as a standard deviation. aspect: width over height of the pictures that the
    figure is for, None if the source doesn't say. is_seen: make and model were seen in published data; if not, both are
    assumed from the name of the model. source: an address.
    """

    make: str
    model: str
    name: str
    hfov_deg: float
    sd_deg: float
    aspect: float | None
    basis: Basis
    is_seen: bool
    source: str
    note: str

    def fits(self, aspect: float | None) -> bool:
        """Whether the figure is valid for pictures with this width over height: upright, and not another crop."""
        if aspect is None or aspect < 1:
            return False
        return self.aspect is None or max(aspect / self.aspect, self.aspect / aspect) <= MAX_ASPECT_RATIO


@lru_cache(maxsize=1024)
def find_camera_model(make: str, model: str) -> CameraModel | None:
    """The camera model by make and model as in EXIF, None if the table lacks it.

    Only letters and digits count, in any case. If several rows fit, the one with the longest model is chosen.

    Example:
        >>> find_camera_model("RECONYX", "HYPERFIRE 2 COVERT").hfov_deg
        38.2
    """
    fitting = [known for known in camera_models() if _is_of(known, _letters(make), _letters(model))]
    return max(fitting, key=lambda known: len(_letters(known.model)), default=None)


@cache
def camera_models() -> tuple[CameraModel, ...]:
    """All models of the table, in its order."""
    required = ("make", "model", "name", "hfov_deg", "sd_deg", "basis", "exif", "source")
    return tuple(_camera_model(row) for row in read_rows(TABLE, required=required))


def _camera_model(row: Row) -> CameraModel:
    return CameraModel(
        row.text("make"),
        row.text("model"),
        row.text("name"),
        row.number("hfov_deg"),
        row.number("sd_deg"),
        row.optional_number("aspect"),
        Basis(row.text("basis")),
        row.text("exif") == "seen",
        row.text("source"),
        row.optional_text("note"),
    )


def _is_of(known: CameraModel, make: str, model: str) -> bool:
    maker, pattern = _letters(known.make), _letters(known.model)
    # Some cameras write the maker in front of the model, with or without a make of its own.
    if not make.startswith(maker) and not model.startswith(maker):
        return False
    model = model.removeprefix(maker)
    return model.startswith(pattern) if known.model.endswith("*") else model == pattern


def _letters(text: str) -> str:
    """Letters and digits only: without spaces, hyphens and the NUL characters that fill up EXIF's texts."""
    return "".join(filter(str.isalnum, text.casefold()))
