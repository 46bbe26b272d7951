"""Compiles ONNX files with TensorRT, without a GPU. Started by tests/tensorrt.rs.

    compile.py DIRECTORY

Compiles DIRECTORY/*.onnx for each compute capability in GPUS, strongly typed. Writes DIRECTORY/result.json: by file and GPU, `seconds` of the
build and `bytes` of the engine, or the `error` of parser or builder.
"""

import json
import sys
import time
from pathlib import Path

import tensorrt_rtx_libs  # noqa: F401  Loads the libraries that the bindings are linked with.
import tensorrt_rtx_bindings as trt

GPUS = ["SM80", "SM86", "SM89", "SM120"]


class Log(trt.ILogger):
    """Collects the errors that TensorRT logs."""

    def __init__(self) -> None:
        trt.ILogger.__init__(self)
        self.errors: list[str] = []

    def log(self, severity: trt.ILogger.Severity, message: str) -> None:
        if severity <= trt.ILogger.Severity.ERROR:
            self.errors.append(message)


def compile_for(gpu: str, file: Path) -> dict:
    log = Log()
    builder = trt.Builder(log)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, log)
    if not parser.parse(file.read_bytes()):
        return {"error": str(parser.get_error(0))}
    config = builder.create_builder_config()
    config.num_compute_capabilities = 1
    config.set_compute_capability(getattr(trt.ComputeCapability, gpu), 0)
    image = network.get_input(0)
    if image.shape[0] == -1:
        profile = builder.create_optimization_profile()
        profile.set_shape(image.name, *[(batch, *image.shape[1:]) for batch in (1, 4, 8)])
        config.add_optimization_profile(profile)
    start = time.monotonic()
    engine = builder.build_serialized_network(network, config)
    if engine is None:
        return {"error": "; ".join(log.errors)}
    return {"seconds": time.monotonic() - start, "bytes": engine.nbytes}


def main(directory: Path) -> None:
    files = sorted(directory.glob("*.onnx"))
    result = {file.stem: {gpu: compile_for(gpu, file) for gpu in GPUS} for file in files}
    (directory / "result.json").write_text(json.dumps(result))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
