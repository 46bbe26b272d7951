"""Results of torchvision and the ONNX checker, for tests/parity.rs, tests/import.rs and tests/export.rs.

Writes tensors as safetensors files without the package safetensors.
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
        blob = tensor.detach().float().contiguous().numpy().astype("<f4").tobytes()
        header[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": [offset, offset + len(blob)]}
        blobs.append(blob)
        offset += len(blob)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(blobs))


IMAGENET = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])


def preprocess(image: Path, color_order: str = "rgb", normalization: tuple[list[float], list[float]] = IMAGENET) -> torch.Tensor:
    steps = transforms.Compose(
        [
            transforms.Resize((224, 224)),
            transforms.ToTensor(),
            transforms.Normalize(*normalization),
        ]
    )
    pixels = Image.open(image).convert("RGB")
    if color_order == "bgr":
        # As in NVIDIA's course, which gives what cv2.imread reads to torchvision.
        red, green, blue = pixels.split()
        pixels = Image.merge("RGB", (blue, green, red))
    return steps(pixels)


def random_module(name: str, outputs: int) -> torch.nn.Module:
    """A network with random weights, and random statistics of batch normalization."""
    torch.manual_seed(0)
    module = models.get_model(name, weights=None, num_classes=outputs).eval()
    for key, buffer in module.named_buffers():
        if key.endswith("running_mean"):
            buffer.normal_(0, 0.1)
        elif key.endswith("running_var"):
            buffer.uniform_(0.5, 1.5)
    return module


def network(name: str, directory: Path) -> None:
    """Writes random weights, an input and its logits."""
    module = random_module(name, 1000)
    batch = torch.randn(2, 3, 224, 224)
    with torch.no_grad():
        logits = module(batch)
    weights = {key: tensor for key, tensor in module.state_dict().items() if tensor.is_floating_point()}
    write_tensors(directory / "weights.safetensors", weights)
    write_tensors(directory / "expected.safetensors", {"input": batch, "logits": logits})


def describe_onnx(directory: Path) -> None:
    """Checks every ONNX file in the directory; writes shapes and metadata to onnx.json."""
    import onnx

    def dims(value: "onnx.ValueInfoProto") -> list[int | str]:
        return [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]

    descriptions = {}
    for file in directory.glob("*.onnx"):
        onnx.checker.check_model(str(file), full_check=True)
        model = onnx.load(file)
        descriptions[file.stem] = {
            "input": dims(model.graph.input[0]),
            "output": dims(model.graph.output[0]),
            "metadata": {entry.key: entry.value for entry in model.metadata_props},
        }
    (directory / "onnx.json").write_text(json.dumps(descriptions))


def checkpoint(name: str, outputs: int, file_format: str, directory: Path) -> None:
    """Writes random weights as training scripts save them, and the probabilities for the image in the directory."""
    module = random_module(name, outputs)
    image = directory / "image.png"
    match file_format:
        case "bgr":
            batch = preprocess(image, "bgr").unsqueeze(0)
        case "tensorflow":
            batch = preprocess(image, "rgb", ([0.5, 0.5, 0.5], [0.5, 0.5, 0.5])).unsqueeze(0)
        case _:
            batch = preprocess(image).unsqueeze(0)
    with torch.no_grad():
        # Random weights give nearly equal probabilities, with which wrong results would pass: scale the last layer so that the
        # logits differ.
        factor = 2 / module(batch).std()
        for parameter in list(module.parameters())[-2:]:
            parameter.mul_(factor)
        probabilities = module(batch).softmax(1)[0]
    (directory / "probabilities.json").write_text(json.dumps(probabilities.tolist()))
    state_dict = module.state_dict()
    path = directory / "checkpoint.pth"
    match file_format:
        case "legacy":
            torch.save(state_dict, path, _use_new_zipfile_serialization=False)
        case "nested":
            torch.save({"epoch": 7, "arch": name, "state_dict": state_dict, "best_acc1": torch.tensor(93.5)}, path)
        case "state_dict" | "bgr" | "tensorflow":
            torch.save(state_dict, path)
        case "training":
            # As the training of jetson-inference saves it, which wraps the features of AlexNet alone.
            wrapped = {key.replace("features.", "features.module."): value.clone() for key, value in state_dict.items()}
            optimizer = torch.optim.SGD(module.parameters(), lr=0.1, momentum=0.9)
            module(batch).sum().backward()
            optimizer.step()
            training = {"epoch": 35, "arch": name, "num_classes": outputs, "classes": ["thumbs_up", "thumbs_down"]}
            torch.save({**training, "state_dict": wrapped, "optimizer": optimizer.state_dict()}, path)


def inputs(directory: Path) -> None:
    """Writes the network input of every image in a directory."""
    images = sorted(directory.glob("*.png"))
    write_tensors(directory / "expected.safetensors", {image.name: preprocess(image) for image in images})


def landmarks(directory: Path) -> None:
    """Writes the probabilities that landmarks.onnx computes from the landmarks in landmarks.json."""
    import numpy

    file = str(directory / "landmarks.onnx")
    hands = numpy.array(json.loads((directory / "landmarks.json").read_text()), dtype=numpy.float32)
    try:
        from onnxruntime import InferenceSession as Session
    except ImportError:
        # ONNX Runtime has no release for Python 3.10.
        from onnx.reference import ReferenceEvaluator as Session
    (probabilities,) = Session(file).run(None, {"landmarks": hands})
    (directory / "probabilities.json").write_text(json.dumps(probabilities.tolist()))


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["network", name, directory]:
            network(name, Path(directory))
        case ["checkpoint", name, outputs, file_format, directory]:
            checkpoint(name, int(outputs), file_format, Path(directory))
        case ["inputs", directory]:
            inputs(Path(directory))
        case ["landmarks", directory]:
            landmarks(Path(directory))
        case ["onnx", directory]:
            describe_onnx(Path(directory))
        case _:
            sys.exit(__doc__)
