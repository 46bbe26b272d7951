// Drives a robot by gestures: thumbs up forward, thumbs down backward, everything else stops it.
//
// Publishes cmd_vel continuously, with velocity 0 unless a stable gesture of a frame not older than `max_age` was received within the
// last `timeout`. The robot therefore stops without camera, model, node or network.

#include <algorithm>
#include <chrono>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <exception>
#include <memory>
#include <string>
#include <vector>

#include <geometry_msgs/msg/twist.hpp>
#include <rcl_interfaces/msg/parameter_descriptor.hpp>
#include <rcl_interfaces/msg/set_parameters_result.hpp>
#include <rclcpp/rclcpp.hpp>
#include <thumb_gesture/msg/thumb_gesture.hpp>

namespace
{

using namespace std::chrono_literals;
using geometry_msgs::msg::Twist;
using thumb_gesture::msg::ThumbGesture;
// Steady time, also for the timer: a robot keeps driving while a simulated clock stands still.
using Clock = std::chrono::steady_clock;

constexpr auto PERIOD = 100ms;  // between two messages on cmd_vel

// Subscribes to `thumb_gesture`, publishes `cmd_vel`.
class GestureToCmdVel : public rclcpp::Node
{
public:
  GestureToCmdVel() : Node("gesture_to_cmd_vel")
  {
    check_ = add_on_set_parameters_callback(reject_non_finite);
    declare("speed", 0.1, 0.0, 1.0, "speed in m/s");
    declare("timeout", 0.5, 0.1, 5.0, "time without a gesture after which the robot stops, in seconds");
    declare("max_age", 0.5, 0.05, 5.0, "maximum age of the frame of a gesture, in seconds");
    publisher_ = create_publisher<Twist>("cmd_vel", 1);
    subscription_ =
      create_subscription<ThumbGesture>("thumb_gesture", 1, [this](const ThumbGesture & message) {receive(message);});
    timer_ = create_wall_timer(PERIOD, [this] {publish();});
  }

  // Publishes velocity 0 and waits at most 1 s for acknowledgments.
  ~GestureToCmdVel() override
  {
    publisher_->publish(Twist());
    publisher_->wait_for_all_acked(1s);
  }

private:
  // The ranges of rclcpp accept inf and nan.
  static rcl_interfaces::msg::SetParametersResult reject_non_finite(const std::vector<rclcpp::Parameter> & parameters)
  {
    rcl_interfaces::msg::SetParametersResult result;
    result.successful = true;
    for (const auto & parameter : parameters) {
      if (parameter.get_type() == rclcpp::PARAMETER_DOUBLE && !std::isfinite(parameter.as_double())) {
        result.successful = false;
        result.reason = parameter.get_name() + " is " + parameter.value_to_string() + ", must be finite";
      }
    }
    return result;
  }

  void declare(const std::string & name, double value, double min, double max, const std::string & description)
  {
    rcl_interfaces::msg::ParameterDescriptor descriptor;
    descriptor.description = description;
    descriptor.floating_point_range.resize(1);
    descriptor.floating_point_range[0].from_value = min;
    descriptor.floating_point_range[0].to_value = max;
    declare_parameter(name, value, descriptor);
  }

  void receive(const ThumbGesture & message)
  {
    const bool is_valid = message.stable && age_of(message) <= get_parameter("max_age").as_double();
    direction_ = 0.0;
    if (is_valid && message.gesture == ThumbGesture::THUMBS_UP) {
      direction_ = 1.0;
    } else if (is_valid && message.gesture == ThumbGesture::THUMBS_DOWN) {
      direction_ = -1.0;
    }
    // Without a further message, the robot stops: what is silent cannot say that it is stale.
    const std::chrono::duration<double> timeout(get_parameter("timeout").as_double());
    valid_until_ = Clock::now() + std::chrono::duration_cast<Clock::duration>(timeout);
  }

  // Age of the frame in seconds: at least what the node says, and by its stamp, since a recorded message may be played again.
  double age_of(const ThumbGesture & message) const
  {
    const double age = message.age.sec + message.age.nanosec * 1e-9;
    const double stamp = message.header.stamp.sec + message.header.stamp.nanosec * 1e-9;
    return stamp == 0.0 ? age : std::max(age, now().seconds() - stamp);
  }

  void publish()
  {
    Twist twist;
    if (Clock::now() < valid_until_) {
      twist.linear.x = direction_ * get_parameter("speed").as_double();
    }
    publisher_->publish(twist);
  }

  double direction_ = 0.0;
  Clock::time_point valid_until_ = Clock::time_point::min();
  OnSetParametersCallbackHandle::SharedPtr check_;
  rclcpp::Publisher<Twist>::SharedPtr publisher_;
  rclcpp::Subscription<ThumbGesture>::SharedPtr subscription_;
  rclcpp::TimerBase::SharedPtr timer_;
};

volatile std::sig_atomic_t has_signal = 0;

}  // namespace

int main(int argc, char ** argv)
{
  // rclcpp's handlers would shut down communication before the node has published velocity 0.
  rclcpp::init(argc, argv, rclcpp::InitOptions(), rclcpp::SignalHandlerOptions::None);
  for (const int number : {SIGINT, SIGTERM}) {
    std::signal(number, [](int) {has_signal = 1;});
  }
  try {
    const auto node = std::make_shared<GestureToCmdVel>();
    rclcpp::executors::SingleThreadedExecutor executor;
    executor.add_node(node);
    while (!has_signal) {
      executor.spin_once(PERIOD);
    }
  } catch (const std::exception & error) {
    std::fprintf(stderr, "gesture_to_cmd_vel: %s\n", error.what());
    return 1;
  }
  rclcpp::shutdown();
  return 0;
}
