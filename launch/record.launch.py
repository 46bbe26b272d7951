"""Records what matters for classifying a model later: `ros2 launch thumb_gesture record.launch.py`; `--show-args` lists the arguments.

Ctrl-C ends the recording. `thumb_gesture bag evaluate` classifies it; `ros2 bag play --clock --qos-profile-overrides-path` with
`config/replay_qos.yaml` plays it to a node.
"""

from datetime import datetime

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, ExecuteProcess
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution

# Below the namespace: what the node says.
TOPICS = ["thumb_gesture", "thumb_gesture/training", "thumb_gesture/model"]


def generate_launch_description() -> LaunchDescription:
    """`ros2 bag record` on the camera and on the node's topics, with the quality of service that each is published with."""
    namespace, image_topic = LaunchConfiguration("namespace"), LaunchConfiguration("image_topic")
    # A path that begins with / stays as it is.
    topics = [PathJoinSubstitution(["/", namespace, topic]) for topic in [image_topic, *TOPICS]]
    output = LaunchConfiguration("output")
    return LaunchDescription(
        [
            DeclareLaunchArgument(
                "namespace", default_value="jetbot", description="Namespace of the node and of the camera."
            ),
            DeclareLaunchArgument(
                "image_topic",
                default_value="camera/image_raw",
                description="The camera's topic, in the namespace unless it begins with /; "
                "one that ends in /compressed makes a smaller bag.",
            ),
            DeclareLaunchArgument(
                "output",
                default_value=datetime.now().strftime("gestures_%Y_%m_%d-%H_%M_%S"),
                description="The bag's directory, which must not be there yet. By default it goes by the time.",
            ),
            ExecuteProcess(
                cmd=["ros2", "bag", "record", "--storage", "mcap", "--output", output, "--topics", *topics],
                output="screen",
            ),
        ]
    )
