//! The publishers on a camera's topics: whether the subscription matches those of its images, and whether several nodes publish its images
//! or its gestures.

use std::collections::HashSet;

use crate::node::ros::qos::{ImageSubscription, RemotePublisher};

/// Number of successive looks at which the same publishers are seen until they are several: a driver that is being restarted is seen
/// twice for a moment.
const MIN_LOOKS: usize = 2;
/// The same if a name occurs twice: a driver that was killed and started again is seen twice until the lease of the first one ends, by
/// default after 10 s (Cyclone DDS) or 20 s (Fast DDS).
const MIN_LOOKS_WITH_SAME_NAME: usize = 30;
/// Part of the name of a node of which DDS does not know the name yet.
const UNKNOWN_NODE: &str = "_NODE_NAME_UNKNOWN_";

/// What is wrong with the publishers on a camera's topics.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct PublisherProblems {
    /// Why the images of a publisher are not received.
    pub(super) mismatch: Option<String>,
    /// That several nodes publish images on one topic, and how to fix it.
    pub(super) several: Option<String>,
    /// The same for gestures.
    pub(super) several_gestures: Option<String>,
}

/// The publishers that were discovered on a topic.
#[derive(Clone, Copy)]
pub(super) struct TopicPublishers<'a> {
    pub(super) topic: &'a str,
    pub(super) publishers: &'a [RemotePublisher],
}

/// The publishers at the last look.
#[derive(Default)]
pub(super) struct PublisherWatch {
    /// Publishers with an incompatible QoS or type that were already logged.
    incompatible: HashSet<RemotePublisher>,
    /// The nodes whose images are received.
    images: NodeWatch,
    /// The nodes that publish gestures, this one included.
    gestures: NodeWatch,
}

/// The nodes that publish on a topic, at the last look.
#[derive(Default)]
struct NodeWatch {
    /// Sorted.
    nodes: Vec<String>,
    /// Number of successive looks at which these nodes were seen.
    looks: usize,
    /// The nodes that were last logged as several.
    logged_nodes: Vec<String>,
}

impl PublisherWatch {
    /// The current problems, and the log messages about new ones.
    pub(super) fn check(
        &mut self,
        subscription: &ImageSubscription,
        images: TopicPublishers,
        gestures: TopicPublishers,
    ) -> (PublisherProblems, Vec<String>) {
        let TopicPublishers { topic, publishers } = images;
        self.incompatible
            .retain(|publisher| publishers.contains(publisher));
        let (mut warnings, mut first_mismatch, mut received) = (Vec::new(), None, Vec::new());
        for publisher in publishers {
            let Some(mismatch) = subscription.mismatch(publisher) else {
                received.push(publisher);
                continue;
            };
            if self.incompatible.insert(publisher.clone()) {
                warnings.push(format!("incompatible publisher on {topic}: {mismatch}"));
            }
            first_mismatch = first_mismatch.or(Some(mismatch));
        }
        let of_images = "publish images that would mix; remap one of them to another topic, or stop it";
        let of_gestures = "offer gestures of the same camera; stop one of them, start it in another namespace, or play a bag without its gestures (--topics)";
        let problems = PublisherProblems {
            mismatch: first_mismatch,
            several: self.images.several(topic, received, of_images, &mut warnings),
            several_gestures: self.gestures.several(
                gestures.topic,
                gestures.publishers,
                of_gestures,
                &mut warnings,
            ),
        };
        (problems, warnings)
    }
}

impl NodeWatch {
    /// That several nodes publish on one topic, and `what`; also added to `warnings` if it is new.
    fn several<'a>(
        &mut self,
        topic: &str,
        publishers: impl IntoIterator<Item = &'a RemotePublisher>,
        what: &str,
        warnings: &mut Vec<String>,
    ) -> Option<String> {
        let nodes = publishers.into_iter().map(|publisher| publisher.node.clone());
        let mut nodes: Vec<String> = nodes.filter(|node| !node.contains(UNKNOWN_NODE)).collect();
        nodes.sort();
        self.looks = if nodes == self.nodes { self.looks + 1 } else { 1 };
        self.nodes = nodes;
        let has_same_name = self.nodes.windows(2).any(|pair| pair[0] == pair[1]);
        let min_looks = if has_same_name {
            MIN_LOOKS_WITH_SAME_NAME
        } else {
            MIN_LOOKS
        };
        if self.nodes.len() < 2 || self.looks < min_looks {
            return None;
        }
        let several = format!(
            "several publishers on {topic}: {} {what}",
            self.nodes.join(" and ")
        );
        if self.logged_nodes != self.nodes {
            warnings.push(several.clone());
            self.logged_nodes.clone_from(&self.nodes);
        }
        Some(several)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::ros::qos::{Durability, ImageTransport, Reliability};

    const SUBSCRIPTION: ImageSubscription = ImageSubscription {
        transport: ImageTransport::Raw,
        reliability: Reliability::BestEffort,
        durability: Durability::Volatile,
        depth: 1,
    };

    const NO_IMAGES: TopicPublishers = TopicPublishers {
        topic: "/image",
        publishers: &[],
    };

    fn check_images(
        watch: &mut PublisherWatch,
        publishers: &[RemotePublisher],
    ) -> (PublisherProblems, Vec<String>) {
        let images = TopicPublishers {
            publishers,
            ..NO_IMAGES
        };
        let gestures = TopicPublishers {
            topic: "/gesture",
            publishers: &[],
        };
        watch.check(&SUBSCRIPTION, images, gestures)
    }

    fn publisher(node: &str, message_type: &str) -> RemotePublisher {
        RemotePublisher {
            node: node.to_owned(),
            message_type: format!("sensor_msgs/msg/{message_type}"),
            is_reliable: true,
            is_transient_local: false,
        }
    }

    #[test]
    fn several_publishers_are_named_and_logged_once() {
        let mut watch = PublisherWatch::default();
        let mut look = |nodes: &[&str]| {
            let publishers: Vec<_> = nodes.iter().map(|node| publisher(node, "Image")).collect();
            let (problems, warnings) = check_images(&mut watch, &publishers);
            (problems.several.unwrap_or_default(), warnings.len())
        };
        assert_eq!(look(&["/one"]), (String::new(), 0));
        assert_eq!(look(&["/one", "/two"]), (String::new(), 0), "may be a restart");
        let (several, warnings) = look(&["/two", "/one"]);
        assert!(several.contains("/one and /two"), "{several}");
        assert_eq!(warnings, 1);
        assert_eq!(look(&["/one", "/two"]).1, 0, "logged already");
        assert_eq!(look(&["/two"]), (String::new(), 0));
    }

    #[test]
    fn killed_driver_of_which_the_lease_has_not_ended_is_not_one_of_several() {
        let mut watch = PublisherWatch::default();
        let mut look = |nodes: [&str; 2]| {
            let publishers = nodes.map(|node| publisher(node, "Image"));
            check_images(&mut watch, &publishers).0.several.is_some()
        };
        let unknown = "_NODE_NAMESPACE_UNKNOWN_/_NODE_NAME_UNKNOWN_";
        assert!((0..50).all(|_| !look(["/one", unknown])));
        assert!((0..25).all(|_| !look(["/one", "/one"])));
        assert!((0..10).any(|_| look(["/one", "/one"])), "really two");
    }

    #[test]
    fn several_nodes_that_publish_gestures_are_named_and_logged_once() {
        let mut watch = PublisherWatch::default();
        let publishers = ["/b", "/a"].map(|node| publisher(node, "Gesture"));
        let mut look = || {
            let gestures = TopicPublishers {
                topic: "/gesture",
                publishers: &publishers,
            };
            let (problems, warnings) = watch.check(&SUBSCRIPTION, NO_IMAGES, gestures);
            (problems.several_gestures.unwrap_or_default(), warnings.len())
        };
        assert_eq!(look(), (String::new(), 0), "may be a restart");
        let (several, warnings) = look();
        assert!(
            several.contains("on /gesture: /a and /b offer gestures"),
            "{several}"
        );
        assert_eq!(warnings, 1);
        assert_eq!(look(), (several, 0), "logged already");
    }

    #[test]
    fn incompatible_publisher_is_not_one_of_several() {
        let mut watch = PublisherWatch::default();
        let publishers = [publisher("/one", "Image"), publisher("/two", "CompressedImage")];
        let (problems, warnings) = check_images(&mut watch, &publishers);
        assert!(
            problems
                .mismatch
                .is_some_and(|mismatch| mismatch.contains("/two"))
        );
        assert_eq!(warnings.len(), 1);
        let (problems, warnings) = check_images(&mut watch, &publishers);
        assert_eq!((problems.several, warnings.len()), (None, 0));
    }
}
