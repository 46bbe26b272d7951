"""Has TensorRT's own parser and builder compile ONNX files, for GPUs that need not be there. Started by tests/tensorrt.rs.

    compile.py DIRECTORY

DIRECTORY/*.onnx are compiled for each GPU below, as they are typed. DIRECTORY/result.json gets, by file and GPU, the seconds it took and the
bytes of the engine, or the parser's or builder's complaint; or why all of it was skipped.
"""

import json
import sys
import time
from pathlib import Path

try:
    import tensorrt_rtx_libs  # noqa: F401  Loads the libraries that the bindings are linked with.
    import tensorrt_rtx_bindings as trt
except ImportError as error:
    Path(sys.argv[1], "result.json").write_text(json.dumps({"skipped": str(error)}))
    sys.exit()

GPUS = ["SM80", "SM86", "SM89", "SM120"]


class Log(trt.ILogger):
    """Keeps what TensorRT complains of."""

    def __init__(self) -> None:
        trt.ILogger.__init__(self)
        self.complaints: list[str] = []

    def log(self, severity: trt.ILogger.Severity, message: str) -> None:
        if severity <= trt.ILogger.Severity.ERROR:
            self.complaints.append(message)


def compile_for(gpu: str, file: Path) -> dict:
    log = Log()
    builder = trt.Builder(log)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, log)
    if not parser.parse(file.read_bytes()):
        return {"complaint": str(parser.get_error(0))}
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
        return {"complaint": "; ".join(log.complaints)}
    return {"seconds": time.monotonic() - start, "bytes": engine.nbytes}


def main(directory: Path) -> None:
    files = sorted(directory.glob("*.onnx"))
    result = {file.stem: {gpu: compile_for(gpu, file) for gpu in GPUS} for file in files}
    (directory / "result.json").write_text(json.dumps(result))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
