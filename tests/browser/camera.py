"""The camera of the browser: a video file, whose frames the tests replace while the browser plays it in a loop."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy
from sensor_msgs.msg import Image

from harness import CAMERA, IN_NAMESPACE, LABELS, NEWEST, World, truth_of
from images import pixels_of

WIDTH, HEIGHT = 640, 480
# More than a frozen camera repeats, so that this one is not taken for one.
FRAMES = 24
RATE = 15


def pictures_of_hands(world: World, photos: Path | None) -> dict[str, list[bytes]]:
    """Frames of the package's own camera for `odd:LABEL`, to teach, and `even:LABEL`, to recognize, as I420."""
    source = ["--photos", str(photos)] if photos else []
    camera = world.start(
        "photo_camera", *source, "--size", f"{WIDTH}x{HEIGHT}", "--encoding", "rgb8", "--rate", "60", "--show", "odd:none", *IN_NAMESPACE
    )
    frames = world.listen(Image, CAMERA, NEWEST)
    pictures: dict[str, list[bytes]] = {}
    for part in ["odd", "even"]:
        for label in LABELS:
            world.show(f"{part}:{label}", frames)
            frames.clear()
            # The last one of what was shown before may still arrive.
            world.wait_for(lambda: len(frames) > FRAMES, f"frames of {label}", camera)
            assert all(truth_of(frame) == label for frame in frames[1:])
            pictures[f"{part}:{label}"] = [i420_of(pixels_of(frame)) for frame in frames[1 : FRAMES + 1]]
    return pictures


def i420_of(pixels: numpy.ndarray) -> bytes:
    """RGB pixels as planes of Y, U and V (ITU-R BT.601, limited range), color at half the resolution."""
    red, green, blue = (pixels[:, :, i].astype(numpy.float32) for i in range(3))
    luma = 16 + 0.257 * red + 0.504 * green + 0.098 * blue
    cb = 128 - 0.148 * red - 0.291 * green + 0.439 * blue
    cr = 128 + 0.439 * red - 0.368 * green - 0.071 * blue
    planes = [luma, *(plane.reshape(HEIGHT // 2, 2, WIDTH // 2, 2).mean(axis=(1, 3)) for plane in (cb, cr))]
    return b"".join(plane.round().clip(0, 255).astype(numpy.uint8).tobytes() for plane in planes)


class FakeCamera:
    """A YUV4MPEG2 file. Chromium reads each frame from it when it is due, so what is written into it is shown at once."""

    def __init__(self, file: Path, pictures: dict[str, Any]) -> None:
        self.file = file
        self.pictures = pictures
        self.show("odd:none")

    def show(self, what: str) -> None:
        """Shows the frames of `odd:LABEL` or `even:LABEL` from now on."""
        header = f"YUV4MPEG2 W{WIDTH} H{HEIGHT} F{RATE}:1 Ip A1:1 C420jpeg\n".encode()
        content = header + b"".join(b"FRAME\n" + frame for frame in self.pictures[what])
        # In place: the browser has the file open.
        with self.file.open("r+b" if self.file.exists() else "wb") as file:
            file.write(content)
