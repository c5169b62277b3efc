"""Draws docs/images/augmented.jpg: eight windows of the demo's clips after augmentation, with the animal's moved box.

A row is a window (seconds t-2 to t+2) with the animal's box in its middle frame; the first row is unchanged and begins before
the start of the video. The names of the steps are below each row.

    python tools/draw_augmentations.py [--out docs/images/augmented.jpg] [--seed 5]
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from trapmeter.demo.clips import CLIPS, TRUTH
from trapmeter.media.discovery import find_media
from trapmeter.media.opening import open_medium
from trapmeter.media.reader import ExactSize
from trapmeter.records import Box, Frame, Medium
from trapmeter.training.augment.apply import apply_plan, sample_rng
from trapmeter.training.augment.random_plan import draw_plan
from trapmeter.training.augment.settings import no_augmentation, second_place_augmentation
from trapmeter.windows import TIME_ORDER_OFFSETS_S, window_times

SIZE_HW = (270, 480)
SHOWN_HW = (108, 192)
N_ROWS = 8
GAP_PX = 3
TEXT_PX = 16
MAX_BYTES = 400_000
YELLOW = (255, 220, 0)


def true_boxes() -> dict[str, tuple[float, Box]]:
    """For each clip, a second and the box of the largest and most visible animal in it.

    For the first clip it is second 1, whose window begins before the video; the others' windows are inside theirs.
    """
    best: dict[str, tuple[float, float, Box]] = {}
    with TRUTH.open(newline="") as file:
        for row in csv.DictReader(file):
            if not row["x1"]:
                continue
            video, time_s = row["video_id"], float(row["time"])
            box = Box(*(float(row[name]) for name in ("x1", "y1", "x2", "y2")), 1.0)
            visible = float(row["visible_fraction"]) * min((box.x2 - box.x1) * (box.y2 - box.y1), 0.15)
            is_first = not best or video == next(iter(best))
            if (time_s == 1.0 if is_first else 2.0 <= time_s <= 5.0) and visible > best.get(video, (0.0,))[0]:
                best[video] = (visible, time_s, box)
    return {video: (time_s, box) for video, (_, time_s, box) in best.items()}


def read_window(medium: Medium, time_s: float) -> NDArray[np.uint8]:
    """The window around a second: 5 x 270 x 480 x 3, black outside the video."""
    frames = np.zeros((len(TIME_ORDER_OFFSETS_S), *SIZE_HW, 3), np.uint8)
    with open_medium(medium, ExactSize(*SIZE_HW)) as reader:
        times = window_times(time_s, TIME_ORDER_OFFSETS_S, reader.facts.length_s)
        inside = [i for i, t in enumerate(times) if t is not None]
        for i, frame in zip(inside, reader.frames([t for t in times if t is not None]), strict=True):
            if isinstance(frame, Frame):
                frames[i] = frame.pixels
    return frames


def row_picture(frames: NDArray[np.uint8], box: Box | None, text: str) -> NDArray[np.uint8]:
    """The frames side by side, with the box in the middle one and the text below."""
    height, width = SHOWN_HW
    row = np.full((height + TEXT_PX, (width + GAP_PX) * len(frames) - GAP_PX, 3), 255, np.uint8)
    for i, frame in enumerate(frames):
        small = cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA)
        if box is not None and i == len(frames) // 2:
            corner, opposite = (
                (round(box.x1 * width), round(box.y1 * height)),
                (round(box.x2 * width), round(box.y2 * height)),
            )
            cv2.rectangle(small, corner, opposite, YELLOW, 1)
        row[:height, i * (width + GAP_PX) : i * (width + GAP_PX) + width] = small
    cv2.putText(row, text, (2, height + 12), cv2.FONT_HERSHEY_SIMPLEX, 0.38, (60, 60, 60), 1, cv2.LINE_AA)
    return row


def main() -> None:
    """Draws and saves the picture, and prints the size of the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("docs/images/augmented.jpg"))
    parser.add_argument("--seed", type=int, default=5)
    args = parser.parse_args()
    boxes = true_boxes()
    media = [medium for medium in find_media([CLIPS]).media if medium.media_id in boxes][:N_ROWS]
    rows = []
    for i, medium in enumerate(media):
        time_s, box = boxes[medium.media_id]
        settings = no_augmentation() if i == 0 else second_place_augmentation()
        plan = draw_plan(settings, SIZE_HW, sample_rng(args.seed, 0, i))
        frames, (moved,) = apply_plan(plan, read_window(medium, time_s), [box])
        rows.append(row_picture(frames, moved, ", ".join(plan.step_names) or "unchanged"))
    picture = np.concatenate(rows)
    for quality in range(90, 30, -5):
        found, encoded = cv2.imencode(
            ".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality]
        )
        if found and len(encoded) < MAX_BYTES:
            break
    args.out.write_bytes(encoded.tobytes())
    print(f"{args.out}: {picture.shape[1]} x {picture.shape[0]}, {len(encoded) / 1000:.0f} kB, JPEG quality {quality}")


if __name__ == "__main__":
    main()
