"""Distances of animals from camera-trap videos and photos.

The names of `__all__` are the public surface; docs/reference/python.md tells of each. They are loaded when they are first
asked for, so that `import trapmeter` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from trapmeter._version import __version__ as __version__

if TYPE_CHECKING:
    from trapmeter.boxmodel.model import BoxModel as BoxModel
    from trapmeter.density.run import DensityRun as DensityRun
    from trapmeter.density.run import run_density as run_density
    from trapmeter.density.settings import DensitySettings as DensitySettings
    from trapmeter.density.settings import density_settings as density_settings
    from trapmeter.detect.megadetector_lite import MegadetectorLite as MegadetectorLite
    from trapmeter.errors import InputError as InputError
    from trapmeter.errors import MediaError as MediaError
    from trapmeter.errors import MissingExtraError as MissingExtraError
    from trapmeter.errors import ModelError as ModelError
    from trapmeter.errors import RunError as RunError
    from trapmeter.errors import TrapmeterError as TrapmeterError
    from trapmeter.media.discovery import find_media as find_media
    from trapmeter.media.opening import open_medium as open_medium
    from trapmeter.prediction.run import PredictRun as PredictRun
    from trapmeter.report.predict_report import predict as predict
    from trapmeter.prediction.settings import PredictSettings as PredictSettings
    from trapmeter.records import Box as Box
    from trapmeter.records import Distance as Distance
    from trapmeter.records import Estimate as Estimate
    from trapmeter.records import Frame as Frame
    from trapmeter.records import Medium as Medium
    from trapmeter.records import Observation as Observation
    from trapmeter.records import Status as Status
    from trapmeter.storage.address import parse_path as parse_path
    from trapmeter.tables.boxes import read_boxes as read_boxes
    from trapmeter.tables.distances import read_distances as read_distances
    from trapmeter.tables.distances import to_frame as to_frame
    from trapmeter.tables.distances import write_distances as write_distances
    from trapmeter.tables.site_rules import parse_site_rule as parse_site_rule

_HOMES = {
    "Box": "records:Box",
    "BoxModel": "boxmodel.model:BoxModel",
    "DensityRun": "density.run:DensityRun",
    "DensitySettings": "density.settings:DensitySettings",
    "Distance": "records:Distance",
    "Estimate": "records:Estimate",
    "Frame": "records:Frame",
    "InputError": "errors:InputError",
    "MediaError": "errors:MediaError",
    "Medium": "records:Medium",
    "MegadetectorLite": "detect.megadetector_lite:MegadetectorLite",
    "MissingExtraError": "errors:MissingExtraError",
    "ModelError": "errors:ModelError",
    "Observation": "records:Observation",
    "PredictSettings": "prediction.settings:PredictSettings",
    "PredictRun": "prediction.run:PredictRun",
    "RunError": "errors:RunError",
    "Status": "records:Status",
    "TrapmeterError": "errors:TrapmeterError",
    "density_settings": "density.settings:density_settings",
    "run_density": "density.run:run_density",
    "find_media": "media.discovery:find_media",
    "parse_path": "storage.address:parse_path",
    "predict": "report.predict_report:predict",
    "open_medium": "media.opening:open_medium",
    "parse_site_rule": "tables.site_rules:parse_site_rule",
    "read_boxes": "tables.boxes:read_boxes",
    "read_distances": "tables.distances:read_distances",
    "to_frame": "tables.distances:to_frame",
    "write_distances": "tables.distances:write_distances",
}
"""The module and the name in it of each public name; the imports above say the same to type checkers."""

__all__ = list(_HOMES)  # noqa: PLE0604


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, written = _HOMES[name].partition(":")
    globals()[name] = getattr(import_module(f"{__name__}.{module}"), written)
    return globals()[name]


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
