"""Estimates for tests."""

from __future__ import annotations

from trapmeter.records import Box, Distance, Estimate, Observation, Status


def make_estimate(
    distance_m: float = 5.0,
    *,
    media_id: str = "v.mp4",
    time_s: float = 0.0,
    box: Box | None = None,
    animal_id: int = 1,
    site_id: str = "",
    low_m: float | None = None,
    high_m: float | None = None,
    angle_deg: float | None = None,
    model_id: str = "",
) -> Estimate:
    """A measured row; without ends of its own the interval is a metre below to two metres above the distance."""
    distance = Distance(
        distance_m,
        max(distance_m - 1, 0.0) if low_m is None else low_m,
        distance_m + 2 if high_m is None else high_m,
    )
    observation = Observation(media_id, time_s, box, animal_id, site_id)
    return Estimate(observation, Status.MEASURED, distance, angle_deg, model_id=model_id)
