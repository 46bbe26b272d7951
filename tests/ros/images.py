"""Image messages as cameras publish them."""

from __future__ import annotations

import array
import struct
import zlib

import numpy
from sensor_msgs.msg import CompressedImage, Image


def describe(image: Image | CompressedImage) -> str:
    """Describes an image for a message."""
    if isinstance(image, CompressedImage):
        return f"an image in format {image.format!r}"
    return f"an image of {image.width}x{image.height} in {image.encoding}, step {image.step}"


def pixels_of(image: Image) -> numpy.ndarray:
    """The pixels of an rgb8 message, height x width x 3."""
    assert image.encoding == "rgb8"
    return numpy.frombuffer(image.data, numpy.uint8).reshape(image.height, image.width, 3)


def raw(pixels: numpy.ndarray, encoding: str, padding: int = 0, frame_id: str = "camera") -> Image:
    """RGB pixels as a message in an encoding, with `padding` bytes after each row."""
    alpha = numpy.full((*pixels.shape[:2], 1), 77, numpy.uint8)
    channels = {
        "rgb8": pixels,
        "bgr8": pixels[:, :, ::-1],
        "rgba8": numpy.concatenate([pixels, alpha], axis=2),
        "bgra8": numpy.concatenate([pixels[:, :, ::-1], alpha], axis=2),
        "mono8": pixels[:, :, :1],
    }[encoding]
    height, width, depth = channels.shape
    rows = numpy.full((height, width * depth + padding), 255, numpy.uint8)
    rows[:, : width * depth] = channels.reshape(height, -1)
    image = Image(height=height, width=width, encoding=encoding, step=rows.shape[1])
    image.header.frame_id = frame_id
    image.data = array.array("B", rows.tobytes())
    return image


def compressed(data: bytes, format: str, frame_id: str = "camera") -> CompressedImage:
    """The bytes of an image file as a message."""
    image = CompressedImage(format=format, data=array.array("B", data))
    image.header.frame_id = frame_id
    return image


def png_of(pixels: numpy.ndarray) -> bytes:
    """RGB pixels as a PNG file."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    height, width, _ = pixels.shape
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )
