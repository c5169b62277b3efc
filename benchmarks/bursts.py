"""Error of the embedded box model for bursts of photos: each photo on its own, or the burst as the track of one animal.

    python benchmarks/bursts.py

The sites are simulated, with a seed that no model was trained on. Of each video, three seconds in a row are a burst, with
12 s to the next one.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from dataclasses import replace

import numpy as np

from trapmeter.boxmodel.model import BoxModel
from trapmeter.boxmodel.simulated import simulate_site
from trapmeter.boxmodel.training_data import LabelledObservation
from trapmeter.facts import NO_FACTS

SEED = 771_177
PERIOD_S, N_PHOTOS = 15, 3


def bursts(rows: list[LabelledObservation], *, as_track: bool) -> list[LabelledObservation]:
    """The rows of the bursts. Each photo is a medium at second 0; as_track: each burst is a medium with several."""
    found = []
    for row in rows:
        second = row.observation.time_s
        number, offset = divmod(int(second), PERIOD_S)
        if offset >= N_PHOTOS or row.observation.box is None:
            continue
        name = f"{row.observation.media_id}/{number}"
        place = {"media_id": name, "time_s": float(offset)}
        if not as_track:
            place = {"media_id": f"{name}-{offset}", "time_s": 0.0}
        found.append(replace(row, observation=replace(row.observation, **place)))
    return found


def main() -> None:
    """Prints mean absolute errors, in metres, with their standard error over sites."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sites", type=int, default=150)
    n_sites = parser.parse_args().sites
    model = BoxModel.load(None)
    errors: dict[tuple[str, bool], list[float]] = defaultdict(list)
    covered: dict[tuple[str, bool], list[bool]] = defaultdict(list)
    n_rows = 0
    for number in range(n_sites):
        rows = list(simulate_site(f"held-out-{number}", np.random.default_rng([SEED, number])))
        # Sites with photographs alone have no seconds in a row.
        if max((row.observation.time_s for row in rows), default=0.0) == 0:
            continue
        n_rows += len(bursts(rows, as_track=True))
        for told in ("nothing", "lens, mounting and size"):
            for as_track in (False, True):
                chosen = bursts(rows, as_track=as_track)
                if not chosen:
                    continue
                facts = [row.facts if told != "nothing" else NO_FACTS for row in chosen]
                distances = model.estimate([row.observation for row in chosen], facts)
                truth = [row.distance_m for row in chosen]
                site = [abs(found.distance_m - true) for found, true in zip(distances, truth, strict=True)]
                errors[told, as_track].append(float(np.mean(site)))
                covered[told, as_track] += [
                    found.low_m <= true <= found.high_m for found, true in zip(distances, truth, strict=True)
                ]
    for told in ("nothing", "lens, mounting and size"):
        alone, track = (np.array(errors[told, as_track]) for as_track in (False, True))
        gain = alone - track
        print(
            f"told {told}: {len(alone)} sites, {n_rows:,} photos; alone {alone.mean():.3f} m, as a track "
            f"{track.mean():.3f} m, gain {gain.mean():+.3f} m (se {gain.std(ddof=1) / len(gain) ** 0.5:.3f}); 90 % "
            f"intervals hold {np.mean(covered[told, False]):.0%} and {np.mean(covered[told, True]):.0%}"
        )


if __name__ == "__main__":
    main()
