"""Resizes a picture as the network expects it, and encodes and decodes it for a store."""

from __future__ import annotations

import struct
from importlib import import_module
from typing import Any

import numpy as np

from trapmeter.errors import InputError, MissingExtraError
from trapmeter.frames.spec import Codec, StoreSpec
from trapmeter.media.reader import ExactSize, Scale
from trapmeter.models.input_spec import Resize
from trapmeter.records import Pixels


def decode_scale(size_hw: tuple[int, int], resize: Resize) -> Scale:
    """The scale for opening a medium: the requested size, or None (full size) if OpenCV resizes afterwards."""
    return ExactSize(*size_hw) if resize is Resize.SWSCALE_AREA else None


def resize_picture(pixels: Pixels, size_hw: tuple[int, int], resize: Resize) -> Pixels:
    """A picture of a medium opened with `decode_scale`, in the requested size."""
    if resize is Resize.SWSCALE_AREA:
        return pixels
    import cv2

    height, width = size_hw
    return np.asarray(cv2.resize(pixels, (width, height), interpolation=cv2.INTER_LINEAR), dtype=np.uint8)


def require_codec(codec: Codec) -> None:
    """Checks that the codec's package is installed, before hours of work that need it.

    Raises:
        MissingExtraError: the codec is JPEG, and simplejpeg is not installed.
    """
    if codec is Codec.JPEG:
        _simplejpeg()


def encode_picture(pixels: Pixels, spec: StoreSpec) -> bytes:
    """Encodes a picture for a store, always to the same bytes."""
    if spec.codec is Codec.JPEG:
        # Today's libjpeg-turbo gives the same bytes with fastdct; False requests the accurate method in every version.
        encoded: bytes = _simplejpeg().encode_jpeg(
            np.ascontiguousarray(pixels),
            quality=spec.jpeg_quality,
            colorspace="RGB",
            colorsubsampling="444",
            fastdct=False,
        )
        return encoded
    import cv2

    is_done, png = cv2.imencode(".png", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))
    assert is_done
    return bytes(png.tobytes())


def decode_picture(out: Pixels, encoded: bytes, spec: StoreSpec) -> None:
    """Decodes a stored picture into out: uint8, height x width x 3, contiguous.

    Raises:
        InputError: the bytes are not a picture of the store's size.
    """
    if spec.codec is Codec.JPEG:
        _decode_jpeg(out, encoded, spec.size_hw)
    else:
        _decode_png(out, encoded, spec.size_hw)


def _decode_jpeg(out: Pixels, encoded: bytes, size_hw: tuple[int, int]) -> None:
    simplejpeg = _simplejpeg()
    try:
        height, width, *_ = simplejpeg.decode_jpeg_header(encoded)
        _check_size((height, width), size_hw)
        # fastdct would save 4% of the time with 25% more error; fastupsample has no effect without subsampling.
        simplejpeg.decode_jpeg(encoded, colorspace="RGB", fastdct=False, fastupsample=False, buffer=out)
    except ValueError as error:
        raise InputError(f"not a JPEG picture: {error}") from error


def _decode_png(out: Pixels, encoded: bytes, size_hw: tuple[int, int]) -> None:
    import cv2

    if encoded[:8] != b"\x89PNG\r\n\x1a\n" or encoded[12:16] != b"IHDR" or len(encoded) < 33:
        raise InputError("not a PNG picture")
    _check_size(struct.unpack_from(">II", encoded, 16)[::-1], size_hw)
    try:
        bgr = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error as error:
        raise InputError("not a PNG picture that can be decoded") from error
    if bgr is None or bgr.shape != out.shape:
        raise InputError("not a PNG picture that can be decoded")
    cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB, dst=out)


def _check_size(found_hw: tuple[int, ...], size_hw: tuple[int, int]) -> None:
    if tuple(found_hw) != size_hw:
        raise InputError(f"expected {size_hw[0]} x {size_hw[1]} pixels, got {found_hw[0]} x {found_hw[1]}")


def _simplejpeg() -> Any:
    try:
        return import_module("simplejpeg")
    except ImportError:
        raise MissingExtraError("simplejpeg", "train") from None
