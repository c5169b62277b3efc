"""Drawn scenes with trunks, branches and stones, and what cameras make of them."""

import cv2
import numpy as np

from trapmeter.camera.homography import Floats, Homography, inverse

WIDTH, HEIGHT = 320, 180
MARGIN = 0.3
"""How much wider and higher than a picture the drawn scene is, on each side."""


def scene(seed: int) -> np.ndarray:
    """A scene in colours, larger than a picture by MARGIN on each side."""
    rng = np.random.default_rng(seed)
    size = (round(HEIGHT * (1 + 2 * MARGIN)), round(WIDTH * (1 + 2 * MARGIN)))
    drawn = np.full((*size, 3), (120, 150, 90), np.uint8)
    for _ in range(500):
        colour = tuple(int(value) for value in rng.integers(20, 235, 3))
        x, y = int(rng.integers(size[1])), int(rng.integers(size[0]))
        if rng.random() < 0.6:
            end = (x + int(rng.integers(-60, 60)), y + int(rng.integers(-60, 60)))
            cv2.line(drawn, (x, y), end, colour, int(rng.integers(1, 5)), cv2.LINE_AA)
        else:
            axes = (int(rng.integers(2, 14)), int(rng.integers(2, 14)))
            cv2.ellipse(drawn, (x, y), axes, float(rng.uniform(0, 180)), 0, 360, colour, -1, cv2.LINE_AA)
    return drawn


def picture(drawn: np.ndarray, moved: Homography | None = None, size: tuple[int, int] = (WIDTH, HEIGHT)) -> np.ndarray:
    """What a camera shows of a scene. moved: where the unmoved camera's positions are seen, in fractions."""
    share = 1 / (1 + 2 * MARGIN)
    middle = np.array([[share, 0, (1 - share) / 2], [0, share, (1 - share) / 2], [0, 0, 1]])
    to_scene = middle @ inverse(np.eye(3) if moved is None else moved)
    scene_px, picture_px = (np.array([[w, 0, -0.5], [0, h, -0.5], [0, 0, 1]]) for w, h in (drawn.shape[1::-1], size))
    flags = cv2.INTER_AREA | cv2.WARP_INVERSE_MAP
    return cv2.warpPerspective(drawn, scene_px @ to_scene @ inverse(picture_px), size, flags=flags)


def movement(
    right: float = 0.0, down: float = 0.0, zoom: float = 1.0, rotation_deg: float = 0.0, aspect: float = WIDTH / HEIGHT
) -> Homography:
    """The homography, in fractions, of a camera that has moved."""
    angle = np.radians(rotation_deg)
    turn = zoom * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    to_squares = np.array([[aspect, 0, -aspect / 2], [0, 1, -0.5], [0, 0, 1.0]])
    in_squares = np.eye(3)
    in_squares[:2, :2], in_squares[:2, 2] = turn, (right * aspect, down)
    return inverse(to_squares) @ in_squares @ to_squares


def by_night(shown: np.ndarray, seed: int = 0) -> np.ndarray:
    """Without colours, inverted, as bark is bright by flash, darker to the borders, and noisy."""
    grey = 255.0 - shown.astype(float).mean(axis=2)
    rows, columns = np.mgrid[: grey.shape[0], : grey.shape[1]]
    from_centre = (columns / grey.shape[1] - 0.5) ** 2 + (rows / grey.shape[0] - 0.6) ** 2
    lit = 10 + 0.6 * grey * np.exp(-from_centre / 0.15) + np.random.default_rng(seed).normal(0, 3, grey.shape)
    return np.repeat(lit.clip(0, 255).astype(np.uint8)[..., None], 3, axis=2)


def with_strip(shown: np.ndarray, text: str) -> np.ndarray:
    """With a black strip of text at the bottom."""
    result = shown.copy()
    result[-round(0.08 * len(result)) :] = 0
    cv2.putText(result, text, (8, len(result) - 4), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (255, 255, 255), 1, cv2.LINE_AA)
    return result


def apart(first: Floats, second: Floats, aspect: float = WIDTH / HEIGHT) -> float:
    """The largest distance between positions, in picture heights."""
    return float(np.hypot(*((first - second) * (aspect, 1.0)).T).max())
