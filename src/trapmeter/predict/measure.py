"""From what was seen in all media to the rows of distances.csv."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence

from trapmeter.calibration.facts import Facts
from trapmeter.geometry import bearing_deg
from trapmeter.predict.distances import Distances, Sight
from trapmeter.predict.facts import WithFacts
from trapmeter.predict.seen import MediumSeen, SecondSeen
from trapmeter.records import Estimate, Observation, Status, order_of_rows

MEDIA_AT_ONCE = 1000


def measure(
    seen: Sequence[MediumSeen],
    site_ids: Mapping[str, str],
    model: Distances,
    facts: Facts | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> list[Estimate]:
    """Estimates for every second and animal, in the order of media_id, time and animal_id.

    site_ids: the site of each media_id; media without one share no context. facts: what is known of cameras and animals
    by media_id; they are reckoned in, and each row tells so beside its model. progress: called with the number of media
    that were measured.
    """
    facts = facts or Facts()
    model = WithFacts(model, facts)
    by_site: dict[str, list[MediumSeen]] = defaultdict(list)
    for medium in seen:
        by_site[site_ids.get(medium.media_id, "")].append(medium)
    estimates: list[Estimate] = []
    for site_id, media in _groups(by_site):
        rows = [
            row
            for medium in media
            for second in medium.seconds
            for row in _rows(medium, second, site_id, facts.species.get(medium.media_id, ""))
        ]
        # Seconds without an animal are no sights of one: the model never hears of them.
        sights = [sight for sight, second in rows if second.status is Status.MEASURED]
        distances = iter(model.measure(sights) if sights else [])
        for sight, second in rows:
            observation = sight.observation
            if second.status is not Status.MEASURED:
                estimates.append(Estimate(observation, second.status, reason=second.reason))
                continue
            box, distance = observation.box, next(distances)
            estimates.append(
                Estimate(
                    observation,
                    Status.MEASURED,
                    distance,
                    None if box is None else bearing_deg((box.x1 + box.x2) / 2, facts.hfov_deg(observation.media_id)),
                    "; ".join(filter(None, (second.reason, distance.doubt))),
                    f"{model.identity.model_id}{facts.note(observation.media_id)}",
                )
            )
        progress(len(media))
    return sorted(estimates, key=order_of_rows)


def _rows(medium: MediumSeen, second: SecondSeen, site_id: str, species: str) -> Iterator[tuple[Sight, SecondSeen]]:
    """A row for each animal of a second, or one for a second without any."""
    answers = second.answers or ((),) * len(second.boxes)
    animals = zip(second.boxes, second.animal_ids, answers, strict=True) if second.boxes else [(None, 0, ())]
    for box, animal_id, answer in animals:
        seen = Observation(medium.media_id, second.time_s, box, animal_id, site_id, medium.is_night, species)
        yield Sight(seen, answer), second


def _groups(by_site: Mapping[str, list[MediumSeen]]) -> Iterator[tuple[str, list[MediumSeen]]]:
    """The media of each site; those without a site share no context, so they come in pieces that fit into memory."""
    for site_id, media in by_site.items():
        step = len(media) if site_id else MEDIA_AT_ONCE
        for start in range(0, len(media), step):
            yield site_id, media[start : start + step]
