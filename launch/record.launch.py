"""Records images and gestures into a bag: `ros2 launch thumb_gesture record.launch.py`; `--show-args` lists the arguments.

Ctrl-C ends the recording. `thumb_gesture bag evaluate` evaluates a model on the bag; `ros2 bag play --clock --qos-profile-overrides-path`
with `config/replay_qos.yaml` and `--topics` with that of the camera plays it to a node.
"""

from datetime import datetime

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, ExecuteProcess
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution

# Topics of the node, relative to the namespace.
TOPICS = ["thumb_gesture", "thumb_gesture/training", "thumb_gesture/model"]


def generate_launch_description() -> LaunchDescription:
    """Runs `ros2 bag record` on the topics of camera and node, which adapts to the QoS of the publishers."""
    namespace, image_topic = LaunchConfiguration("namespace"), LaunchConfiguration("image_topic")
    # An absolute image_topic replaces the namespace, as with os.path.join.
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
                description="Topic of the camera, in the namespace unless it begins with /; "
                "a compressed topic gives a smaller bag.",
            ),
            DeclareLaunchArgument(
                "output",
                default_value=datetime.now().strftime("gestures_%Y_%m_%d-%H_%M_%S"),
                description="Directory of the bag, which must not exist. The default contains the current time.",
            ),
            ExecuteProcess(
                cmd=["ros2", "bag", "record", "--storage", "mcap", "--output", output, "--topics", *topics],
                output="screen",
            ),
        ]
    )
