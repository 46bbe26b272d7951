"""Writes the frames that the training benchmark learns from, 640x480 JPEG files in image directories. Started by benches/training.py.

    frames.py DIRECTORY COUNT ADDED [PHOTOS]

DIRECTORY/train gets COUNT frames, DIRECTORY/earlier all of them but the last ADDED. PHOTOS is an image directory of your own: of each
take (files of one label with the same name but for the number at its end) the first three quarters are trained on, repeated
as ever smaller crops until there are COUNT frames, and DIRECTORY/held_out gets the last quarter. Without PHOTOS the frames are
noise, and nothing is held out, as there is nothing to recognise.
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
# Each further crop takes as much off every side; the last one still shows most of the hand.
CROP_STEP = (16, 12)
MOST_CROPS = 6


def takes_of(photos: Path) -> dict[tuple[str, str], list[Path]]:
    """The photos of each take in order, by label and name without the number."""
    takes: dict[tuple[str, str], list[Path]] = {}
    for file in sorted(photos.glob("*/*")):
        if file.suffix.lower() in {".jpg", ".jpeg", ".png"}:
            takes.setdefault((file.parent.name, re.sub(r"\d+$", "", file.stem)), []).append(file)
    return takes


def crops(photos: list[Path]) -> Iterator[tuple[str, Image.Image]]:
    """Label and image: first every photo whole, then every one a little smaller, and so on."""
    for number in range(MOST_CROPS + 1):
        for file in photos:
            image = Image.open(file).convert("RGB").resize(SIZE)
            x, y = (number * step for step in CROP_STEP)
            yield file.parent.name, image.crop((x, y, SIZE[0] - x, SIZE[1] - y)).resize(SIZE)


def noise() -> Iterator[tuple[str, Image.Image]]:
    """Coloured patches: pure noise would make JPEG files that take far longer to decode than a camera's."""
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
        for take in takes_of(photos).values():
            cut = -(-3 * len(take) // 4)
            train += enumerate(take[:cut])
            held_out += take[cut:]
        # Take by turns with take, so that the first frames are already some of each label.
        source = crops([file for _, file in sorted(train, key=lambda numbered: numbered[0])])
        write(directory / "held_out", islice(crops(held_out), len(held_out)))
    files = write(directory / "train", islice(source, wanted))
    if len(files) < wanted:
        sys.exit(f"{photos} has photos for {len(files)} frames, not for {wanted}: each makes {MOST_CROPS + 1}")
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
