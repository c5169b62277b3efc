"""Drawn reference photographs of poles, by a camera that is known."""

from __future__ import annotations

from pathlib import Path

from PIL import Image, ImageDraw

from trapmeter.camera.model import PinholeCamera

CAMERA = PinholeCamera(hfov_deg=55, height_m=1.0, pitch_deg=-7, slope_along_deg=2, aspect_ratio=640 / 360)
SIZE = (640, 360)
POLES_M = ((2.5, -8.0), (3.0, 9.0), (5.0, -10.0), (7.0, 6.0), (10.0, -3.0), (14.0, 8.0))
"""Distance and bearing of the poles in the photographs."""


def draw_photo(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.new("RGB", SIZE, (110, 130, 100))
    pen = ImageDraw.Draw(picture)
    for metres, bearing in POLES_M:
        ends = [CAMERA.place(metres, bearing, height) for height in (0.0, 1.5)]
        pen.line([(x * SIZE[0], y * SIZE[1]) for x, y in ends], fill=(220, 60, 40), width=3)
    picture.save(path)
