"""From what was seen in all media to the rows of distances.csv."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol

from trapmeter.geometry import bearing_deg
from trapmeter.predict.seen import MediumSeen
from trapmeter.records import Distance, Estimate, ModelIdentity, Observation, Status

MEDIA_AT_ONCE = 1000


class DistanceModel(Protocol):
    """Tells distances from observations. The box model is one; a test's fake is another."""

    @property
    def identity(self) -> ModelIdentity:
        """The name and checksum that every measured row carries."""
        ...

    def measure(self, observations: Sequence[Observation]) -> list[Distance]:
        """A distance for each observation; all of a site are given at once, since they are each other's context."""
        ...


def measure(
    seen: Sequence[MediumSeen],
    site_ids: Mapping[str, str],
    model: DistanceModel,
    hfov_deg: float,
    progress: Callable[[int], None] = lambda _: None,
) -> list[Estimate]:
    """Estimates for every second and animal, in the order of media_id, time and animal_id.

    site_ids: the site of each media_id; media without one share no context. hfov_deg: the cameras' horizontal field of view,
    for the bearing of each animal. progress: called with the number of media that were measured.
    """
    by_site: dict[str, list[MediumSeen]] = defaultdict(list)
    for medium in seen:
        by_site[site_ids.get(medium.media_id, "")].append(medium)
    estimates: list[Estimate] = []
    for site_id, media in _groups(by_site):
        rows = [
            (Observation(medium.media_id, second.time_s, box, animal_id, site_id), second)
            for medium in media
            for second in medium.seconds
            for box, animal_id in (zip(second.boxes, second.animal_ids, strict=True) if second.boxes else [(None, 0)])
        ]
        # Seconds without an animal are no observations of one: the model never hears of them.
        animals = [observation for observation, _ in rows if observation.box is not None]
        distances = iter(model.measure(animals) if animals else [])
        for observation, second in rows:
            if observation.box is None:
                estimates.append(Estimate(observation, second.status, reason=second.reason))
            else:
                x = (observation.box.x1 + observation.box.x2) / 2
                estimates.append(
                    Estimate(
                        observation,
                        Status.MEASURED,
                        next(distances),
                        bearing_deg(x, hfov_deg),
                        second.reason,
                        model.identity.model_id,
                    )
                )
        progress(len(media))
    return sorted(estimates, key=_order)


def _groups(by_site: Mapping[str, list[MediumSeen]]) -> Iterator[tuple[str, list[MediumSeen]]]:
    """The media of each site; those without a site share no context, so they come in pieces that fit into memory."""
    for site_id, media in by_site.items():
        step = len(media) if site_id else MEDIA_AT_ONCE
        for start in range(0, len(media), step):
            yield site_id, media[start : start + step]


def _order(estimate: Estimate) -> tuple[str, float, int]:
    observation = estimate.observation
    return observation.media_id, observation.time_s, observation.animal_id
