"""Compares a network that takes facts with the box model, and with a blend of both, at rendered sites that neither has seen.

    PYTHONPATH=tools python benchmarks/anywhere_network.py BUNDLE --survey simtrap --split test
    PYTHONPATH=tools python benchmarks/anywhere_network.py BUNDLE --survey export --fit blend.json

BUNDLE is the network's folder. A survey is a folder of simtrap or of an export of its renderer. Both models get the
detector's best box of each labelled second, right or wrong or none, and the same facts (see tools/simtrap_tables.py). The
blend's weights are fitted to other sites of the survey, unless --blend gives a blend; --fit writes one that is fitted to all
of them.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from simtrap_tables import facts_of_site, nearest_animals, read, shoulder_of
from trapmeter.boxmodel.knowledge import FACTS_OF, Knowledge, show
from trapmeter.boxmodel.model import BoxModel
from trapmeter.facts import Facts
from trapmeter.frames.windows import decoded_windows
from trapmeter.media.reader import MissingFrame
from trapmeter.models.bundle import read_bundle
from trapmeter.models.network_input import as_photo, fact_inputs, network_input
from trapmeter.models.runtimes.choice import Runtime
from trapmeter.models.runtimes.network import Network, open_network
from trapmeter.prediction.blend import HeldOutPair, blend_log1p, fit_blend, predict_held_out, read_blend, write_blend
from trapmeter.records import Box, Medium, MediumKind, Observation, VideoSecond
from trapmeter.tables.drivendata import best_box_rows

BATCH = 32


def main() -> None:
    """Prints the error of each model, by what is known about camera and animal."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--survey", type=Path, action="append", required=True)
    parser.add_argument("--split", default="", help="train or test; leave it out for a renderer's export")
    parser.add_argument("--sites", nargs="*", help="these sites alone")
    parser.add_argument("--photos", action="store_true", help="show the network single photographs")
    parser.add_argument("--blend", type=Path, help="use this blend")
    parser.add_argument("--fit", type=Path, help="write a blend that is fitted to these surveys")
    arguments = parser.parse_args()
    network = open_network(read_bundle(arguments.bundle), Runtime.ONNXRUNTIME)
    model = BoxModel.load()
    pairs: list[HeldOutPair] = []
    for survey in arguments.survey:
        seconds = labelled_seconds(survey, arguments.split, arguments.sites)
        pairs += pairs_of(seconds, network, model, photos=arguments.photos)
    report(pairs, arguments.blend)
    if arguments.fit:
        write_blend(arguments.fit, fit_blend(pairs, model.identity.sha256, {network.bundle.identity.sha256}))


@dataclass(frozen=True, slots=True)
class LabelledSecond:
    """A labelled second of a rendered survey, with all facts that a field team would state."""

    video: Path
    observation: Observation
    facts: Facts
    truth_m: float


def labelled_seconds(survey: Path, split: str, sites: Sequence[str] | None) -> list[LabelledSecond]:
    """The labelled seconds of a survey, with the labels' distances."""
    prefix = f"{split}_" if split else ""
    boxes = best_box_rows(survey / f"{prefix}metadata.csv")
    nearest = nearest_animals(survey / "truth.csv")
    cameras = {row["site_id"]: facts_of_site(row) for row in read(survey / "sites.csv")}
    seconds = []
    for label in read(survey / f"{prefix}labels.csv"):
        second = VideoSecond(label["video_id"], float(label["time"]))
        row = boxes[second]
        if sites and row.site_id not in sites:
            continue
        camera, shoulder = cameras[row.site_id], shoulder_of(nearest.get((label["video_id"], label["time"])))
        facts = Facts(
            hfov_deg=float(camera["hfov_deg"]),
            aspect_ratio=float(camera["aspect_ratio"]),
            shoulder_m=float(shoulder) if shoulder else None,
        )
        observation = Observation(second.video_id, second.time_s, row.box, 1, row.site_id)
        video = survey / f"{prefix}videos" / second.video_id
        seconds.append(LabelledSecond(video, observation, facts, float(label["distance"])))
    return seconds


def pairs_of(
    seconds: Sequence[LabelledSecond], network: Network, model: BoxModel, *, photos: bool
) -> list[HeldOutPair]:
    """Both models' predictions for each second, in each state of knowledge."""
    by_network = network_predictions(seconds, network, photos=photos)
    pairs = []
    for known, predicted in by_network.items():
        facts = [show(second.facts, FACTS_OF[known]) for second in seconds]
        by_boxes = model.estimate([second.observation for second in seconds], facts)
        for second, network_m, by_box in zip(seconds, predicted.tolist(), by_boxes, strict=True):
            observation = second.observation
            pair = (observation.site_id, observation.box, max(network_m, 0.0), by_box.distance_m, second.truth_m, known)
            pairs.append(HeldOutPair(*pair))
    return pairs


def network_predictions(
    seconds: Sequence[LabelledSecond], network: Network, *, photos: bool
) -> dict[Knowledge, np.ndarray]:
    """The network's distances in metres, in each state of knowledge (n); each window is made once."""
    spec = network.bundle.spec
    of_video: dict[Path, list[int]] = defaultdict(list)
    for number, second in enumerate(seconds):
        of_video[second.video].append(number)
    metres = {known: np.zeros(len(seconds)) for known in Knowledge}
    inputs: list[tuple[int, np.ndarray]] = []
    for count, (video, numbers) in enumerate(of_video.items(), start=1):
        numbers.sort(key=lambda number: seconds[number].observation.time_s)
        medium = Medium(video.name, video, MediumKind.VIDEO)
        times = [seconds[number].observation.time_s for number in numbers]
        for number, window in zip(numbers, decoded_windows(medium, times, spec), strict=True):
            if isinstance(window, MissingFrame):
                raise SystemExit(f"{video}: {window.reason}")
            shown = as_photo(window, spec) if photos else window
            inputs.append((number, network_input(shown, seconds[number].observation.box, spec)))
        if len(inputs) >= BATCH or count == len(of_video):
            run(inputs, seconds, network, metres)
            inputs.clear()
    return metres


def run(
    inputs: Sequence[tuple[int, np.ndarray]],
    seconds: Sequence[LabelledSecond],
    network: Network,
    metres: Mapping[Knowledge, np.ndarray],
) -> None:
    """Runs the network on these windows with each state of knowledge."""
    numbers, windows = [number for number, _ in inputs], np.stack([window for _, window in inputs])
    boxes: list[Box | None] = [seconds[number].observation.box for number in numbers]
    for known, of_all in metres.items():
        facts = [show(seconds[number].facts, FACTS_OF[known]) for number in numbers]
        of_all[numbers] = network.metres(windows, fact_inputs(boxes, network.bundle.spec, facts))


def report(pairs: Sequence[HeldOutPair], blend: Path | None) -> None:
    """Prints the errors."""
    if blend is None:
        blended = predict_held_out(pairs)
    else:
        fitted = read_blend(blend)[0]
        parts = [fitted.for_knowledge(pair.known) for pair in pairs]
        blended = np.expm1(
            [
                blend_log1p(part.shares, pair.box, pair.networks_m, pair.boxes_m)
                for part, pair in zip(parts, pairs, strict=True)
            ]
        )
    truth = np.array([pair.truth_m for pair in pairs])
    answers = {
        "box model": np.array([pair.boxes_m for pair in pairs]),
        "network": np.array([pair.networks_m for pair in pairs]),
        "blend": np.asarray(blended),
    }
    states = np.array([pair.known for pair in pairs])
    n_rows = int((states == Knowledge.NOTHING).sum())
    print(
        f"{n_rows} seconds, {len({pair.site_id for pair in pairs})} sites; error in metres, and median relative error\n"
    )
    print(f"| known | {' | '.join(answers)} | weight of the network |")
    print("| --- |" + " --- |" * (len(answers) + 1))
    shares = fit_blend(pairs, "").by_knowledge
    for state in Knowledge:
        chosen = states == state
        cells = [
            f"{np.abs(metres - truth)[chosen].mean():.3f}, {np.median((np.abs(metres - truth) / truth)[chosen]):.0%}"
            for metres in answers.values()
        ]
        weights = ", ".join(f"{situation} {share:.2f}" for situation, share in shares[state].shares.items())
        print(f"| {state} | {' | '.join(cells)} | {weights} |", flush=True)


if __name__ == "__main__":
    main()
