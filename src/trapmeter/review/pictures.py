"""The pictures and videos that the review page shows."""

from __future__ import annotations

from trapmeter.review.results import Results
from trapmeter.web.pictures import WORKERS, Pictures

PLAYABLE_TYPES = {
    ".mp4": "video/mp4",
    ".m4v": "video/mp4",
    ".mov": "video/quicktime",
    ".webm": "video/webm",
    ".mkv": "video/x-matroska",
}
"""Types that a browser may be able to play; if it can't, the page shows single pictures."""


def open_pictures(results: Results, workers: int = WORKERS) -> Pictures:
    """The pictures of the media under review, by their numbers."""
    return Pictures(results.medium, store=results.root if results.is_store else None, workers=workers)


def open_references(results: Results, workers: int = 1) -> Pictures:
    """The reference photographs of the cameras under review, by their numbers."""
    return Pictures(results.reference, workers=workers)
