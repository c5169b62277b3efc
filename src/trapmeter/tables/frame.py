"""Estimates as a pandas table, for notebooks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from trapmeter.errors import MissingExtraError
from trapmeter.records import Estimate
from trapmeter.tables.boxcells import COORDINATES
from trapmeter.tables.distances import COLUMNS, DRAWS, NIGHT, SPECIES

if TYPE_CHECKING:
    import pandas as pd


def to_frame(estimates: Iterable[Estimate]) -> pd.DataFrame:
    """A row for each estimate, with the columns of distances.csv; numbers that are not known are NaN, texts empty.

    Distances in metres and angles in degrees are not rounded here as they are in the file.

    Raises:
        MissingExtraError: pandas is not installed.
    """
    try:
        import pandas as pd
    except ImportError as error:
        raise MissingExtraError("pandas", "notebook") from error
    return pd.DataFrame([_cells(estimate) for estimate in estimates], columns=[*COLUMNS, *DRAWS, NIGHT, SPECIES])


def _cells(estimate: Estimate) -> dict[str, object]:
    observation, box, distance = estimate.observation, estimate.observation.box, estimate.distance
    cells: dict[str, object] = {
        "media_id": observation.media_id,
        "time_s": observation.time_s,
        "animal_id": observation.animal_id,
        "angle_deg": estimate.angle_deg,
        "site_id": observation.site_id,
        "status": estimate.status.value,
        "reason": estimate.reason,
        "model_id": estimate.model_id,
        NIGHT: observation.is_night,
        SPECIES: observation.species,
    }
    if box is not None:
        cells |= dict(zip(COORDINATES, box.xyxy, strict=True)) | {"score": box.score}
    if distance is not None:
        cells |= {"distance_m": distance.distance_m, "low_m": distance.low_m, "high_m": distance.high_m}
        cells |= dict(zip(DRAWS, distance.draws_m, strict=False))
    return cells
