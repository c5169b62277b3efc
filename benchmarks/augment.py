"""Augmentation: trapmeter against albumentations 2.0.8 with the same list of transforms.

Windows of five frames, 270 x 480, from the demo's clips, on one thread. Both apply the 2nd-place system's list with its
probabilities and strengths, and the same random changes to all frames of a window. albumentations gets the frames in the
faster of its two ways (`images=` or `additional_targets`), and no boxes, which would take it more time; trapmeter moves a box
as well. The first table shows how often each side applies each step, to check that the mix is the same, and the time of each
step alone. Then runs of both alternate, and the medians are printed; CPU time is the process's own.

    pip install albumentations==2.0.8
    python benchmarks/augment.py [--pairs 9] [--windows 100]
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from trapmeter.demo.clips import CLIPS
from trapmeter.media.discovery import find_media
from trapmeter.media.opening import open_medium
from trapmeter.media.reader import ExactSize
from trapmeter.records import Box, Frame
from trapmeter.training.augment.apply import augment, sample_rng
from trapmeter.training.augment.random_plan import draw_plan
from trapmeter.training.augment.settings import (
    AugmentSettings,
    BlurKind,
    DistortionKind,
    NoiseKind,
    ToneKind,
    no_augmentation,
    second_place_augmentation,
)

ALBUMENTATIONS = "2.0.8"
SIZE_HW = (270, 480)
N_FRAMES = 5
PROMISED_RATIO = 6.0
PROMISED_MS = 13.0
BOX = Box(0.4, 0.35, 0.6, 0.7, 0.9)

# trapmeter's step, albumentations' name for it, and settings that always apply only this step.
NOTHING = no_augmentation()
STEPS: dict[str, tuple[str, AugmentSettings]] = {
    "Flip": ("HorizontalFlip", replace(NOTHING, p_flip=1)),
    "Dropout": ("CoarseDropout", replace(NOTHING, p_dropout=1)),
    "BoxBlur": ("Blur", replace(NOTHING, p_blur=1, blurs=(BlurKind.BOX,))),
    "GlassBlur": ("GlassBlur", replace(NOTHING, p_blur=1, blurs=(BlurKind.GLASS,))),
    "GaussianBlur": ("GaussianBlur", replace(NOTHING, p_blur=1, blurs=(BlurKind.GAUSSIAN,))),
    "MedianBlur": ("MedianBlur", replace(NOTHING, p_blur=1, blurs=(BlurKind.MEDIAN,))),
    "MotionBlur": ("MotionBlur", replace(NOTHING, p_blur=1, blurs=(BlurKind.MOTION,))),
    "BrightnessContrast": ("RandomBrightnessContrast", replace(NOTHING, p_brightness_contrast=1)),
    "Gamma": ("RandomGamma", replace(NOTHING, p_tone=1, tones=(ToneKind.GAMMA,))),
    "ColourJitter": ("ColorJitter", replace(NOTHING, p_tone=1, tones=(ToneKind.JITTER,))),
    "ToneCurve": ("RandomToneCurve", replace(NOTHING, p_tone=1, tones=(ToneKind.CURVE,))),
    "GaussianNoise": ("GaussNoise", replace(NOTHING, p_noise=1, noises=(NoiseKind.GAUSSIAN,))),
    "MultiplicativeNoise": ("MultiplicativeNoise", replace(NOTHING, p_noise=1, noises=(NoiseKind.MULTIPLICATIVE,))),
    "PiecewiseAffine": ("PiecewiseAffine", replace(NOTHING, p_distortion=1, distortions=(DistortionKind.PIECEWISE,))),
    "OpticalDistortion": ("OpticalDistortion", replace(NOTHING, p_distortion=1, distortions=(DistortionKind.OPTICAL,))),
    "GridDistortion": ("GridDistortion", replace(NOTHING, p_distortion=1, distortions=(DistortionKind.GRID,))),
    "ColourShift": ("FancyPCA", replace(NOTHING, p_colour_shift=1)),
    "Fog": ("RandomFog", replace(NOTHING, p_fog=1)),
    "Shadow": ("RandomShadow", replace(NOTHING, p_shadow=1)),
    "Flare": ("RandomSunFlare", replace(NOTHING, p_flare=1)),
    "Turn": ("ShiftScaleRotate", replace(NOTHING, p_turn=1)),
}

Window = NDArray[np.uint8]
Augmenter = Callable[[Window], object]


def demo_windows() -> list[Window]:
    """One window from each demo clip: seconds 1 to 5."""
    windows = []
    for medium in find_media([CLIPS]).media:
        with open_medium(medium, ExactSize(*SIZE_HW)) as reader:
            frames = [
                f.pixels for f in reader.frames([float(t) for t in range(1, 1 + N_FRAMES)]) if isinstance(f, Frame)
            ]
        if len(frames) == N_FRAMES:
            windows.append(np.stack(frames))
    return windows


class Trapmeter:
    """trapmeter's augmentation, with a counter in place of epoch and sample."""

    def __init__(self, settings: AugmentSettings) -> None:
        self._settings = settings
        self._n = 0

    def __call__(self, frames: Window) -> object:
        """The window and its box, augmented."""
        self._n += 1
        return augment(frames, BOX, sample_rng(0, 0, self._n), self._settings)

    def shares(self, n: int) -> Counter[str]:
        """How often each step is drawn in n windows."""
        plans = (draw_plan(self._settings, SIZE_HW, sample_rng(1, 0, i)) for i in range(n))
        return Counter(name for plan in plans for name in plan.step_names)


def reference_list(a, *, piecewise: bool = True) -> list:  # noqa: ANN001 - the module, which may be missing
    """The 2nd-place system's list for albumentations 2.0, with the strengths of 1.0.3, with or without piecewise affine."""
    black = {"border_mode": cv2.BORDER_CONSTANT, "fill": 0}
    return [
        a.HorizontalFlip(p=0.5),
        a.CoarseDropout(num_holes_range=(8, 8), hole_height_range=(8, 8), hole_width_range=(8, 8), fill=0, p=0.5),
        a.OneOf(
            [
                a.Blur(blur_limit=(3, 7)),
                a.GlassBlur(sigma=0.7, max_delta=4, iterations=2, mode="fast"),
                a.GaussianBlur(blur_limit=(3, 7), sigma_limit=(0.8, 1.4)),  # as for a side of 3 to 7 in 1.0.3
                a.MedianBlur(blur_limit=(3, 7)),
                a.MotionBlur(blur_limit=(3, 7)),
            ],
            p=0.5,
        ),
        a.RandomBrightnessContrast(brightness_limit=0.2, contrast_limit=0.2, p=0.5),
        a.OneOf(
            [
                a.RandomGamma(gamma_limit=(80, 120)),
                a.ColorJitter(brightness=0.2, contrast=0.2, saturation=0.2, hue=0.2),
                a.RandomToneCurve(scale=0.1),
            ],
            p=0.5,
        ),
        a.OneOf(
            [
                a.GaussNoise(std_range=(10**0.5 / 255, 50**0.5 / 255)),
                a.MultiplicativeNoise(multiplier=(0.9, 1.1)),
            ],
            p=0.5,
        ),
        a.OneOf(
            [
                *([a.PiecewiseAffine(scale=(0.03, 0.05), nb_rows=4, nb_cols=4)] if piecewise else []),
                a.OpticalDistortion(distort_limit=0.05, **black),
                a.GridDistortion(num_steps=5, distort_limit=0.3, normalized=False, **black),
            ],
            p=0.2,
        ),
        a.FancyPCA(alpha=0.1, p=0.2),
        a.RandomFog(fog_coef_range=(0.3, 1.0), alpha_coef=0.08, p=0.2),
        a.RandomShadow(shadow_roi=(0, 0.5, 1, 1), num_shadows_limit=(1, 2), shadow_dimension=5, p=0.2),
        a.RandomSunFlare(flare_roi=(0, 0, 1, 0.5), src_radius=150, p=0.2),
        a.ShiftScaleRotate(shift_limit=0.0625, scale_limit=0.1, rotate_limit=45, p=0.2, **black),
    ]


class Albumentations:
    """albumentations with a list of transforms, applied to all frames with the same random changes."""

    def __init__(self, a, transforms: list, *, by_images: bool) -> None:  # noqa: ANN001
        self._by_images = by_images
        self._names = [f"image{i}" for i in range(1, N_FRAMES)]
        targets = None if by_images else dict.fromkeys(self._names, "image")
        self._compose = a.Compose(transforms, additional_targets=targets, seed=1, save_applied_params=False)

    def __call__(self, frames: Window) -> object:
        """A dictionary with the augmented frames."""
        if self._by_images:
            return self._compose(images=frames)
        return self._compose(image=frames[0], **dict(zip(self._names, frames[1:], strict=True)))


def albumentations_shares(a, n: int) -> Counter[str]:  # noqa: ANN001
    """How often each transform is applied in n windows; small pictures suffice, since only the choice counts."""
    compose = a.Compose(reference_list(a), seed=2, save_applied_params=True)
    picture = np.zeros((64, 64, 3), np.uint8)
    return Counter(name for _ in range(n) for name, _ in compose(image=picture)["applied_transforms"])


def cpu_ms(augmenter: Augmenter, windows: list[Window], n: int) -> tuple[float, float]:
    """Milliseconds per window over n windows: CPU, wall."""
    started, started_wall = time.process_time(), time.perf_counter()
    for i in range(n):
        augmenter(windows[i % len(windows)])
    return (time.process_time() - started) / n * 1e3, (time.perf_counter() - started_wall) / n * 1e3


def single_transforms(a) -> Iterator[tuple[str, object]]:  # noqa: ANN001
    """Each transform of the list, with probability 1."""
    for transform in reference_list(a):
        for single in getattr(transform, "transforms", [transform]):
            single.p = 1.0
            yield type(single).__name__, single


def import_albumentations():  # noqa: ANN201
    """The module; exits with advice if it is missing."""
    os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"  # otherwise it looks for newer versions on the internet
    try:
        import albumentations
    except ImportError:
        sys.exit(f"This benchmark needs albumentations: pip install albumentations=={ALBUMENTATIONS}")
    if albumentations.__version__ != ALBUMENTATIONS:
        sys.exit(f"This benchmark is for albumentations {ALBUMENTATIONS}, found {albumentations.__version__}")
    return albumentations


def main() -> None:
    """Prints the tables; exit status 1 if trapmeter is slower than promised."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=9, help="runs of each side, alternating")
    parser.add_argument("--windows", type=int, default=100, help="windows in each run")
    parser.add_argument("--singles", type=int, default=24, help="windows for timing each single step")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    cv2.setNumThreads(1)
    a = import_albumentations()
    windows = demo_windows()
    print(f"{len(windows)} windows of {N_FRAMES} x {SIZE_HW[0]} x {SIZE_HW[1]}; OpenCV {cv2.__version__}, one thread\n")

    ours, theirs_n = Trapmeter(second_place_augmentation()).shares(4000), 2000
    theirs = albumentations_shares(a, theirs_n)
    singles = dict(single_transforms(a))
    print(f"{'':46}{'share of windows, %':>24}{'CPU ms when applied':>24}")
    print(f"{'step (albumentations name)':46}{'trapmeter':>12}{'albument.':>12}{'trapmeter':>12}{'albument.':>12}")
    for name, (their_name, settings) in STEPS.items():
        shares = f"{ours[name] / 40:12.1f}{theirs[their_name] / theirs_n * 100:12.1f}"
        our_ms, _ = cpu_ms(Trapmeter(settings), windows, args.singles)
        transform = Albumentations(a, [singles[their_name]], by_images=False)
        # A single piecewise affine takes seconds.
        their_ms, _ = cpu_ms(transform, windows, 3 if their_name == "PiecewiseAffine" else args.singles)
        print(f"{f'{name} ({their_name})':46}{shares}{our_ms:12.2f}{their_ms:12.2f}", flush=True)

    ways = {
        name: Albumentations(a, reference_list(a), by_images=name == "images")
        for name in ("images", "additional_targets")
    }
    tried = {name: cpu_ms(way, windows, args.windows)[0] for name, way in ways.items()}
    way = min(tried, key=tried.__getitem__)
    print(
        "\nalbumentations: " + ", ".join(f"{ms:.0f} ms with {name}" for name, ms in tried.items()) + f"; {way} is used"
    )

    ratio, our_ms = compare(Trapmeter(second_place_augmentation()), ways[way], windows, args)
    print("\nThe same without piecewise affine, on which albumentations spends most of its time:")
    lesser = replace(second_place_augmentation(), distortions=(DistortionKind.OPTICAL, DistortionKind.GRID))
    without = Albumentations(a, reference_list(a, piecewise=False), by_images=way == "images")
    lesser_ratio, _ = compare(Trapmeter(lesser), without, windows, args)
    print(f"\npromised: a ratio of at least {PROMISED_RATIO:g} and at most {PROMISED_MS:g} ms per window")
    sys.exit(min(ratio, lesser_ratio) < PROMISED_RATIO or our_ms > PROMISED_MS)


def compare(ours: Augmenter, theirs: Augmenter, windows: list[Window], args: argparse.Namespace) -> tuple[float, float]:
    """Alternates both and prints the medians; returns the ratio of CPU times, and trapmeter's CPU ms per window."""
    pairs = [
        (*cpu_ms(ours, windows, 4 * args.windows), *cpu_ms(theirs, windows, args.windows)) for _ in range(args.pairs)
    ]
    our_ms, our_wall, their_ms, their_wall = (statistics.median(column) for column in zip(*pairs, strict=True))
    ratios = sorted(pair[2] / pair[0] for pair in pairs)
    print(f"\n{'medians':16}{'windows/s':>12}{'CPU ms per window':>18}")
    print(f"{'trapmeter':16}{1e3 / our_wall:12.1f}{our_ms:18.2f}")
    print(f"{'albumentations':16}{1e3 / their_wall:12.1f}{their_ms:18.2f}")
    print(
        f"ratio of CPU times: {statistics.median(ratios):.1f} (pairs: {ratios[0]:.1f} to {ratios[-1]:.1f})", flush=True
    )
    return statistics.median(ratios), our_ms


if __name__ == "__main__":
    main()
