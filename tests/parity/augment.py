"""What torchvision makes of the same pictures and factors, and what it draws; started by tests/augment_parity.rs."""

import json
import sys
from pathlib import Path

import torch
from reference import write_tensors
from torchvision import transforms
from torchvision.transforms.v2 import functional


def changes(folder: Path) -> None:
    """The picture after each change; the geometry sees the picture's edge go on beyond it."""
    picture = torch.frombuffer(bytearray((folder / "picture.f32").read_bytes()), dtype=torch.float32)
    picture = picture.reshape(3, 224, 224)
    changed = {}
    for number, change in enumerate(json.loads((folder / "changes.json").read_text())):
        changed[str(number)] = change_color(change_place(picture, change), change)
    write_tensors(folder / "expected.safetensors", changed)


def change_place(picture: torch.Tensor, change: dict) -> torch.Tensor:
    bilinear = transforms.InterpolationMode.BILINEAR
    top, left, height, width = change["crop"]
    picture = functional.resized_crop(picture, top, left, height, width, [224, 224], bilinear)
    if change["is_flipped"]:
        picture = functional.horizontal_flip(picture)
    padded = functional.pad(picture, [192], padding_mode="edge")
    if change["translate"] == [0, 0] and change["scale"] == 1:
        padded = functional.rotate(padded, -change["degrees"], bilinear)
    else:
        padded = functional.affine(padded, change["degrees"], change["translate"], change["scale"], [0, 0], bilinear)
    return functional.center_crop(padded, [224, 224])


def change_color(picture: torch.Tensor, change: dict) -> torch.Tensor:
    adjustments = [
        functional.adjust_brightness,
        functional.adjust_contrast,
        functional.adjust_saturation,
        functional.adjust_hue,
    ]
    for index in change["order"]:
        picture = adjustments[index](picture, change["factors"][index])
    return picture


def ranges(folder: Path) -> None:
    """The deciles of what torchvision's transforms draw from given ranges, the least and the greatest among them."""
    torch.manual_seed(0)
    limits = json.loads((folder / "ranges.json").read_text())
    jitter = transforms.ColorJitter(*(limits[name] for name in ["brightness", "contrast", "saturation", "hue"]))
    jitter_ranges = [jitter.brightness, jitter.contrast, jitter.saturation, jitter.hue]
    degrees, translate, picture = limits["degrees"], limits["translate"], torch.zeros(3, 224, 224)
    rows = []
    for _ in range(5000):
        _, *factors = transforms.ColorJitter.get_params(*jitter_ranges)
        angle, shift, scale, _ = transforms.RandomAffine.get_params(
            [-degrees, degrees], [translate, translate], limits["scale"], None, [224, 224]
        )
        top, left, height, width = transforms.RandomResizedCrop.get_params(
            picture, limits["crop_scale"], limits["crop_ratio"]
        )
        rows.append([*factors, angle, *shift, scale, top, left, height, width])
    names = ["brightness", "contrast", "saturation", "hue", "degrees", "translate_x", "translate_y", "scale"]
    names += ["crop_top", "crop_left", "crop_height", "crop_width"]
    deciles = torch.quantile(torch.tensor(rows), torch.linspace(0, 1, 11), dim=0)
    write_tensors(folder / "expected.safetensors", {name: deciles[:, column] for column, name in enumerate(names)})


if __name__ == "__main__":
    {"changes": changes, "ranges": ranges}[sys.argv[1]](Path(sys.argv[2]))
