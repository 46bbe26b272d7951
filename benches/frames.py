"""Writes the frames of the training benchmark, 640x480 JPEG files, as datasets. Started by benches/training.py.

    frames.py DIRECTORY COUNT ADDED [PHOTOS]

Writes COUNT frames to DIRECTORY/train, and all except the last ADDED to DIRECTORY/earlier. PHOTOS is a directory with one directory
of photos per label. Of each burst (files of one label whose names differ only in the number at the end), the first three quarters are
used for training, repeated as smaller and smaller crops until there are COUNT frames, and the last quarter is written to
DIRECTORY/held_out. Without PHOTOS, the frames are noise and none are held out.
"""

import re
import shutil
import sys
from collections.abc import Iterator
from itertools import count, islice
from pathlib import Path

import numpy
from PIL import Image

SIZE = (640, 480)
LABELS = ["none", "thumbs_down", "thumbs_up"]
# Each further crop removes this much on every side; the last one still shows most of the hand.
CROP_STEP = (16, 12)
MAX_CROPS = 6


def bursts_in(photos: Path) -> dict[tuple[str, str], list[Path]]:
    """The photos of each burst in order, by label and name without the number."""
    bursts: dict[tuple[str, str], list[Path]] = {}
    for file in sorted(photos.glob("*/*")):
        if file.suffix.lower() in {".jpg", ".jpeg", ".png"}:
            bursts.setdefault((file.parent.name, re.sub(r"\d+$", "", file.stem)), []).append(file)
    return bursts


def crops(photos: list[Path]) -> Iterator[tuple[str, Image.Image]]:
    """Yields label and image: first every photo in full, then every photo cropped once, and so on."""
    for number in range(MAX_CROPS + 1):
        for file in photos:
            image = Image.open(file).convert("RGB").resize(SIZE)
            x, y = (number * step for step in CROP_STEP)
            yield file.parent.name, image.crop((x, y, SIZE[0] - x, SIZE[1] - y)).resize(SIZE)


def noise() -> Iterator[tuple[str, Image.Image]]:
    """Colored patches: JPEG files of pure noise take much longer to decode than those of a camera."""
    for number in count():
        patches = numpy.random.default_rng(number).integers(0, 256, (24, 32, 3), dtype=numpy.uint8)
        yield LABELS[number % len(LABELS)], Image.fromarray(patches).resize(SIZE)


def write(directory: Path, frames: Iterator[tuple[str, Image.Image]]) -> list[Path]:
    files = []
    for number, (label, image) in enumerate(frames):
        file = directory / label / f"{number:04}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        image.save(file, quality=90)
        files.append(file)
    return files


def main(directory: Path, wanted: int, added: int, photos: Path | None) -> None:
    source = noise()
    if photos is not None:
        train, held_out = [], []
        for burst in bursts_in(photos).values():
            cut = -(-3 * len(burst) // 4)
            train += enumerate(burst[:cut])
            held_out += burst[cut:]
        # Alternates between the bursts, so that the first frames include all labels.
        source = crops([file for _, file in sorted(train, key=lambda numbered: numbered[0])])
        write(directory / "held_out", islice(crops(held_out), len(held_out)))
    files = write(directory / "train", islice(source, wanted))
    if len(files) < wanted:
        sys.exit(f"{photos} has photos for {len(files)} frames, must be at least {wanted}; each photo gives {MAX_CROPS + 1} frames")
    for file in files[: wanted - added]:
        earlier = directory / "earlier" / file.relative_to(directory / "train")
        earlier.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, earlier)


if __name__ == "__main__":
    match sys.argv[1:]:
        case [directory, wanted, added, *photos] if len(photos) <= 1:
            main(Path(directory), int(wanted), int(added), Path(photos[0]) if photos else None)
        case _:
            sys.exit(__doc__)
