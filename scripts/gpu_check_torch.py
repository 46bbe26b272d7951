"""A model of the store in Python's torch, for scripts/gpu_check.py.

`version` prints the versions. `run MODEL DEVICE PRECISION BATCHES PHOTO...` prints, as JSON, the probabilities of each photo and for each
batch size the milliseconds per frame, including the copies to the GPU and back. `fill` takes all free memory of the GPU until its input
ends.
"""

import json
import struct
import sys
import time
from pathlib import Path

import torch

KINDS = {"fp32": torch.float32, "fp16": torch.float16}
WARM_UP = 20
REPEATS = {"cpu": 50, "cuda": 500}


def read_weights(file: Path) -> dict[str, torch.Tensor]:
    """The tensors of a safetensors file in fp32."""
    content = bytearray(file.read_bytes())
    (length,) = struct.unpack_from("<Q", content)
    tensors = {}
    for name, entry in json.loads(content[8 : 8 + length]).items():
        if name != "__metadata__":
            start, end = (8 + length + offset for offset in entry["data_offsets"])
            tensors[name] = torch.frombuffer(content[start:end], dtype=torch.float32).reshape(entry["shape"])
    return tensors


def network_of(model: Path, labels: int) -> torch.nn.Module:
    """torchvision's AlexNet with one linear layer as classifier."""
    from torchvision import models

    network = models.alexnet(weights=None)
    network.classifier = torch.nn.Linear(9216, labels)
    network.load_state_dict(read_weights(model / "weights.safetensors"))
    return network.eval()


def inputs_of(photos: list[str]) -> torch.Tensor:
    from PIL import Image
    from torchvision import transforms

    steps = transforms.Compose(
        [
            transforms.Resize((224, 224)),
            transforms.ToTensor(),
            transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
        ]
    )
    return torch.stack([steps(Image.open(photo).convert("RGB")) for photo in photos])


def run(model: Path, device: str, precision: str, batches: list[int], photos: list[str]) -> dict:
    manifest = json.loads((model / "manifest.json").read_text())
    kind = KINDS[precision]
    network = network_of(model, len(manifest["labels"])).to(device, kind)
    inputs = inputs_of(photos)

    def logits(batch: torch.Tensor) -> torch.Tensor:
        return network(batch.to(device).to(kind)).cpu().float()

    with torch.no_grad():
        found = torch.cat([logits(batch) for batch in inputs.split(16)]) / manifest["temperature"]
        probabilities = {
            photo: dict(zip(manifest["labels"], row, strict=True))
            for photo, row in zip(photos, found.softmax(1).tolist(), strict=True)
        }
        forward_ms = {}
        for size in batches:
            batch, times = inputs[:1].repeat(size, 1, 1, 1), []
            for _ in range(WARM_UP + REPEATS[device]):
                start = time.perf_counter()
                logits(batch)
                times.append((time.perf_counter() - start) * 1e3 / size)
            times = sorted(times[WARM_UP:])
            forward_ms[size] = {f"p{at}": times[(len(times) - 1) * at // 100] for at in (50, 95, 99)}
    return {"probabilities": probabilities, "forward_ms": forward_ms}


def fill() -> None:
    """Takes all free memory of the GPU until the input ends."""
    free, taken, size = torch.cuda.mem_get_info()[0], [], 1 << 30
    while size >= 1 << 20:
        try:
            taken.append(torch.empty(size, dtype=torch.uint8, device="cuda"))
        except torch.cuda.OutOfMemoryError:
            size //= 2
    left = torch.cuda.mem_get_info()[0]
    print(f"{left / 1e6:.0f} MB free of {free / 1e6:.0f} MB", flush=True)
    sys.stdin.read()


def version() -> str:
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    return f"{sys.version.split()[0]}, torch {torch.__version__}, cuDNN {torch.backends.cudnn.version()}, {gpu}"


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["version"]:
            print(version())
        case ["fill"]:
            fill()
        case ["run", model, device, precision, batches, *photos]:
            print(json.dumps(run(Path(model), device, precision, json.loads(batches), photos)))
        case _:
            sys.exit(__doc__)
