"""Draws boxes, distance labels and lines of equal distance into a picture."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from trapmeter.camera.distance_lines import DistanceLine
from trapmeter.records import Box, Distance, Estimate, Pixels

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw
    from PIL.ImageFont import FreeTypeFont, ImageFont

MIN_SIDE = 480
"""Smaller pictures are enlarged until their longer side has this many pixels: otherwise no label would fit in."""

LINE, EDGE, PLATE = (255, 214, 10), (0, 0, 0), (20, 20, 20)
"""Yellow between black lines, and yellow letters on black, stand out on snow, at night and on grass."""

GROUND_LINE = (140, 240, 200)
"""Of lines of equal distance: a green that no grass has, drawn thin on a dark edge."""

_LARGE, _SMALL, _PADDING = 19, 15, 4
_TINY, _MARGIN = 13, 6
_FINER = 3
"""Lines are drawn this many times larger and then made smaller, which smooths them."""

Rectangle = tuple[int, int, int, int]
"""left, top, right, bottom in pixels; the column `right` and the row `bottom` belong to it."""
Way = Sequence[tuple[float, float]]
"""Places as fractions of the picture's width and height, in order of time."""


def draw_animals(
    pixels: Pixels,
    animals: Sequence[Estimate],
    lines: Sequence[DistanceLine] = (),
    *,
    ways: Sequence[Way] = (),
    min_side: int = MIN_SIDE,
    has_labels: bool = True,
) -> Image:
    """A copy of the picture with the box and the label of each measured animal; labels lie inside the picture.

    Animals without a box are left out: their position in the picture is unknown. lines: drawn below the boxes, with their
    metres. ways: of each animal up to here; with them, labels begin with the animal's number. min_side: pixels of the
    longer side to which smaller pictures are enlarged. has_labels: False leaves out the distances of the animals, for people
    who are to judge them.
    """
    from PIL import Image, ImageDraw

    image = Image.fromarray(pixels)
    scale = min_side / max(image.size)
    if scale > 1:
        size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
        image = image.resize(size, Image.Resampling.BICUBIC)
    marked = [
        (
            rectangle(animal.observation.box, image.size),
            animal.distance,
            f"#{animal.observation.animal_id}: " if ways else "",
        )
        for animal in animals
        if animal.observation.box is not None and animal.distance is not None
    ]
    boxes = [box for box, _, _ in marked]
    draw_lines(image, lines, boxes)
    draw = ImageDraw.Draw(image)
    for way in ways:
        _draw_way(draw, way, image.size)
    for box in boxes:
        _draw_box(draw, box, image.size)
    # Labels come after all boxes: no line crosses a label.
    labels: list[Rectangle] = []
    for i, (box, distance, number) in enumerate(marked if has_labels else ()):
        others = [other for j, other in enumerate(boxes) if j != i]
        labels.append(_draw_label(draw, number, distance, box, image.size, labels, others))
    return image


def draw_lines(image: Image, lines: Sequence[DistanceLine], boxes: Sequence[Rectangle] = ()) -> None:
    """Draws lines of equal distance, each with its metres where they meet no other label and, if possible, no box.

    A line without room for its metres is left out, because nobody could read it. Rough ones are dashed.
    """
    from PIL import Image as Images
    from PIL import ImageDraw

    if not lines:
        return
    (width, height), size = image.size, max(_TINY, round(max(image.size) / 40))
    font, placed = _font(size), list[Rectangle]()
    layer = Images.new("RGBA", (width * _FINER, height * _FINER), (*GROUND_LINE, 0))
    fine = ImageDraw.Draw(layer)
    words = {}
    for line in lines:
        label = f"{line.distance_m:g} m"
        spot = _line_label(line, image.size, (round(font.getlength(label)), size), placed, boxes)
        if spot is None:
            continue
        placed.append(spot)
        words[spot[:2]] = label
        places = [(x * width * _FINER, y * height * _FINER) for x, y in line.points]
        pieces = [list(piece) for piece in pairwise(places)][::2] if line.is_rough else [places]
        for colour, line_width in (((*EDGE, 140), 3.2), ((*GROUND_LINE, 255), 1.3)):
            for piece in pieces:
                fine.line(piece, colour, round(line_width * size / _TINY * _FINER), joint="curve")
    image.paste(layer.resize(image.size, Images.Resampling.BOX), mask=layer.getchannel("A").resize(image.size))
    draw = ImageDraw.Draw(image)
    for place, label in words.items():
        draw.text(place, label, GROUND_LINE, font, stroke_width=2, stroke_fill=EDGE)


def _line_label(
    line: DistanceLine,
    size_wh: tuple[int, int],
    label_wh: tuple[int, int],
    placed: Sequence[Rectangle],
    boxes: Sequence[Rectangle],
) -> Rectangle | None:
    """Where the metres of a line stand: on the line, as far left as there is room; None without room."""
    (width, height), (label_width, label_height) = size_wh, label_wh
    spots = []
    for x, y in line.points:
        left, top = round(x * width), round(y * height) - label_height // 2
        if _MARGIN <= left <= width - label_width - _MARGIN and 1 <= top <= height - label_height - 1:
            spots.append((left, top, left + label_width, top + label_height))
    free = [spot for spot in spots if not any(overlap(spot, other, edge=1) for other in placed)]
    clear = (spot for spot in free if not any(overlap(spot, box, edge=1) for box in boxes))
    return next(clear, free[0] if free else None)


def rectangle(box: Box, size_wh: tuple[int, int]) -> Rectangle:
    """The pixels that a box covers in a picture of the given width and height."""
    width, height = size_wh
    left, top = min(int(box.x1 * width), width - 1), min(int(box.y1 * height), height - 1)
    right, bottom = min(round(box.x2 * width), width) - 1, min(round(box.y2 * height), height) - 1
    return left, top, max(left, right), max(top, bottom)


def place_label(
    box: Rectangle,
    size_wh: tuple[int, int],
    label_wh: tuple[int, int],
    labels: Sequence[Rectangle],
    others: Sequence[Rectangle],
) -> Rectangle:
    """The rectangle of a label: above its box, below, inside or beside it, wherever there is first room in the picture.

    labels: the labels placed so far. others: the boxes of other animals, which a label covers only if there is no other room.
    Without any room, labels overlap rather than leave the picture.
    """
    (width, height), (label_width, label_height) = size_wh, label_wh
    left, top, right, bottom = box

    def at(x: int, y: int) -> Rectangle:
        x, y = max(0, min(x, width - label_width)), max(0, min(y, height - label_height))
        return x, y, min(x + label_width, width) - 1, min(y + label_height, height) - 1

    above, below = top - label_height - 2, bottom + 3
    corners = [(left, above)] if above >= 0 else []
    corners += [(left, below)] if below + label_height <= height else []
    corners += [(left, top), (left, bottom - label_height), (right + 3, top), (left - label_width - 3, top)]
    corners += [(left, y) for y in range(0, height - label_height + 1, label_height)]
    spots = [at(*corner) for corner in corners]
    free = [spot for spot in spots if not any(overlap(spot, label, edge=1) for label in labels)]
    best = (spot for spot in free if not any(overlap(spot, other, edge=1) for other in others))
    return next(best, free[0] if free else spots[0])


def overlap(a: Sequence[float], b: Sequence[float], *, edge: float = 0) -> bool:
    """Whether two rectangles (left, top, right, bottom) overlap.

    edge: 0 if they end at right and bottom; 1 for pixels, whose last column and row belong to them.
    """
    return a[0] < b[2] + edge and b[0] < a[2] + edge and a[1] < b[3] + edge and b[1] < a[3] + edge


def _draw_box(draw: ImageDraw, box: Rectangle, size_wh: tuple[int, int]) -> None:
    left, top, right, bottom = box
    width, height = size_wh
    outer = max(0, left - 1), max(0, top - 1), min(width - 1, right + 1), min(height - 1, bottom + 1)
    draw.rectangle(outer, outline=EDGE, width=min(4, *_sides(outer)))
    draw.rectangle(box, outline=LINE, width=min(2, *_sides(box)))


def _draw_way(draw: ImageDraw, way: Way, size_wh: tuple[int, int]) -> None:
    """The places where an animal stood, joined in their order."""
    width, height = size_wh
    places = [(min(x * width, width - 1), min(y * height, height - 1)) for x, y in way]
    for colour, line_width, radius in ((EDGE, 5, 6), (LINE, 2, 4)):
        if len(places) > 1:
            draw.line(places, colour, line_width, joint="curve")
        for x, y in places:
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)


def _draw_label(
    draw: ImageDraw,
    number: str,
    distance: Distance,
    box: Rectangle,
    size_wh: tuple[int, int],
    labels: Sequence[Rectangle],
    others: Sequence[Rectangle],
) -> Rectangle:
    large, small = _font(_LARGE), _font(_SMALL)
    # A hyphen, since the built-in font has no dash.
    value, interval = f"{number}{distance.distance_m:.1f} m", f"{distance.low_m:.1f}-{distance.high_m:.1f}"
    value_width, interval_width = round(large.getlength(value)), round(small.getlength(interval))
    label_wh = value_width + interval_width + 4 * _PADDING, _LARGE + 2 * _PADDING
    spot = place_label(box, size_wh, label_wh, labels, others)
    baseline = spot[1] + _PADDING + _LARGE - 4
    draw.rectangle(spot, fill=PLATE)
    draw.text((spot[0] + _PADDING, baseline), value, fill=LINE, font=large, anchor="ls")
    x = spot[0] + 3 * _PADDING + value_width
    draw.text((x, baseline), interval, fill=(255, 255, 255), font=small, anchor="ls")
    return spot


def _font(size: int) -> FreeTypeFont | ImageFont:
    from PIL.ImageFont import load_default

    return load_default(size)


def _sides(box: Rectangle) -> tuple[int, int]:
    return box[2] - box[0] + 1, box[3] - box[1] + 1
