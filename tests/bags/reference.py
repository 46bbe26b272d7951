"""Writes bags in each storage and compression that the Python library rosbags supports. Started by tests/bags/formats.rs.

    reference.py DIRECTORY

DIRECTORY gets one bag per case, and cases.json with the messages of each bag as rosbags reads them: lists of
[topic, type, time in nanoseconds, SHA-256 of the serialized message].
"""

import hashlib
import json
import sys
from pathlib import Path

import numpy
from rosbags.highlevel import AnyReader
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

FRAMES = 40
START_NS = 1_700_000_000_000_000_000
STEP_NS = 33_333_333
STORE = get_typestore(Stores.ROS2_JAZZY)
TYPES = STORE.types
CASES = {
    f"{plugin.name.lower()}_{mode.name.lower()}": (plugin, mode)
    for plugin in (StoragePlugin.SQLITE3, StoragePlugin.MCAP)
    for mode in CompressionMode
    if (plugin, mode) != (StoragePlugin.SQLITE3, CompressionMode.STORAGE)
}


def header(index: int) -> object:
    """A header with a different stamp for each frame."""
    time_ns = START_NS + index * STEP_NS - 1_000_000
    stamp = TYPES["builtin_interfaces/msg/Time"](sec=time_ns // 10**9, nanosec=time_ns % 10**9)
    return TYPES["std_msgs/msg/Header"](stamp=stamp, frame_id=f"camera_{index}")


def image(index: int) -> object:
    """An image of 32x24 pixels with noise."""
    pixels = numpy.random.default_rng(index).integers(0, 256, 32 * 24 * 3, numpy.uint8)
    return TYPES["sensor_msgs/msg/Image"](
        header=header(index), height=24, width=32, encoding="bgr8", is_bigendian=0, step=96, data=pixels
    )


def write(directory: Path, plugin: StoragePlugin, mode: CompressionMode, is_little_endian: bool) -> None:
    """Writes a bag with images and strings."""
    writer = Writer(directory, version=9, storage_plugin=plugin)
    if mode != CompressionMode.NONE:
        writer.set_compression(mode, CompressionFormat.ZSTD)
    with writer:
        kinds = {"/jetbot/camera/image_raw": "sensor_msgs/msg/Image", "/note": "std_msgs/msg/String"}
        connections = {topic: writer.add_connection(topic, kind, typestore=STORE) for topic, kind in kinds.items()}
        for index in range(FRAMES):
            time_ns = START_NS + index * STEP_NS
            note = TYPES["std_msgs/msg/String"](data=f"frame {index}")
            for topic, message in zip(kinds, [image(index), note]):
                data = STORE.serialize_cdr(message, kinds[topic], little_endian=is_little_endian)
                writer.write(connections[topic], time_ns, data)


def read(directory: Path) -> list[list[object]]:
    """The messages of a bag, sorted by time."""
    with AnyReader([directory], default_typestore=STORE) as reader:
        return [
            [connection.topic, connection.msgtype, time_ns, hashlib.sha256(bytes(data)).hexdigest()]
            for connection, time_ns, data in reader.messages()
        ]


def main(root: Path) -> None:
    for name, (plugin, mode) in CASES.items():
        write(root / name, plugin, mode, True)
    write(root / "mcap_big_endian", StoragePlugin.MCAP, CompressionMode.NONE, False)
    cases = {directory.name: read(directory) for directory in sorted(root.iterdir()) if directory.is_dir()}
    (root / "cases.json").write_text(json.dumps(cases))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
