"""Starts the node, and with page:=true the page that teaches it: `ros2 launch thumb_gesture thumb_gesture.launch.py`; `--show-args` lists the arguments.

`thumb_gesture.launch.xml` and `thumb_gesture.launch.yaml` are equivalent.
"""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, SetLaunchConfiguration
from launch.conditions import IfCondition
from launch.substitutions import EnvironmentVariable, EqualsSubstitution, LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterFile
from launch_ros.substitutions import FindPackageShare

PACKAGE = "thumb_gesture"


def generate_launch_description() -> LaunchDescription:
    """Declares the arguments and starts the node."""
    default_profile = PathJoinSubstitution([FindPackageShare(PACKAGE), "config", "fastdds.xml"])
    profile_variable = LaunchConfiguration("profile_variable")
    env = {profile_variable: EnvironmentVariable(profile_variable, default_value=default_profile)}
    is_jazzy = EqualsSubstitution(EnvironmentVariable("ROS_DISTRO", default_value="jazzy"), "jazzy")
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
                description="Topic of the camera, in the namespace unless it begins with /. "
                "Has no effect with several cameras.",
            ),
            DeclareLaunchArgument(
                "params_file",
                default_value=PathJoinSubstitution([FindPackageShare(PACKAGE), "config", "thumb_gesture.yaml"]),
                description="YAML file with the parameters of the node.",
            ),
            DeclareLaunchArgument(
                "image_transport",
                default_value="",
                description="compressed: subscribe to <image_topic>/compressed. Default: as in params_file.",
                choices=["", "raw", "compressed"],
            ),
            DeclareLaunchArgument(
                "dataset",
                default_value="",
                description="Directory of the captured frames. Default: as in params_file.",
            ),
            DeclareLaunchArgument(
                "store",
                default_value="",
                description="Directory of the trained models. Default: as in params_file.",
            ),
            DeclareLaunchArgument(
                "use_sim_time",
                default_value="",
                description="true: take the time from /clock, which a played bag needs. "
                "Default: as in params_file.",
                choices=["", "true", "false"],
            ),
            DeclareLaunchArgument(
                "autostart",
                default_value="",
                description="false: leave the transitions to a lifecycle manager. "
                "Default: as in params_file.",
                choices=["", "true", "false"],
            ),
            DeclareLaunchArgument(
                "log_level",
                default_value="info",
                description="Minimum severity of log messages.",
                choices=["debug", "info", "warn", "error", "fatal"],
            ),
            DeclareLaunchArgument(
                "page",
                default_value="false",
                description="true: serve a web page on which the node is taught.",
                choices=["true", "false"],
            ),
            DeclareLaunchArgument(
                "page_address",
                default_value="127.0.0.1",
                description="Address of the page. 0.0.0.0: all networks, with a token that is printed.",
            ),
            DeclareLaunchArgument(
                "page_port",
                default_value="8080",
                description="Port of the page.",
            ),
            DeclareLaunchArgument(
                "page_tls",
                default_value="false",
                description="true: encrypt the page with a certificate that it makes itself; a phone's camera needs it.",
                choices=["true", "false"],
            ),
            DeclareLaunchArgument(
                "page_browser_camera",
                default_value="false",
                description="true: let visitors of the page use the cameras of their devices, with image_transport:=compressed.",
                choices=["true", "false"],
            ),
            # Fast DDS loses most images over 0.5 MB without a profile. The user's own one takes precedence.
            SetLaunchConfiguration("profile_variable", "FASTDDS_DEFAULT_PROFILES_FILE"),
            SetLaunchConfiguration(
                "profile_variable", "FASTRTPS_DEFAULT_PROFILES_FILE", condition=IfCondition(is_jazzy)
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
                remappings=[("camera/image_raw", LaunchConfiguration("image_topic"))],
                ros_arguments=["--log-level", LaunchConfiguration("log_level")],
                additional_env=env,
                output="screen",
            ),
            Node(
                package=PACKAGE,
                executable="teach_page",
                name="teach_page",
                namespace=LaunchConfiguration("namespace"),
                parameters=[
                    {
                        "page_address": LaunchConfiguration("page_address"),
                        "page_port": LaunchConfiguration("page_port"),
                        "tls": LaunchConfiguration("page_tls"),
                        "browser_camera": LaunchConfiguration("page_browser_camera"),
                    }
                ],
                ros_arguments=["--log-level", LaunchConfiguration("log_level")],
                additional_env=env,
                output="screen",
                condition=IfCondition(LaunchConfiguration("page")),
            ),
        ]
    )
