"""Writes images in each encoding of sensor_msgs, and their conversion to RGB by OpenCV, which cv_bridge uses. Started by tests/encodings.rs.

    reference.py DIRECTORY

DIRECTORY gets two files per case, CASE.raw with the data of a message and CASE.rgb with the image in rgb8, and cases.json with the other
fields of the messages.
"""

import json
import sys
from pathlib import Path

import cv2
import numpy

WIDTH, HEIGHT = 62, 46
PADDING = 10


def cases() -> dict[str, dict]:
    """The rows of a message, without padding, and the image in rgb8, for each encoding."""
    noise = numpy.random.default_rng(1)
    rgba = noise.integers(0, 256, (HEIGHT, WIDTH, 4), numpy.uint8)
    wide = noise.integers(0, 65536, (HEIGHT, WIDTH, 4), numpy.uint16)
    rgb, gray = rgba[:, :, :3], rgba[:, :, 0]
    narrow = cv2.convertScaleAbs(wide, alpha=255 / 65535)
    bgr = [2, 1, 0]
    found = {
        "rgb8": (rgb, rgb),
        "bgr8": (rgb[:, :, bgr], rgb),
        "8UC3": (rgb[:, :, bgr], rgb),
        "rgba8": (rgba, rgb),
        "bgra8": (rgba[:, :, [*bgr, 3]], rgb),
        "8UC4": (rgba[:, :, [*bgr, 3]], rgb),
        "mono8": (gray, cv2.cvtColor(gray, cv2.COLOR_GRAY2RGB)),
        "8UC1": (gray, cv2.cvtColor(gray, cv2.COLOR_GRAY2RGB)),
        "mono16": (wide[:, :, 0], cv2.cvtColor(narrow[:, :, 0], cv2.COLOR_GRAY2RGB)),
        "rgb16": (wide[:, :, :3], narrow[:, :, :3]),
        "bgr16": (wide[:, :, bgr], narrow[:, :, :3]),
        "rgba16": (wide, narrow[:, :, :3]),
        "bgra16": (wide[:, :, [*bgr, 3]], narrow[:, :, :3]),
    }
    for pattern in ["rggb", "grbg", "gbrg", "bggr"]:
        code = getattr(cv2, f"COLOR_Bayer{pattern.upper()}2RGB")
        found[f"bayer_{pattern}8"] = gray, cv2.cvtColor(gray, code)
        mosaic = wide[:, :, 0].copy()
        found[f"bayer_{pattern}16"] = mosaic, cv2.convertScaleAbs(cv2.cvtColor(mosaic, code), alpha=255 / 65535)
    pairs = rgba[:, :, :2].copy()
    for names, code in [(("uyvy", "yuv422"), cv2.COLOR_YUV2RGB_UYVY), (("yuyv", "yuv422_yuy2"), cv2.COLOR_YUV2RGB_YUY2)]:
        found |= {name: (pairs, cv2.cvtColor(pairs, code)) for name in names}
    semi_planar = noise.integers(0, 256, (HEIGHT * 3 // 2, WIDTH), numpy.uint8)
    found["nv12"] = semi_planar, cv2.cvtColor(semi_planar, cv2.COLOR_YUV2RGB_NV12)
    found["nv21"] = semi_planar, cv2.cvtColor(semi_planar, cv2.COLOR_YUV2RGB_NV21)
    # OpenCV has no nv24: it is derived from nv21, with chroma repeated for each pixel and Cb first.
    chroma = semi_planar[HEIGHT:].reshape(HEIGHT // 2, WIDTH // 2, 2)[:, :, ::-1].repeat(2, 0).repeat(2, 1)
    found["nv24"] = (semi_planar[:HEIGHT], chroma), found["nv21"][1]
    return found


def message(rows: numpy.ndarray | tuple, byte_order: str) -> tuple[int, bytes]:
    """The step and the data of a message, with padding after each row."""
    if isinstance(rows, tuple):
        luma, chroma = rows
        step = luma.shape[1] + PADDING
        # In nv24 a row of chroma is as long as two rows of luma.
        padded = [numpy.pad(luma, ((0, 0), (0, PADDING)), constant_values=7)]
        padded.append(numpy.pad(chroma.reshape(len(chroma), -1), ((0, 0), (0, 2 * PADDING)), constant_values=7))
        return step, b"".join(part.tobytes() for part in padded)
    rows = rows.astype(rows.dtype.newbyteorder(byte_order))
    lines = numpy.ascontiguousarray(rows).reshape(len(rows), -1).view(numpy.uint8)
    padded = numpy.pad(lines, ((0, 0), (0, PADDING)), constant_values=7)
    return padded.shape[1], padded.tobytes()


def main(directory: Path) -> None:
    found = {}
    for encoding, (rows, image) in cases().items():
        for byte_order in "<>" if encoding.endswith("16") else "<":
            name = encoding + ("_big_endian" if byte_order == ">" else "")
            step, data = message(rows, byte_order)
            (directory / f"{name}.raw").write_bytes(data)
            (directory / f"{name}.rgb").write_bytes(numpy.ascontiguousarray(image).tobytes())
            found[name] = {
                "encoding": encoding,
                "is_bigendian": byte_order == ">",
                "width": WIDTH,
                "height": HEIGHT,
                "step": step,
                # OpenCV repeats the adjacent row and column at the border of a Bayer image.
                "border": 1 if encoding.startswith("bayer") else 0,
            }
    (directory / "cases.json").write_text(json.dumps(found))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
