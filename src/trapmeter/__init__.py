"""Measures how far animals stand from a camera trap, in videos and photos.

The names of `__all__` are public; docs/reference/python.md explains each. They load when they are first used, so
`import trapmeter` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from trapmeter._version import __version__ as __version__

if TYPE_CHECKING:
    from trapmeter.boxmodel.model import BoxModel as BoxModel
    from trapmeter.calibration.run import Calibration as Calibration
    from trapmeter.calibration.run import calibrate as calibrate
    from trapmeter.calibration.settings import CalibrateSettings as CalibrateSettings
    from trapmeter.density.run import DensityRun as DensityRun
    from trapmeter.density.run import run_density as run_density
    from trapmeter.density.settings import DensitySettings as DensitySettings
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
    from trapmeter.prediction.settings import PredictSettings as PredictSettings
    from trapmeter.records import Box as Box
    from trapmeter.records import Distance as Distance
    from trapmeter.records import Estimate as Estimate
    from trapmeter.records import Frame as Frame
    from trapmeter.records import Medium as Medium
    from trapmeter.records import Observation as Observation
    from trapmeter.records import Status as Status
    from trapmeter.report.predict_report import ReportedRun as ReportedRun
    from trapmeter.report.predict_report import predict as predict
    from trapmeter.storage.address import parse_path as parse_path
    from trapmeter.tables.boxes import read_boxes as read_boxes
    from trapmeter.tables.distances import read_distances as read_distances
    from trapmeter.tables.distances import to_frame as to_frame
    from trapmeter.tables.distances import write_distances as write_distances
    from trapmeter.tables.site_rules import parse_site_rule as parse_site_rule

_HOMES = {
    "Box": "records",
    "BoxModel": "boxmodel.model",
    "CalibrateSettings": "calibration.settings",
    "Calibration": "calibration.run",
    "DensityRun": "density.run",
    "DensitySettings": "density.settings",
    "Distance": "records",
    "Estimate": "records",
    "Frame": "records",
    "InputError": "errors",
    "MediaError": "errors",
    "Medium": "records",
    "MegadetectorLite": "detect.megadetector_lite",
    "MissingExtraError": "errors",
    "ModelError": "errors",
    "Observation": "records",
    "PredictRun": "prediction.run",
    "PredictSettings": "prediction.settings",
    "ReportedRun": "report.predict_report",
    "RunError": "errors",
    "Status": "records",
    "TrapmeterError": "errors",
    "calibrate": "calibration.run",
    "find_media": "media.discovery",
    "open_medium": "media.opening",
    "parse_path": "storage.address",
    "parse_site_rule": "tables.site_rules",
    "predict": "report.predict_report",
    "read_boxes": "tables.boxes",
    "read_distances": "tables.distances",
    "run_density": "density.run",
    "to_frame": "tables.distances",
    "write_distances": "tables.distances",
}
"""The module of each public name; the imports above say the same to type checkers."""

__all__ = list(_HOMES)  # noqa: PLE0604


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    return globals()[name]


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
