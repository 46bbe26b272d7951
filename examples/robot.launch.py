"""A robot that drives by gestures: camera, gesture node, and the node that converts gestures to `cmd_vel`.

`ros2 launch thumb_gesture robot.launch.py`; `--show-args` lists the arguments, including those of the node.
"""

import os
import sys
from pathlib import Path

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription, SetEnvironmentVariable
from launch.conditions import IfCondition
from launch.substitutions import (
    EnvironmentVariable,
    EqualsSubstitution,
    LaunchConfiguration,
    PathJoinSubstitution,
)
from launch_ros.actions import Node
from launch_ros.substitutions import FindPackageShare

PACKAGE = "thumb_gesture"
# Fast DDS loses most images over 0.5 MB without a profile. The user's own one takes precedence. Later versions have another variable.
IS_JAZZY = os.environ.get("ROS_DISTRO", "jazzy") == "jazzy"
PROFILE = "FASTRTPS_DEFAULT_PROFILES_FILE" if IS_JAZZY else "FASTDDS_DEFAULT_PROFILES_FILE"
DRIVER = Path(__file__).parent / "gesture_to_cmd_vel" / "gesture_to_cmd_vel.py"


def generate_launch_description() -> LaunchDescription:
    """Starts the selected camera driver, the gesture node and gesture_to_cmd_vel in one namespace."""
    namespace = LaunchConfiguration("namespace")
    # In <namespace>/camera, the drivers' topics have the names to which the node subscribes.
    in_camera = {"namespace": [namespace, "/camera"], "output": "screen"}
    default_profile = PathJoinSubstitution([FindPackageShare(PACKAGE), "config", "fastdds.xml"])
    return LaunchDescription(
        [
            SetEnvironmentVariable(PROFILE, EnvironmentVariable(PROFILE, default_value=default_profile)),
            # As in the launch file of the node, which is included after the first use.
            DeclareLaunchArgument(
                "namespace", default_value="jetbot", description="Namespace of the node and of the camera."
            ),
            DeclareLaunchArgument(
                "camera",
                default_value="v4l2",
                description="v4l2: a USB camera. jetbot: the camera of a JetBot. none: no driver, images come from elsewhere.",
                choices=["v4l2", "jetbot", "none"],
            ),
            DeclareLaunchArgument(
                "video_device", default_value="/dev/video0", description="Device for camera:=v4l2."
            ),
            # Before the nodes: without its package the launch ends here, while nothing runs yet.
            Node(
                package="v4l2_camera",
                executable="v4l2_camera_node",
                name="v4l2_camera",
                parameters=[{"video_device": LaunchConfiguration("video_device")}],
                condition=is_camera("v4l2"),
                **in_camera,
            ),
            # Parameters as in jetbot_ros.
            Node(
                package="ros_deep_learning",
                executable="video_source",
                name="video_source",
                parameters=[
                    {"resource": "csi://0", "width": 320, "height": 240, "framerate": 15.0, "flip": "rotate-180"}
                ],
                remappings=[("raw", "image_raw")],
                condition=is_camera("jetbot"),
                **in_camera,
            ),
            IncludeLaunchDescription(
                PathJoinSubstitution([FindPackageShare(PACKAGE), "launch", "thumb_gesture.launch.py"])
            ),
            Node(
                executable=sys.executable,
                arguments=[str(DRIVER)],
                exec_name="gesture_to_cmd_vel",
                name="gesture_to_cmd_vel",
                namespace=namespace,
                output="screen",
            ),
        ]
    )


def is_camera(name: str) -> IfCondition:
    """Condition that this camera is selected."""
    return IfCondition(EqualsSubstitution(LaunchConfiguration("camera"), name))
