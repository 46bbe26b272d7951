"""What torchvision and the ONNX package make of the same weights and pictures; started by tests/parity.rs.

Tensors are handed over as safetensors files, written here by hand so that nothing else need be installed.
"""

import json
import struct
import sys
from pathlib import Path

import torch
from PIL import Image
from torchvision import models, transforms


def write_tensors(path: Path, tensors: dict[str, torch.Tensor]) -> None:
    header, blobs, offset = {}, [], 0
    for name, tensor in tensors.items():
        blob = tensor.detach().contiguous().numpy().astype("<f4").tobytes()
        header[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": [offset, offset + len(blob)]}
        blobs.append(blob)
        offset += len(blob)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(blobs))


def preprocess(picture: Path) -> torch.Tensor:
    steps = transforms.Compose(
        [
            transforms.Resize((224, 224)),
            transforms.ToTensor(),
            transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
        ]
    )
    return steps(Image.open(picture).convert("RGB"))


def network(name: str, folder: Path) -> None:
    """Random weights, where there is batch normalisation random statistics too, an input and its logits."""
    torch.manual_seed(0)
    module = models.get_model(name, weights=None).eval()
    for key, buffer in module.named_buffers():
        if key.endswith("running_mean"):
            buffer.normal_(0, 0.1)
        elif key.endswith("running_var"):
            buffer.uniform_(0.5, 1.5)
    batch = torch.randn(2, 3, 224, 224)
    with torch.no_grad():
        logits = module(batch)
    weights = {key: tensor for key, tensor in module.state_dict().items() if tensor.is_floating_point()}
    write_tensors(folder / "weights.safetensors", weights)
    write_tensors(folder / "expected.safetensors", {"input": batch, "logits": logits})


def inputs(folder: Path) -> None:
    """The network input of every picture in a folder."""
    pictures = sorted(folder.glob("*.png"))
    write_tensors(folder / "expected.safetensors", {picture.name: preprocess(picture) for picture in pictures})


def check_onnx(folder: Path) -> None:
    """The ONNX package's own checker, with the shapes inferred."""
    import onnx

    onnx.checker.check_model(str(folder / "model.onnx"), full_check=True)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["network", name, folder]:
            network(name, Path(folder))
        case ["inputs", folder]:
            inputs(Path(folder))
        case ["check_onnx", folder]:
            check_onnx(Path(folder))
        case _:
            sys.exit(__doc__)
