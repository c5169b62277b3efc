"""Measures the registration of reference pictures: known movements of the camera, day and night, weather, and other sites.

    python benchmarks/registration.py --simtrap simtrap/ --stills stills/ --clips clips/zamba-small/ [--split test]

Prints, for each condition and method, the share of pairs that are registered within 1 % of the picture's height (root mean
square over what both pictures show), registered wrongly, and refused, with CPU ms per pair. Different sites are wrong unless
they are refused. Limits were chosen with `--split train`.

A moved pair is cut twice out of larger pictures: the reference from the middle, the view with a random shift of up to 20 % of
width and height, rotation of up to 5 degrees, zoom of up to 20 % and perspective of a turn by up to 3 degrees, so that both
share at least half of what they show. Then both get a strip with the same logo. Pictures of simtrap are backgrounds of
different videos of a site. Where no real night exists, it is made from the day: no colours, a beam, low contrast, noise.
"""

from __future__ import annotations

import argparse
import time
import zlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import cv2
import numpy as np

from registration_features import MIN_MATCHES, match_features
from registration_material import Scene, clip_halves, make_night, photographs, rain, simtrap_scenes, spoil
from trapmeter.camera.background import Background
from trapmeter.camera.homography import Homography, carry_points, join, overlap_share, picture_grid, to_widths
from trapmeter.camera.moved import place_backgrounds
from trapmeter.camera.registration import register
from trapmeter.records import Pixels

RIGHT = 0.01
VIEW_SHARE = 0.6
MIDDLE = np.array([[VIEW_SHARE, 0, 0.5 - VIEW_SHARE / 2], [0, VIEW_SHARE, 0.47 - VIEW_SHARE / 2], [0, 0, 1.0]])
"""Where a picture that is cut out of the middle lies, above the strip of simtrap."""
N_MOVES = 3
STRIP = 0.06
METHODS = ("ours", *MIN_MATCHES)


@dataclass(frozen=True)
class Pair:
    """Two pictures and the true homography between their fractions; None for different sites."""

    condition: str
    reference: Pixels
    view: Pixels
    truth: Homography | None


@dataclass(frozen=True)
class Outcome:
    """What a method made of a pair; error is a fraction of the picture's height, None if it was refused."""

    condition: str
    method: str
    is_other_site: bool
    error: float | None
    claimed: float
    n_matches: int
    cpu_s: float


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--simtrap", type=Path, required=True)
    parser.add_argument("--stills", type=Path, help="photographs of different sites")
    parser.add_argument("--clips", type=Path, help="real videos of different sites")
    parser.add_argument("--split", choices=("train", "test"), default="test")
    parser.add_argument("--sites", type=int, help="only so many sites of simtrap")
    parser.add_argument(
        "--other-sites", type=int, default=200, help="pairs of different sites, at most, of each material"
    )
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    started = time.perf_counter()
    scenes = simtrap_scenes(arguments.simtrap, arguments.split, arguments.sites)
    pairs = [*simtrap_pairs(scenes), *other_sites(scenes, "simtrap", arguments.other_sites)]
    if arguments.stills:
        stills = photographs(arguments.stills)
        pairs += [*photo_pairs(stills), *other_sites(stills, "photographs", arguments.other_sites)]
    if arguments.clips:
        halves = clip_halves(arguments.clips)
        pairs += [Pair("real tiny clips, two halves, still", a.pixels, b.pixels, np.eye(3)) for a, b in halves]
        pairs += other_sites([first for first, _ in halves], "tiny clips", arguments.other_sites)
    with ProcessPoolExecutor(arguments.workers) as pool:
        chains = pool.submit(chain_outcomes, scenes)
        outcomes = [outcome for found in pool.map(try_methods, pairs, chunksize=4) for outcome in found]
        outcomes += chains.result()
    print_tables(outcomes)
    print(f"\n{len(pairs):,} pairs, {time.perf_counter() - started:.0f} s")


def simtrap_pairs(scenes: Sequence[Scene]) -> Iterator[Pair]:
    """Pairs of different videos of each site."""
    of_site: dict[tuple[str, bool], list[Pixels]] = defaultdict(list)
    for scene in scenes:
        of_site[scene.site, scene.is_night].append(scene.pixels)
    for site in sorted({site for site, _ in of_site}):
        days, nights = of_site[site, False], of_site[site, True]
        for name, firsts, seconds in (
            ("day, day", days[:1], days[1:]),
            ("day, night", days[:1], nights),
            ("night, night", nights[:1], nights[1:]),
        ):
            for first, second in zip(firsts, seconds[:1], strict=False):
                rng = seeded(f"{site} {name}")
                yield Pair(f"{name}, still", with_strip(first, 1), with_strip(second, 2), np.eye(3))
                for _ in range(N_MOVES):
                    yield moved(f"{name}, moved", first, second, rng)
                yield moved(f"{name}, moved, rain, blur, noise, JPEG", first, spoil(rain(second, rng), rng), rng)


def photo_pairs(scenes: Sequence[Scene]) -> Iterator[Pair]:
    """Each real photograph with itself, changed."""
    for scene in scenes:
        rng = seeded(scene.site)
        for _ in range(2):
            yield moved("photograph, moved, blur, noise, JPEG", scene.pixels, spoil(scene.pixels, rng), rng)
            if not scene.is_night:
                night = make_night(scene.pixels, rng)
                yield moved("photograph, made night, moved", scene.pixels, night, rng)


def chain_outcomes(scenes: Sequence[Scene]) -> list[Outcome]:
    """A night after a move of the camera, registered to the reference directly, and through the day after the move."""
    outcomes = []
    for site in sorted({scene.site for scene in scenes}):
        days = [scene.pixels for scene in scenes if scene.site == site and not scene.is_night]
        nights = [scene.pixels for scene in scenes if scene.site == site and scene.is_night]
        rng = seeded(f"{site} chain")
        for _ in range(N_MOVES if len(days) > 1 and nights else 0):
            truth = random_move(days[0].shape[1] / days[0].shape[0], rng)
            reference = with_strip(cut(days[0], MIDDLE), 1)
            views = [with_strip(cut(pixels, MIDDLE @ np.linalg.inv(truth)), 2) for pixels in (days[1], nights[0])]
            pair = Pair("night of a moved camera", reference, views[1], truth)
            start = time.process_time()
            direct = register(reference, views[1]).homography
            middle = time.process_time()
            backgrounds = [Background(view, i == 1, None, None, (str(i),), 15) for i, view in enumerate(views)]
            chained = place_backgrounds(reference, backgrounds)[1].homography
            for method, homography, cpu_s in (
                ("directly", direct, middle - start),
                ("through the day, if not directly", chained, time.process_time() - middle),
            ):
                error = None if homography is None else true_error(homography, pair)
                outcomes.append(Outcome(pair.condition, method, False, error, float("inf"), 0, cpu_s))
    return outcomes


def other_sites(scenes: Sequence[Scene], name: str, at_most: int) -> list[Pair]:
    """Each pair of different sites once, with the same logo, by day or night at random; a sample if there are too many."""
    rng = seeded(name)
    of_site: dict[str, dict[bool, Pixels]] = defaultdict(dict)
    for scene in scenes:
        of_site[scene.site].setdefault(scene.is_night, scene.pixels)
    pairs = []
    for sites in combinations(of_site, 2):
        first, second = (list(of_site[site].values())[rng.integers(len(of_site[site]))] for site in sites)
        pairs.append(Pair(f"other site: {name}", with_strip(first, 1), with_strip(second, 2), None))
    return [pairs[i] for i in sorted(rng.permutation(len(pairs))[:at_most])]


def seeded(text: str) -> np.random.Generator:
    """Random numbers that depend on a text alone."""
    return np.random.default_rng(zlib.crc32(text.encode()))


def moved(condition: str, first: Pixels, second: Pixels, rng: np.random.Generator) -> Pair:
    """Cuts a reference out of the middle of the first picture, and the view of a moved camera out of the second."""
    truth = random_move(first.shape[1] / first.shape[0], rng)
    reference, view = cut(first, MIDDLE), cut(second, MIDDLE @ np.linalg.inv(truth))
    return Pair(condition, with_strip(reference, 1), with_strip(view, 2), truth)


def random_move(aspect: float, rng: np.random.Generator) -> Homography:
    """The homography of a moved camera, whose view stays within the picture that it is cut out of."""
    corners = np.array([(0, 0), (1, 0), (1, 1), (0, 1)], dtype=float)
    while True:
        shift, angle = rng.uniform(-0.2, 0.2, 2), np.radians(rng.uniform(-5, 5))
        zoom, tilt = np.exp(rng.uniform(-np.log(1.2), np.log(1.2))), rng.uniform(-0.06, 0.06, 2)
        turn = zoom * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        in_widths = np.eye(3)
        in_widths[:2, :2], in_widths[:2, 2], in_widths[2, :2] = turn, shift / (1.0, aspect), tilt
        truth = np.linalg.inv(to_widths(aspect)) @ in_widths @ to_widths(aspect)
        seen = carry_points(corners, MIDDLE @ np.linalg.inv(truth))
        if overlap_share(truth) >= 0.5 and (seen >= 0).all() and (seen <= (1.0, 0.94)).all():
            return join(truth, np.eye(3))


def cut(picture: Pixels, to_picture: Homography) -> Pixels:
    """The part of a picture that a homography of fractions leads to, in the same size, at most 640 wide."""
    width = min(640, picture.shape[1])
    height = round(width * picture.shape[0] / picture.shape[1])
    to_px = [np.array([[w, 0, -0.5], [0, h, -0.5], [0, 0, 1.0]]) for h, w in ((height, width), picture.shape[:2])]
    matrix = to_px[1] @ to_picture @ np.linalg.inv(to_px[0])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    result: Pixels = cv2.warpPerspective(picture, matrix, (width, height), flags=flags)
    return result


def with_strip(picture: Pixels, number: int) -> Pixels:
    """The picture with a black strip at the bottom, whose logo is always the same."""
    strip = picture.copy()
    height, width = strip.shape[:2]
    rows = round(STRIP * height)
    strip[height - rows :] = 0
    size = rows / 32
    for x, text in ((0.02, "TRAILCAM PRO X"), (0.4, f"{17 + number}C"), (0.65, f"0{number}-05-2024 0{number}:31:52")):
        at = (round(x * width), height - round(0.3 * rows))
        cv2.putText(strip, text, at, cv2.FONT_HERSHEY_SIMPLEX, size, (255, 255, 255), 1, cv2.LINE_AA)
    return strip


def try_methods(pair: Pair) -> list[Outcome]:
    """The outcome of each method."""
    cv2.setNumThreads(1)
    outcomes = []
    for method in METHODS:
        start = time.process_time()
        if method == "ours":
            found = register(pair.reference, pair.view)
            homography, claimed, n_matches = found.homography, found.error, round(10 * found.evidence)
        else:
            homography, n_matches = match_features(pair.reference, pair.view, method)
            claimed = float("inf")
        cpu_s = time.process_time() - start
        error = None if homography is None else true_error(homography, pair)
        outcomes.append(Outcome(pair.condition, method, pair.truth is None, error, claimed, n_matches, cpu_s))
    return outcomes


def true_error(homography: Homography, pair: Pair) -> float:
    """Root mean square distance from the true positions, over what both pictures show; inf for different sites."""
    if pair.truth is None:
        return float("inf")
    true = carry_points(picture_grid(), pair.truth)
    shown = ((true >= 0) & (true <= 1)).all(axis=1)
    off = (carry_points(picture_grid(), homography) - true)[shown] * (pair.view.shape[1] / pair.view.shape[0], 1.0)
    error = float(np.sqrt((off**2).sum(axis=1).mean()))
    return error if np.isfinite(error) else float("inf")


def print_tables(outcomes: Sequence[Outcome]) -> None:
    """Prints what became of each condition, then other sites, then what is claimed of errors."""
    groups: dict[str, dict[str, list[Outcome]]] = defaultdict(lambda: defaultdict(list))
    for outcome in outcomes:
        groups[outcome.condition][outcome.method].append(outcome)
    print("within 1 % / wrong / refused, CPU ms per pair\n")
    print(f"| pictures | pairs | {' | '.join(METHODS)} |")
    print("| --- | --- | --- | --- | --- |")
    for condition, methods in groups.items():
        if "ours" in methods:
            print(f"| {condition} | {len(methods['ours'])} | {' | '.join(shares(methods[m]) for m in METHODS)} |")
    for condition, methods in groups.items():
        if "ours" not in methods:
            print(f"\n{condition}: " + "; ".join(f"{m}: {shares(found)}" for m, found in methods.items()))
    print("\n| method | matches of other sites, 99 % | largest | same sites, lowest 1 %, 5 % |")
    print("| --- | --- | --- | --- |")
    for method in METHODS:
        others = [o.n_matches for o in outcomes if o.method == method and o.is_other_site]
        same = [o.n_matches for o in outcomes if o.method == method and not o.is_other_site]
        if others and same:
            low = ", ".join(f"{np.quantile(same, share):.0f}" for share in (0.01, 0.05))
            print(f"| {method} | {np.quantile(others, 0.99):.0f} | {max(others)} | {low} |")
    ours = [o for o in outcomes if o.method == "ours" and o.error is not None and not o.is_other_site]
    ratios = np.array([o.error / o.claimed for o in ours if o.error is not None])
    print(
        f"\nour errors are below the claimed one in {np.mean(ratios <= 1):.1%}, below twice it in {np.mean(ratios <= 2):.1%}"
    )


def shares(found: Sequence[Outcome]) -> str:
    """The shares of pairs within 1 %, wrong and refused, in per cent, and the CPU time of a pair."""
    errors = np.array([np.nan if outcome.error is None else outcome.error for outcome in found])
    percents = [100 * np.mean(counted) for counted in (errors <= RIGHT, errors > RIGHT, np.isnan(errors))]
    ms = 1000 * np.mean([outcome.cpu_s for outcome in found])
    return f"{' / '.join(f'{percent:.0f}' for percent in percents)} %, {ms:.0f} ms"


if __name__ == "__main__":
    main()
