"""Records what matters for judging a model later: `ros2 launch thumb_gesture record.launch.py`; `--show-args` lists the arguments.

Ctrl-C ends the recording. `thumb_gesture bag evaluate` judges it; `ros2 bag play --clock --qos-profile-overrides-path` with
`config/replay_qos.yaml` plays it to a node.
"""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, ExecuteProcess
from launch.conditions import LaunchConfigurationEquals, LaunchConfigurationNotEquals
from launch.substitutions import LaunchConfiguration

# Below the namespace: what the node says.
TOPICS = ["thumb_gesture", "thumb_gesture/training", "thumb_gesture/model"]


def generate_launch_description() -> LaunchDescription:
    """`ros2 bag record` on the camera and on the node's topics, with the quality of service that each is published with."""
    namespace = LaunchConfiguration("namespace")
    topics = [["/", namespace, "/", topic] for topic in TOPICS]
    command = ["ros2", "bag", "record", "--storage", "mcap", "--topics", LaunchConfiguration("image_topic"), *topics]
    output = ["--output", LaunchConfiguration("output")]
    return LaunchDescription(
        [
            DeclareLaunchArgument(
                "namespace", default_value="jetbot", description="Namespace of the node and of the camera."
            ),
            DeclareLaunchArgument(
                "image_topic",
                default_value=["/", namespace, "/camera/image_raw"],
                description="The camera's topic, from its first /; one that ends in /compressed makes a smaller bag.",
            ),
            DeclareLaunchArgument(
                "output", default_value="", description="The bag's folder. Empty: as rosbag2 names it, by the time."
            ),
            ExecuteProcess(cmd=command, output="screen", condition=LaunchConfigurationEquals("output", "")),
            ExecuteProcess(
                cmd=[*command, *output], output="screen", condition=LaunchConfigurationNotEquals("output", "")
            ),
        ]
    )
