"""Starts the node: `ros2 launch thumb_gesture thumb_gesture.launch.py`; `--show-args` lists the arguments."""

from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.substitutions import FindPackageShare

PACKAGE = "thumb_gesture"

# Launch arguments that are parameters of the node: what they mean, and what they can be where not anything.
PARAMETERS = {
    "image_transport": ("compressed subscribes to <image_topic>/compressed.", ["raw", "compressed"]),
    "dataset": ("Folder of the captured frames.", None),
    "store": ("Folder of the trained models.", None),
    "use_sim_time": ("true takes the time from /clock, as a replayed bag needs it.", ["true", "false"]),
}


def generate_launch_description() -> LaunchDescription:
    """Declares the arguments; the node is made once their values are known."""
    parameters = [
        DeclareLaunchArgument(
            name,
            default_value="",
            description=f"{text} Empty: as params_file has it.",
            choices=["", *choices] if choices else None,
        )
        for name, (text, choices) in PARAMETERS.items()
    ]
    return LaunchDescription(
        [
            DeclareLaunchArgument(
                "namespace", default_value="jetbot", description="Namespace of the node and of the camera."
            ),
            DeclareLaunchArgument(
                "image_topic",
                default_value="camera/image_raw",
                description="The camera's topic; relative to the namespace unless it begins with /. Without effect where params_file has several cameras.",
            ),
            DeclareLaunchArgument(
                "params_file",
                default_value=PathJoinSubstitution(
                    [FindPackageShare(PACKAGE), "config", "thumb_gesture.yaml"]
                ),
                description="YAML file with the node's parameters.",
            ),
            *parameters,
            DeclareLaunchArgument(
                "log_level",
                default_value="",
                description="debug, info, warn, error or fatal. Empty: as ROS has it.",
            ),
            OpaqueFunction(function=node),
        ]
    )


def node(context: LaunchContext) -> list[Node]:
    """The node, given only what was chosen."""
    names = ["image_topic", "log_level", *PARAMETERS]
    value = {name: LaunchConfiguration(name).perform(context) for name in names}
    chosen = {name: value[name] for name in PARAMETERS if value[name]}
    if "use_sim_time" in chosen:
        chosen["use_sim_time"] = chosen["use_sim_time"] == "true"
    return [
        Node(
            package=PACKAGE,
            executable="thumb_gesture_node",
            name="thumb_gesture",
            namespace=LaunchConfiguration("namespace"),
            parameters=[LaunchConfiguration("params_file"), chosen],
            # The node subscribes to one of the two; the other remapping then has nothing to do.
            remappings=[
                ("camera/image_raw", value["image_topic"]),
                ("camera/image_raw/compressed", f"{value['image_topic']}/compressed"),
            ],
            ros_arguments=["--log-level", value["log_level"]] if value["log_level"] else [],
            output="screen",
        )
    ]
