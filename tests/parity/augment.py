"""Augmented images and sampled parameters of torchvision, for tests/augment_parity.rs."""

import json
import sys
from pathlib import Path

import torch
from reference import write_tensors
from torchvision import transforms
from torchvision.transforms.v2 import functional


def apply(directory: Path) -> None:
    """Writes the image after each augmentation. Pixels outside the image repeat its edge."""
    image = torch.frombuffer(bytearray((directory / "image.f32").read_bytes()), dtype=torch.float32)
    image = image.reshape(3, 224, 224)
    augmented = {}
    for number, parameters in enumerate(json.loads((directory / "augmentations.json").read_text())):
        augmented[str(number)] = adjust_color(transform_geometry(image, parameters), parameters)
    write_tensors(directory / "expected.safetensors", augmented)


def transform_geometry(image: torch.Tensor, parameters: dict) -> torch.Tensor:
    bilinear = transforms.InterpolationMode.BILINEAR
    top, left, height, width = parameters["crop"]
    image = functional.resized_crop(image, top, left, height, width, [224, 224], bilinear)
    if parameters["is_flipped"]:
        image = functional.horizontal_flip(image)
    padded = functional.pad(image, [192], padding_mode="edge")
    if parameters["translate"] == [0, 0] and parameters["scale"] == 1:
        padded = functional.rotate(padded, -parameters["degrees"], bilinear)
    else:
        padded = functional.affine(padded, parameters["degrees"], parameters["translate"], parameters["scale"], [0, 0], bilinear)
    return functional.center_crop(padded, [224, 224])


def adjust_color(image: torch.Tensor, parameters: dict) -> torch.Tensor:
    adjustments = [
        functional.adjust_brightness,
        functional.adjust_contrast,
        functional.adjust_saturation,
        functional.adjust_hue,
    ]
    for index in parameters["order"]:
        image = adjustments[index](image, parameters["factors"][index])
    return image


def sample(directory: Path) -> None:
    """Writes the deciles, with minimum and maximum, of the parameters that torchvision's transforms sample from the ranges."""
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
    {"apply": apply, "sample": sample}[sys.argv[1]](Path(sys.argv[2]))
