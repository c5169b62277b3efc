"""Opens a medium: chooses the reader for a video or a photo."""

from __future__ import annotations

from contextlib import AbstractContextManager

from trapmeter.media.reader import MediumReader, Scale
from trapmeter.records import Medium, MediumKind


def open_medium(medium: Medium, *scales: Scale) -> AbstractContextManager[MediumReader]:
    """Opens a video or photo; pictures come scaled, or in full size where no scale is given.

    Of several scales the first is that of Frame.pixels, the further ones those of Frame.others: a picture is decoded once for
    all of them.

    Raises:
        MediaError: it can't be opened or holds no picture; the text is the decoder's own.
    """
    if medium.kind is MediumKind.PHOTO:
        from trapmeter.media.photo import open_photo  # Pillow loads only for photos

        return open_photo(medium.path, *scales)
    from trapmeter.media.video import open_video  # PyAV loads only for videos

    return open_video(medium.path, *scales)
