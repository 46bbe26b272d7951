//! QoS of the node's topics, and detection of publishers that do not match: DDS does not connect them and reports no error. Zenoh connects
//! all of the same type.

use r2r::qos::{DurabilityPolicy, ReliabilityPolicy};
use r2r::{Node, QosProfile};
use strum::{Display, EnumString, VariantNames};

use crate::frame::fix_of_video;
use crate::node::ros::ffi;

/// How images are published, as in `image_transport`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Display, EnumString, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum ImageTransport {
    /// `sensor_msgs/Image`.
    Raw,
    /// `sensor_msgs/CompressedImage`.
    Compressed,
}

impl ImageTransport {
    /// The topic of this transport for a base topic such as `camera/image_raw`.
    pub fn topic(self, base: &str) -> String {
        match self {
            ImageTransport::Raw => base.to_owned(),
            ImageTransport::Compressed => format!("{base}/compressed"),
        }
    }

    fn message_type(self) -> &'static str {
        match self {
            ImageTransport::Raw => "sensor_msgs/msg/Image",
            ImageTransport::Compressed => "sensor_msgs/msg/CompressedImage",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Display, EnumString, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub(crate) enum Reliability {
    Auto,
    BestEffort,
    Reliable,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Display, EnumString, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub(crate) enum Durability {
    Auto,
    Volatile,
    TransientLocal,
}

/// The QoS and message type that the image subscriptions request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ImageSubscription {
    pub(crate) transport: ImageTransport,
    pub(crate) reliability: Reliability,
    pub(crate) durability: Durability,
    /// QoS history depth, frames.
    pub(crate) depth: usize,
}

/// The QoS with which a camera is subscribed to. The default matches every publisher.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ImageQos {
    pub(crate) is_reliable: bool,
    pub(crate) is_transient_local: bool,
}

/// A publisher that was discovered on a topic, and what it offers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct RemotePublisher {
    /// Full name of its node.
    pub(crate) node: String,
    pub(crate) message_type: String,
    pub(crate) is_reliable: bool,
    pub(crate) is_transient_local: bool,
}

/// QoS of topics that send their last message to late subscribers.
pub fn transient_local() -> QosProfile {
    QosProfile::default().keep_last(1).reliable().transient_local()
}

/// The publishers of a topic, given by its full name.
pub(crate) fn publishers(node: &Node, topic: &str) -> Vec<RemotePublisher> {
    let found = node
        .get_publishers_info_by_topic(topic, false)
        .unwrap_or_default();
    let publisher = found.into_iter().map(|info| RemotePublisher {
        node: format!("{}/{}", info.node_namespace.trim_end_matches('/'), info.node_name),
        message_type: info.topic_type,
        is_reliable: info.qos_profile.reliability == ReliabilityPolicy::Reliable,
        is_transient_local: info.qos_profile.durability == DurabilityPolicy::TransientLocal,
    });
    publisher.collect()
}

impl RemotePublisher {
    fn profile(&self) -> QosProfile {
        let qos = ImageQos {
            is_reliable: self.is_reliable,
            is_transient_local: self.is_transient_local,
        };
        qos.applied_to(QosProfile::default())
    }
}

impl ImageQos {
    fn applied_to(self, profile: QosProfile) -> QosProfile {
        let profile = match self.is_reliable {
            true => profile.reliable(),
            false => profile.best_effort(),
        };
        match self.is_transient_local {
            true => profile.transient_local(),
            false => profile.volatile(),
        }
    }

    /// The values of the parameters.
    pub(crate) fn names(self) -> (Reliability, Durability) {
        let reliability = match self.is_reliable {
            true => Reliability::Reliable,
            false => Reliability::BestEffort,
        };
        let durability = match self.is_transient_local {
            true => Durability::TransientLocal,
            false => Durability::Volatile,
        };
        (reliability, durability)
    }
}

impl ImageSubscription {
    /// This subscription as the middleware needs it: `auto` is fixed where every subscription receives the messages of every publisher, so
    /// that none is replaced. With Zenoh, the end of one during a message can block the node (ros2/rmw_zenoh issue 993).
    pub(crate) fn for_middleware(self) -> ImageSubscription {
        let (least, most) = (
            ImageQos::default(),
            ImageQos {
                is_reliable: true,
                is_transient_local: true,
            },
        );
        match ffi::are_compatible(self.profile(least), self.profile(most)) {
            true => self.without_auto(),
            false => self,
        }
    }

    fn without_auto(self) -> ImageSubscription {
        ImageSubscription {
            reliability: match self.reliability {
                Reliability::Auto => Reliability::Reliable,
                requested => requested,
            },
            durability: match self.durability {
                Durability::Auto => Durability::Volatile,
                requested => requested,
            },
            ..self
        }
    }

    /// The QoS that fits these publishers: with `auto` the best that all of them offer, and without a publisher the current one.
    pub(crate) fn fitting(&self, publishers: &[RemotePublisher], current: ImageQos) -> ImageQos {
        let message_type = self.transport.message_type();
        let own: Vec<&RemotePublisher> = publishers
            .iter()
            .filter(|publisher| publisher.message_type == message_type)
            .collect();
        let all_offer = |is_offered: fn(&RemotePublisher) -> bool, current: bool| match own.as_slice() {
            [] => current,
            own => own.iter().all(|publisher| is_offered(publisher)),
        };
        ImageQos {
            is_reliable: match self.reliability {
                Reliability::Auto => all_offer(|publisher| publisher.is_reliable, current.is_reliable),
                requested => requested == Reliability::Reliable,
            },
            is_transient_local: match self.durability {
                Durability::Auto => all_offer(
                    |publisher| publisher.is_transient_local,
                    current.is_transient_local,
                ),
                requested => requested == Durability::TransientLocal,
            },
        }
    }

    pub(crate) fn profile(&self, qos: ImageQos) -> QosProfile {
        qos.applied_to(QosProfile::sensor_data().keep_last(self.depth))
    }

    /// Why no message of a publisher is received, and how to fix it; `None` if the publisher matches.
    pub(crate) fn mismatch(&self, publisher: &RemotePublisher) -> Option<String> {
        let node = &publisher.node;
        let message_type = self.transport.message_type();
        if publisher.message_type != message_type {
            let found = &publisher.message_type;
            let fix = fix_of_video(found).unwrap_or("set image_transport, or remap the topic");
            return Some(format!("{node} publishes {found}, not {message_type}; {fix}"));
        }
        // With `auto` the QoS fits every publisher.
        let requested = ImageQos {
            is_reliable: self.reliability == Reliability::Reliable,
            is_transient_local: self.durability == Durability::TransientLocal,
        };
        if ffi::are_compatible(publisher.profile(), self.profile(requested)) {
            return None;
        }
        if self.reliability == Reliability::Reliable && !publisher.is_reliable {
            let (requested, offered) = (self.reliability, Reliability::BestEffort);
            return Some(format!(
                "{node} publishes with reliability {offered}, but image_reliability is {requested}; set image_reliability: {offered}"
            ));
        }
        if self.durability == Durability::TransientLocal && !publisher.is_transient_local {
            let (requested, offered) = (self.durability, Durability::Volatile);
            return Some(format!(
                "{node} publishes with durability {offered}, but image_durability is {requested}; set image_durability: {offered}"
            ));
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEFAULT: ImageSubscription = ImageSubscription {
        transport: ImageTransport::Raw,
        reliability: Reliability::BestEffort,
        durability: Durability::Volatile,
        depth: 1,
    };

    #[test]
    fn incompatible_publisher_is_reported_with_the_parameter_to_set() {
        let camera = RemotePublisher {
            node: "/camera".to_owned(),
            message_type: "sensor_msgs/msg/Image".to_owned(),
            is_reliable: false,
            is_transient_local: false,
        };
        assert_eq!(DEFAULT.mismatch(&camera), None);
        let advice = |requested: ImageSubscription| requested.mismatch(&camera).unwrap_or_default();
        let reliable = advice(ImageSubscription {
            reliability: Reliability::Reliable,
            ..DEFAULT
        });
        assert!(reliable.contains("image_reliability: best_effort"), "{reliable}");
        let transient_local = advice(ImageSubscription {
            durability: Durability::TransientLocal,
            ..DEFAULT
        });
        assert!(
            transient_local.contains("image_durability: volatile"),
            "{transient_local}"
        );
        let compressed = advice(ImageSubscription {
            transport: ImageTransport::Compressed,
            ..DEFAULT
        });
        assert!(compressed.contains("set image_transport"), "{compressed}");
        let video = RemotePublisher {
            message_type: "ffmpeg_image_transport_msgs/msg/FFMPEGPacket".to_owned(),
            ..camera
        };
        let video = DEFAULT.mismatch(&video).unwrap_or_default();
        assert!(video.contains("image_transport republish"), "{video}");
    }

    #[test]
    fn auto_is_fixed_only_where_every_publisher_matches() {
        let requested = ImageSubscription {
            reliability: Reliability::Auto,
            durability: Durability::Auto,
            ..DEFAULT
        };
        let is_zenoh = ffi::middleware() == "rmw_zenoh_cpp";
        let followed = requested.for_middleware().reliability == Reliability::Auto;
        assert_eq!(followed, !is_zenoh, "{}", ffi::middleware());
        let fixed = requested.without_auto();
        assert_eq!(
            (fixed.reliability, fixed.durability),
            (Reliability::Reliable, Durability::Volatile)
        );
        assert_eq!(DEFAULT.without_auto().reliability, Reliability::BestEffort);
    }

    #[test]
    fn auto_is_the_best_that_all_publishers_offer() {
        let requested = ImageSubscription {
            reliability: Reliability::Auto,
            durability: Durability::Auto,
            ..DEFAULT
        };
        let publisher = |is_reliable, is_transient_local| RemotePublisher {
            node: "/camera".to_owned(),
            message_type: "sensor_msgs/msg/Image".to_owned(),
            is_reliable,
            is_transient_local,
        };
        let compressed = RemotePublisher {
            message_type: "sensor_msgs/msg/CompressedImage".to_owned(),
            ..publisher(false, false)
        };
        let (best, worst) = (publisher(true, true), publisher(false, false));
        let fitting = |publishers: &[&RemotePublisher], current: (bool, bool)| {
            let publishers: Vec<_> = publishers.iter().map(|&publisher| publisher.clone()).collect();
            let current = ImageQos {
                is_reliable: current.0,
                is_transient_local: current.1,
            };
            let qos = requested.fitting(&publishers, current);
            (qos.is_reliable, qos.is_transient_local)
        };
        let any = (false, false);
        assert_eq!(fitting(&[&best], any), (true, true));
        assert_eq!(
            fitting(&[&best, &compressed], any),
            (true, true),
            "not of this type"
        );
        assert_eq!(
            fitting(&[&best, &publisher(true, false)], (true, true)),
            (true, false)
        );
        assert_eq!(fitting(&[&best, &worst], (true, true)), any);
        assert_eq!(
            fitting(&[], (true, true)),
            (true, true),
            "the camera may come back"
        );
        assert_eq!(
            DEFAULT.fitting(std::slice::from_ref(&best), ImageQos::default()),
            ImageQos::default()
        );
        assert_eq!(requested.mismatch(&worst), None);
    }
}
