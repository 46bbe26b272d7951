"""Augmented images and distributions of torchvision, for tests/augment_parity.rs."""

import json
import sys
from pathlib import Path

import torch
from reference import write_tensors
from torchvision import transforms
from torchvision.transforms.v2 import functional


def changes(directory: Path) -> None:
    """Writes the image after each change. Beyond the image, its edge pixels are repeated."""
    image = torch.frombuffer(bytearray((directory / "image.f32").read_bytes()), dtype=torch.float32)
    image = image.reshape(3, 224, 224)
    changed = {}
    for number, change in enumerate(json.loads((directory / "changes.json").read_text())):
        changed[str(number)] = change_color(change_geometry(image, change), change)
    write_tensors(directory / "expected.safetensors", changed)


def change_geometry(image: torch.Tensor, change: dict) -> torch.Tensor:
    bilinear = transforms.InterpolationMode.BILINEAR
    top, left, height, width = change["crop"]
    image = functional.resized_crop(image, top, left, height, width, [224, 224], bilinear)
    if change["is_flipped"]:
        image = functional.horizontal_flip(image)
    padded = functional.pad(image, [192], padding_mode="edge")
    if change["translate"] == [0, 0] and change["scale"] == 1:
        padded = functional.rotate(padded, -change["degrees"], bilinear)
    else:
        padded = functional.affine(padded, change["degrees"], change["translate"], change["scale"], [0, 0], bilinear)
    return functional.center_crop(padded, [224, 224])


def change_color(image: torch.Tensor, change: dict) -> torch.Tensor:
    adjustments = [
        functional.adjust_brightness,
        functional.adjust_contrast,
        functional.adjust_saturation,
        functional.adjust_hue,
    ]
    for index in change["order"]:
        image = adjustments[index](image, change["factors"][index])
    return image


def ranges(directory: Path) -> None:
    """Writes the deciles, with minimum and maximum, of what torchvision's transforms draw from the ranges."""
    torch.manual_seed(0)
    limits = json.loads((directory / "ranges.json").read_text())
    jitter = transforms.ColorJitter(*(limits[name] for name in ["brightness", "contrast", "saturation", "hue"]))
    jitter_ranges = [jitter.brightness, jitter.contrast, jitter.saturation, jitter.hue]
    degrees, translate, image = limits["degrees"], limits["translate"], torch.zeros(3, 224, 224)
    rows = []
    for _ in range(5000):
        _, *factors = transforms.ColorJitter.get_params(*jitter_ranges)
        angle, shift, scale, _ = transforms.RandomAffine.get_params(
            [-degrees, degrees], [translate, translate], limits["scale"], None, [224, 224]
        )
        top, left, height, width = transforms.RandomResizedCrop.get_params(
            image, limits["crop_scale"], limits["crop_ratio"]
        )
        rows.append([*factors, angle, *shift, scale, top, left, height, width])
    names = ["brightness", "contrast", "saturation", "hue", "degrees", "translate_x", "translate_y", "scale"]
    names += ["crop_top", "crop_left", "crop_height", "crop_width"]
    deciles = torch.quantile(torch.tensor(rows), torch.linspace(0, 1, 11), dim=0)
    write_tensors(directory / "expected.safetensors", {name: deciles[:, column] for column, name in enumerate(names)})


if __name__ == "__main__":
    {"changes": changes, "ranges": ranges}[sys.argv[1]](Path(sys.argv[2]))
