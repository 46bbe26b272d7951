//! How the cameras' images are asked for, and which cameras do not offer that: DDS connects those two to nothing, in silence.

use r2r::qos::{DurabilityPolicy, ReliabilityPolicy};
use r2r::{Node, QosProfile};

use crate::node::params::declarations::Params;

/// One who publishes on a topic.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Publisher {
    /// The full name of its node.
    pub node: String,
    /// What it publishes.
    pub message: String,
    /// False where it gives each frame only once.
    pub is_reliable: bool,
    /// True where it keeps its last frames for those who come later.
    pub is_transient_local: bool,
}

/// What this node asks of those who publish images.
#[derive(Clone, Debug)]
pub struct Asked {
    message: &'static str,
    is_reliable: bool,
    is_transient_local: bool,
}

/// The profile of the cameras' subscriptions.
pub fn image_qos(params: &Params) -> QosProfile {
    let asked = Asked::new(params);
    let qos = QosProfile::sensor_data().keep_last(params.integer("image_depth"));
    let qos = if asked.is_reliable {
        qos.reliable()
    } else {
        qos.best_effort()
    };
    match asked.is_transient_local {
        true => qos.transient_local(),
        false => qos.volatile(),
    }
}

/// Those who publish on a topic, by its full name.
pub fn publishers(node: &Node, topic: &str) -> Vec<Publisher> {
    let found = node
        .get_publishers_info_by_topic(topic, false)
        .unwrap_or_default();
    let publisher = found.into_iter().map(|info| Publisher {
        node: format!("{}/{}", info.node_namespace.trim_end_matches('/'), info.node_name),
        message: info.topic_type,
        is_reliable: info.qos_profile.reliability == ReliabilityPolicy::Reliable,
        is_transient_local: info.qos_profile.durability == DurabilityPolicy::TransientLocal,
    });
    publisher.collect()
}

impl Asked {
    /// What the parameters say.
    pub fn new(params: &Params) -> Asked {
        Asked {
            message: match params.text("image_transport") {
                "compressed" => "sensor_msgs/msg/CompressedImage",
                _ => "sensor_msgs/msg/Image",
            },
            is_reliable: params.text("image_reliability") == "reliable",
            is_transient_local: params.text("image_durability") == "transient_local",
        }
    }

    /// Why nothing comes from that publisher, and what helps; none where it does.
    pub fn obstacle(&self, offered: &Publisher) -> Option<String> {
        let node = &offered.node;
        if offered.message != self.message {
            return Some(format!(
                "{node} publishes {}, not {}: set image_transport, or remap",
                offered.message, self.message
            ));
        }
        if self.is_reliable && !offered.is_reliable {
            return Some(format!(
                "{node} publishes best effort, and image_reliability asks for reliable: set image_reliability: best_effort"
            ));
        }
        if self.is_transient_local && !offered.is_transient_local {
            return Some(format!(
                "{node} publishes volatile, and image_durability asks for transient_local: set image_durability: volatile"
            ));
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAMERA: Publisher = Publisher {
        node: String::new(),
        message: String::new(),
        is_reliable: false,
        is_transient_local: false,
    };

    #[test]
    fn what_a_camera_does_not_offer_is_named_with_the_parameter_that_helps() {
        let camera = Publisher {
            message: "sensor_msgs/msg/Image".to_owned(),
            ..CAMERA
        };
        let sensor_data = Asked::new(&Params::default());
        assert_eq!(sensor_data.obstacle(&camera), None);
        let reliable = Asked {
            is_reliable: true,
            ..sensor_data.clone()
        };
        assert!(
            reliable
                .obstacle(&camera)
                .is_some_and(|word| word.contains("image_reliability: best_effort"))
        );
        let latched = Asked {
            is_transient_local: true,
            ..sensor_data.clone()
        };
        assert!(
            latched
                .obstacle(&camera)
                .is_some_and(|word| word.contains("image_durability: volatile"))
        );
        let other = Publisher {
            message: "sensor_msgs/msg/CompressedImage".to_owned(),
            ..CAMERA
        };
        assert!(
            sensor_data
                .obstacle(&other)
                .is_some_and(|word| word.contains("image_transport"))
        );
    }
}
