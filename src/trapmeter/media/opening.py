"""Opens a medium: chooses the reader for a video or a photo."""

from __future__ import annotations

from contextlib import AbstractContextManager

from trapmeter.media.reader import MediumReader, Scale
from trapmeter.records import Medium, MediumKind


def open_medium(medium: Medium, *scales: Scale) -> AbstractContextManager[MediumReader]:
    """Opens a video or photo for reading frames, in full size unless a scale is given.

    With several scales, each picture is decoded once for all of them: the first is the scale of Frame.pixels, the others
    are those of Frame.others.

    Raises:
        MediaError: the file can't be opened or has no picture; the text is the decoder's own.
    """
    if medium.kind is MediumKind.PHOTO:
        from trapmeter.media.photo import open_photo  # loads Pillow only for photos

        return open_photo(medium.path, *scales)
    from trapmeter.media.video import open_video  # loads PyAV only for videos

    return open_video(medium.path, *scales)
