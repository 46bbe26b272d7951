//! The publishers on a camera's topic: whether the subscription matches them, and whether there is more than one.

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

/// What is wrong with the publishers on a topic.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct PublisherProblems {
    /// Why the messages of a publisher are not received.
    pub(super) mismatch: Option<String>,
    /// The names of several publishers whose messages are received, and how to fix it.
    pub(super) several: Option<String>,
}

/// The publishers at the last look.
#[derive(Default)]
pub(super) struct PublisherWatch {
    /// Publishers with an incompatible QoS or type that were already logged.
    incompatible: HashSet<RemotePublisher>,
    /// The nodes of the matching publishers, sorted.
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
        topic: &str,
        subscription: &ImageSubscription,
        publishers: &[RemotePublisher],
    ) -> (PublisherProblems, Vec<String>) {
        self.incompatible
            .retain(|publisher| publishers.contains(publisher));
        let (mut warnings, mut first_mismatch, mut nodes) = (Vec::new(), None, Vec::new());
        for publisher in publishers {
            let Some(mismatch) = subscription.mismatch(publisher) else {
                if !publisher.node.contains(UNKNOWN_NODE) {
                    nodes.push(publisher.node.clone());
                }
                continue;
            };
            if self.incompatible.insert(publisher.clone()) {
                warnings.push(format!("incompatible publisher on {topic}: {mismatch}"));
            }
            first_mismatch = first_mismatch.or(Some(mismatch));
        }
        let (several, is_new) = self.check_several(nodes);
        if let Some(several) = several.as_ref().filter(|_| is_new) {
            warnings.push(format!("several publishers on {topic}: {several}"));
        }
        let problems = PublisherProblems {
            mismatch: first_mismatch,
            several,
        };
        (problems, warnings)
    }

    /// The problem of several publishers, and whether it is new.
    fn check_several(&mut self, mut nodes: Vec<String>) -> (Option<String>, bool) {
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
            return (None, false);
        }
        let several = format!(
            "{} publish images that would mix; remap one of them to another topic, or stop it",
            self.nodes.join(" and ")
        );
        let is_new = self.logged_nodes != self.nodes;
        self.logged_nodes.clone_from(&self.nodes);
        (Some(several), is_new)
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
            let (problems, warnings) = watch.check("/image", &SUBSCRIPTION, &publishers);
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
            watch
                .check("/image", &SUBSCRIPTION, &publishers)
                .0
                .several
                .is_some()
        };
        let unknown = "_NODE_NAMESPACE_UNKNOWN_/_NODE_NAME_UNKNOWN_";
        assert!((0..50).all(|_| !look(["/one", unknown])));
        assert!((0..25).all(|_| !look(["/one", "/one"])));
        assert!((0..10).any(|_| look(["/one", "/one"])), "really two");
    }

    #[test]
    fn incompatible_publisher_is_not_one_of_several() {
        let mut watch = PublisherWatch::default();
        let publishers = [publisher("/one", "Image"), publisher("/two", "CompressedImage")];
        let (problems, warnings) = watch.check("/image", &SUBSCRIPTION, &publishers);
        assert!(
            problems
                .mismatch
                .is_some_and(|mismatch| mismatch.contains("/two"))
        );
        assert_eq!(warnings.len(), 1);
        let (problems, warnings) = watch.check("/image", &SUBSCRIPTION, &publishers);
        assert_eq!((problems.several, warnings.len()), (None, 0));
    }
}
