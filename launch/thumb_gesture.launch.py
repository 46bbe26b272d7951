"""Starts the node: `ros2 launch thumb_gesture thumb_gesture.launch.py`; `--show-args` lists the arguments.

`thumb_gesture.launch.xml` and `thumb_gesture.launch.yaml` say the same.
"""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterFile
from launch_ros.substitutions import FindPackageShare

PACKAGE = "thumb_gesture"


def generate_launch_description() -> LaunchDescription:
    """The arguments, and the node that they are for."""
    return LaunchDescription(
        [
            DeclareLaunchArgument(
                "namespace",
                default_value="jetbot",
                description="Namespace of the node and of the camera.",
            ),
            DeclareLaunchArgument(
                "image_topic",
                default_value="camera/image_raw",
                description="The camera's topic, in the namespace unless it begins with /. "
                "Without effect on several cameras.",
            ),
            DeclareLaunchArgument(
                "params_file",
                default_value=PathJoinSubstitution([FindPackageShare(PACKAGE), "config", "thumb_gesture.yaml"]),
                description="YAML file with the node's parameters.",
            ),
            DeclareLaunchArgument(
                "image_transport",
                default_value="",
                description="compressed subscribes to <image_topic>/compressed. Empty: as params_file has it.",
                choices=["", "raw", "compressed"],
            ),
            DeclareLaunchArgument(
                "dataset",
                default_value="",
                description="Directory of the captured frames. Empty: as params_file has it.",
            ),
            DeclareLaunchArgument(
                "store",
                default_value="",
                description="Directory of the trained models. Empty: as params_file has it.",
            ),
            DeclareLaunchArgument(
                "use_sim_time",
                default_value="",
                description="true takes the time from /clock, as a replayed bag needs it. "
                "Empty: as params_file has it.",
                choices=["", "true", "false"],
            ),
            DeclareLaunchArgument(
                "autostart",
                default_value="",
                description="false leaves it to a lifecycle manager to start the node. "
                "Empty: as params_file has it.",
                choices=["", "true", "false"],
            ),
            DeclareLaunchArgument(
                "log_level",
                default_value="info",
                description="Least severity that is logged.",
                choices=["debug", "info", "warn", "error", "fatal"],
            ),
            Node(
                package=PACKAGE,
                executable="thumb_gesture_node",
                name="thumb_gesture",
                namespace=LaunchConfiguration("namespace"),
                parameters=[
                    LaunchConfiguration("params_file"),
                    ParameterFile(
                        PathJoinSubstitution([FindPackageShare(PACKAGE), "launch", "parameters.yaml.in"]),
                        allow_substs=True,
                    ),
                ],
                # The node subscribes to one of the two; the other remapping then has nothing to do.
                remappings=[
                    ("camera/image_raw", LaunchConfiguration("image_topic")),
                    ("camera/image_raw/compressed", [LaunchConfiguration("image_topic"), "/compressed"]),
                ],
                ros_arguments=["--log-level", LaunchConfiguration("log_level")],
                output="screen",
            ),
        ]
    )
