"""Writes bags in every form that rosbags, the Python library, knows, and what it reads of them: cases.json.

A case is a bag's directory; its messages are told as [topic, type, time in nanoseconds, SHA-256 of the bytes].
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
    """A stamp of its own for each frame."""
    time_ns = START_NS + index * STEP_NS - 1_000_000
    stamp = TYPES["builtin_interfaces/msg/Time"](sec=time_ns // 10**9, nanosec=time_ns % 10**9)
    return TYPES["std_msgs/msg/Header"](stamp=stamp, frame_id=f"camera_{index}")


def image(index: int) -> object:
    """Noise, 32x24."""
    pixels = numpy.random.default_rng(index).integers(0, 256, 32 * 24 * 3, numpy.uint8)
    return TYPES["sensor_msgs/msg/Image"](
        header=header(index), height=24, width=32, encoding="bgr8", is_bigendian=0, step=96, data=pixels
    )


def write(directory: Path, plugin: StoragePlugin, mode: CompressionMode, is_little: bool) -> None:
    """A bag of images and notes."""
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
                data = STORE.serialize_cdr(message, kinds[topic], little_endian=is_little)
                writer.write(connections[topic], time_ns, data)


def read(directory: Path) -> list[list[object]]:
    """The bag's messages, in the order of their time."""
    with AnyReader([directory], default_typestore=STORE) as reader:
        return [
            [connection.topic, connection.msgtype, time_ns, hashlib.sha256(bytes(data)).hexdigest()]
            for connection, time_ns, data in reader.messages()
        ]


def main() -> None:
    root = Path(sys.argv[1])
    for name, (plugin, mode) in CASES.items():
        write(root / name, plugin, mode, True)
    write(root / "mcap_big_endian", StoragePlugin.MCAP, CompressionMode.NONE, False)
    cases = {directory.name: read(directory) for directory in sorted(root.iterdir()) if directory.is_dir()}
    (root / "cases.json").write_text(json.dumps(cases))


main()
