"""Pictures for `registration.py`: backgrounds of simtrap's videos, real photographs and clips, and ways to spoil them."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from trapmeter.camera.background import find_backgrounds, median_picture
from trapmeter.media.discovery import find_media
from trapmeter.media.infrared import is_infrared
from trapmeter.media.opening import open_medium
from trapmeter.media.reader import FitWithin
from trapmeter.records import Frame, Medium, MediumKind, Pixels

SAME_PICTURES = ("_bw", "_cmyk", "_truncated_file", "_with_exif_orientation")
"""Copies of one photograph: they are no other site."""


@dataclass(frozen=True)
class Scene:
    """A picture of a site."""

    site: str
    pixels: Pixels
    is_night: bool


def simtrap_scenes(folder: Path, split: str, n_sites: int | None) -> list[Scene]:
    """The background of each video of the first n_sites sites (None: all), with its site."""
    with (folder / "videos.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == split]
    sites = sorted({row["site_id"] for row in rows})[:n_sites]
    scenes: list[Scene] = []
    for row in sorted(rows, key=lambda row: (row["site_id"], row["video_id"])):
        if row["site_id"] in sites:
            video = Medium(row["video_id"], folder / f"{split}_videos" / row["video_id"], MediumKind.VIDEO)
            found = find_backgrounds([video]).backgrounds
            scenes += [Scene(row["site_id"], background.pixels, background.is_night) for background in found]
    return scenes


def photographs(folder: Path) -> list[Scene]:
    """Real photographs of different sites, at most 960 wide, without their strips of text."""
    scenes = []
    for medium in find_media(folder).media:
        if any(Path(medium.media_id).stem.endswith(copy) for copy in SAME_PICTURES):
            continue
        with open_medium(medium, FitWithin(960, 960)) as reader:
            frame = next(iter(reader.frames([0.0])))
        if isinstance(frame, Frame):
            height = len(frame.pixels)
            pixels = np.ascontiguousarray(frame.pixels[round(0.06 * height) : round(0.94 * height)])
            scenes.append(Scene(medium.media_id, pixels, is_infrared(pixels)))
    return scenes


def clip_halves(folder: Path) -> list[tuple[Scene, Scene]]:
    """The medians of the first and of the second half of each real video."""
    halves = []
    for medium in find_media(folder).media:
        with open_medium(medium, FitWithin(960, 960)) as reader:
            times_s = [reader.facts.length_s * (i + 0.5) / 18 for i in range(18)]
            frames = [frame.pixels for frame in reader.frames(times_s) if isinstance(frame, Frame)]
        first, second = median_picture(frames[: len(frames) // 2]), median_picture(frames[len(frames) // 2 :])
        site, is_night = medium.media_id, is_infrared(first)
        halves.append((Scene(site, first, is_night), Scene(site, second, is_night)))
    return halves


def make_night(picture: Pixels, rng: np.random.Generator) -> Pixels:
    """A night picture made from a day's: no colours, infrared brightness of leaves, a beam, low contrast, noise."""
    red, green, blue = np.moveaxis(picture.astype(np.float32) / 255, -1, 0)
    weights = rng.dirichlet((4, 4, 1))
    grey = weights[0] * red + weights[1] * green + weights[2] * blue
    grey = grey ** rng.uniform(0.8, 2.0)
    rows, columns = np.mgrid[: grey.shape[0], : grey.shape[1]]
    x, y = columns / grey.shape[1] - rng.uniform(0.4, 0.6), rows / grey.shape[0] - rng.uniform(0.5, 0.8)
    beam = np.exp(-(x**2 + y**2) / (2 * rng.uniform(0.25, 0.4) ** 2))
    dark = 200 * rng.uniform(0.4, 1.0) * grey * beam + 6 + rng.normal(0, 4, grey.shape)
    return np.repeat(dark.clip(0, 255).astype(np.uint8)[..., None], 3, axis=2)


def rain(picture: Pixels, rng: np.random.Generator) -> Pixels:
    """Bright slanted streaks and a haze."""
    wet = picture.astype(np.float32) * 0.8 + 30
    streaks = np.zeros(picture.shape[:2], np.uint8)
    height, width = streaks.shape
    for _ in range(250):
        x, y = int(rng.integers(width)), int(rng.integers(height))
        length = int(rng.integers(height // 30, height // 8))
        cv2.line(streaks, (x, y), (x + length // 5, y + length), 255, 1, cv2.LINE_AA)
    wet += cv2.GaussianBlur(streaks, (0, 0), 0.8)[..., None] * 0.4
    return wet.clip(0, 255).astype(np.uint8)


def spoil(picture: Pixels, rng: np.random.Generator) -> Pixels:
    """Blur of 1 to 2 pixels at a width of 640, noise of 6 levels, JPEG of quality 30."""
    sigma = rng.uniform(1.0, 2.0) * picture.shape[1] / 640
    blurred = cv2.GaussianBlur(picture, (0, 0), sigma).astype(np.float32) + rng.normal(0, 6, picture.shape)
    _, data = cv2.imencode(".jpg", blurred.clip(0, 255).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, 30])
    spoilt: Pixels = cv2.imdecode(data, cv2.IMREAD_COLOR)
    return spoilt
