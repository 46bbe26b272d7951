"""Results of LiteRT, which runs MediaPipe's hand networks as they are, for tests/hand.rs.

    hand.py MEDIAPIPE DIRECTORY    reads the networks in MEDIAPIPE and the images in DIRECTORY, writes DIRECTORY/expected.safetensors

The file has the input and the outputs of each network for each image, named `<network>/<image>/<tensor>`.
"""

import sys
from pathlib import Path

import numpy
import torch
from ai_edge_litert.interpreter import Interpreter
from PIL import Image
from reference import write_tensors

OUTPUTS = {
    "palm_detection": {"Identity": "boxes", "Identity_1": "scores"},
    "hand_landmark": {
        "Identity": "landmarks",
        "Identity_1": "presence",
        "Identity_2": "handedness",
        "Identity_3": "world_landmarks",
    },
}


def main(mediapipe: Path, directory: Path) -> None:
    tensors = {}
    for network in sorted(mediapipe.glob("*.tflite")):
        interpreter = Interpreter(str(network), num_threads=1)
        interpreter.allocate_tensors()
        (source,) = interpreter.get_input_details()
        names = OUTPUTS[network.stem.rpartition("_")[0]]
        for path in sorted([*directory.glob("*.png"), *directory.glob("*.jpg")]):
            image = Image.open(path).convert("RGB").resize(source["shape"][1:3])
            # Height, width, channels.
            image = torch.from_numpy(numpy.array(image)).float() / 255
            interpreter.set_tensor(source["index"], image.unsqueeze(0).numpy())
            interpreter.invoke()
            key = f"{network.stem}/{path.name}"
            tensors[f"{key}/image"] = image.permute(2, 0, 1)
            for output in interpreter.get_output_details():
                values = interpreter.get_tensor(output["index"])
                tensors[f"{key}/{names[output['name']]}"] = torch.from_numpy(values.copy()).flatten()
    write_tensors(directory / "expected.safetensors", tensors)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
