"""Starts the node with a camera that shows hands or photos: `ros2 launch thumb_gesture demo.launch.py`."""

import os

from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription, OpaqueFunction, SetEnvironmentVariable
from launch.substitutions import EnvironmentVariable, LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.substitutions import FindPackageShare

PACKAGE = "thumb_gesture"
# Fast DDS loses most images over 0.5 MB without a profile. The user's own one takes precedence. Later versions have another variable.
IS_JAZZY = os.environ.get("ROS_DISTRO", "jazzy") == "jazzy"
PROFILE = "FASTRTPS_DEFAULT_PROFILES_FILE" if IS_JAZZY else "FASTDDS_DEFAULT_PROFILES_FILE"


def generate_launch_description() -> LaunchDescription:
    """Starts the camera, and the node with its own launch file, whose arguments are available as well."""
    node = IncludeLaunchDescription(
        PathJoinSubstitution([FindPackageShare(PACKAGE), "launch", "thumb_gesture.launch.py"])
    )
    default_profile = PathJoinSubstitution([FindPackageShare(PACKAGE), "config", "fastdds.xml"])
    return LaunchDescription(
        [
            SetEnvironmentVariable(PROFILE, EnvironmentVariable(PROFILE, default_value=default_profile)),
            DeclareLaunchArgument(
                "photos",
                default_value="",
                description="Directory of photos, with one subdirectory per label. Default: drawn hands.",
            ),
            DeclareLaunchArgument("rate", default_value="30.0", description="Frames per second."),
            # Directories of its own, so that drawn hands are not mixed with the user's frames and models.
            DeclareLaunchArgument(
                "dataset",
                default_value="~/.ros/thumb_gesture_demo/dataset",
                description="Directory of the captured frames.",
            ),
            DeclareLaunchArgument(
                "store",
                default_value="~/.ros/thumb_gesture_demo/store",
                description="Directory of the trained models.",
            ),
            node,
            OpaqueFunction(function=camera),
        ]
    )


def camera(context: LaunchContext) -> list[Node]:
    """The camera node, with options according to the launch arguments."""
    names = ["photos", "image_transport", "image_topic"]
    value = {name: LaunchConfiguration(name).perform(context) for name in names}
    options = ["--rate", LaunchConfiguration("rate")]
    if value["photos"]:
        options += ["--photos", value["photos"]]
    if value["image_transport"] == "compressed":
        options += ["--compressed"]
    return [
        Node(
            package=PACKAGE,
            executable="photo_camera",
            name="photo_camera",
            namespace=LaunchConfiguration("namespace"),
            arguments=options,
            remappings=[("camera/image_raw", value["image_topic"])],
            output="screen",
        )
    ]
