"""The kernel of image summaries: PNG files."""

from __future__ import annotations

import struct
import zlib
from typing import Any

import numpy as np

from headrace import _core
from headrace.framework import protos

# PNG's word for what a pixel of so many channels is: grey, grey with opacity, colour, colour with opacity.
_COLOR_TYPE = {1: 0, 2: 4, 3: 2, 4: 6}


def png(pixels: np.ndarray[Any, Any]) -> bytes:
    """A PNG file of a uint8 array [height, width, channels] of 1 to 4 channels."""

    def part(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    height, width, channels = pixels.shape
    rows = pixels.reshape(height, width * channels)
    # A zero before each row: it stands as it is, not as a difference from its neighbours.
    data = np.pad(rows, ((0, 0), (1, 0))).tobytes()
    header = struct.pack(">IIBBBBB", width, height, 8, _COLOR_TYPE[channels], 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + part(b"IHDR", header) + part(b"IDAT", zlib.compress(data)) + part(b"IEND", b"")
    )


def as_bytes(image: np.ndarray[Any, Any], bad_color: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """One image as uint8: scaled so that its brightest pixel is 255, or, if it has negative ones, so that 0
    becomes 128 and the farthest from it 1 or 255."""
    if image.dtype == np.uint8:
        return image
    image = image.astype(np.float32)
    finite = np.isfinite(image)
    values = image[finite]
    least, most = (values.min(), values.max()) if values.size else (0, 0)
    extent, steps, zero = (max(-least, most), 127, 128) if least < 0 else (most, 255, 0)
    scale = np.float32(0 if extent < 1e-6 else steps / extent)
    with np.errstate(invalid="ignore"):
        scaled = np.where(finite, image, 0) * scale + np.float32(zero)
    pixels = scaled.astype(np.uint8)
    # A pixel is bad as a whole.
    return np.where(finite.all(axis=-1, keepdims=True), pixels, bad_color[: image.shape[-1]])


def image_summary(
    tag: np.ndarray[Any, Any],
    images: np.ndarray[Any, Any],
    max_images: int,
    bad_color: np.ndarray[Any, Any],
    T: int,
) -> np.ndarray[Any, Any]:
    """The kernel: a Summary with the first images."""
    name = tag.item().decode()
    _, height, width, channels = images.shape
    if channels not in (1, 3, 4):
        raise ValueError(f"the images have {channels} channels, expected 1, 3 or 4")
    if not height or not width:
        raise ValueError(f"the images have shape {images.shape}: there are no pixels")
    if bad_color.dtype != np.uint8 or bad_color.ndim != 1 or len(bad_color) < channels:
        raise ValueError(f"bad_color is {bad_color!r}, expected a byte for each of the {channels} channels")
    summary = protos.Summary()
    for number, image in enumerate(images[:max_images]):
        value = summary.value.add(tag=f"{name}/image" + (f"/{number}" if max_images > 1 else ""))
        value.image.height, value.image.width, value.image.colorspace = height, width, channels
        value.image.encoded_image_string = png(as_bytes(image, bad_color))
    return np.array(summary.SerializeToString(), dtype=object)


_core.add_kernel("ImageSummary", image_summary)
