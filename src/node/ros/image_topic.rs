//! Names of image topics under remapping rules, as in image_transport.

use r2r::Node;

use super::arguments::RosArguments;
use super::qos::ImageTransport;

/// The name of a transport's topic.
pub struct ImageTopic {
    /// The name for a publisher or subscription, to which rcl applies the remapping rules once more.
    pub name: String,
    /// The full name after remapping.
    pub full_name: String,
}

impl ImageTopic {
    /// The topic of a transport below a base topic, such as `camera/image_raw`, which may begin with `~/`.
    /// A remapping rule for the topic itself takes precedence over one for the base topic.
    ///
    /// # Errors
    /// rcl reported an error.
    pub fn resolve(
        arguments: &RosArguments,
        node: &Node,
        base: &str,
        transport: ImageTransport,
    ) -> r2r::Result<ImageTopic> {
        let resolver = Resolver {
            arguments,
            node: &node.name()?,
            namespace: &node.namespace()?,
        };
        Ok(resolver.resolve(base, transport))
    }
}

/// The absolute form of a topic or camera name in a namespace.
pub fn absolute_name(namespace: &str, name: &str) -> String {
    match name.starts_with('/') {
        true => name.to_owned(),
        false => format!("{}/{name}", namespace.trim_end_matches('/')),
    }
}

struct Resolver<'a> {
    arguments: &'a RosArguments,
    node: &'a str,
    namespace: &'a str,
}

impl Resolver<'_> {
    fn resolve(&self, base: &str, transport: ImageTransport) -> ImageTopic {
        let base = self.expand(base);
        let topic = transport.topic(&base);
        if let Some(full_name) = self.remap(&topic) {
            return ImageTopic {
                name: topic,
                full_name,
            };
        }
        let name = transport.topic(&self.remap(&base).unwrap_or(base));
        let full_name = self.remap(&name).unwrap_or_else(|| name.clone());
        ImageTopic { name, full_name }
    }

    fn expand(&self, name: &str) -> String {
        match name.strip_prefix("~/") {
            Some(rest) => absolute_name(self.namespace, &format!("{}/{rest}", self.node)),
            None => absolute_name(self.namespace, name),
        }
    }

    fn remap(&self, topic: &str) -> Option<String> {
        self.arguments.remap_topic(topic, self.node, self.namespace)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: &str = "camera/image_raw";

    fn full_name(rules: &[&str], base: &str, transport: ImageTransport) -> String {
        let mut words = vec!["program".to_owned(), "--ros-args".to_owned()];
        for &rule in rules {
            words.extend(["-r".to_owned(), rule.to_owned()]);
        }
        let resolver = Resolver {
            arguments: &RosArguments::parse(&words).expect("valid rules"),
            node: "eye",
            namespace: "/jetbot",
        };
        let topic = resolver.resolve(base, transport);
        let once_more = resolver.remap(&topic.name).unwrap_or(topic.name);
        assert_eq!(once_more, topic.full_name, "rcl applies the rules to the name");
        topic.full_name
    }

    #[test]
    fn base_topic_is_remapped_before_the_transport_is_appended() {
        for (rule, expected) in [
            ("camera/image_raw:=/usb_cam/image_raw", "/usb_cam/image_raw"),
            ("/jetbot/camera/image_raw:=front", "/jetbot/front"),
            ("camera/image_raw:=~/image", "/jetbot/eye/image"),
            ("eye:camera/image_raw:=/own", "/own"),
            ("other:camera/image_raw:=/x", "/jetbot/camera/image_raw"),
            ("image_raw:=/x", "/jetbot/camera/image_raw"),
        ] {
            assert_eq!(full_name(&[rule], BASE, ImageTransport::Raw), expected, "{rule}");
            let compressed = full_name(&[rule], BASE, ImageTransport::Compressed);
            assert_eq!(compressed, format!("{expected}/compressed"), "{rule}");
        }
        assert_eq!(
            full_name(&["~/overlay:=/debug"], "~/overlay", ImageTransport::Compressed),
            "/debug/compressed"
        );
    }

    #[test]
    fn rule_for_the_whole_name_takes_precedence() {
        let rules = [
            "camera/image_raw:=/a",
            "camera/image_raw/compressed:=/b/jpeg",
            "/a/compressed:=/c",
        ];
        assert_eq!(full_name(&rules, BASE, ImageTransport::Compressed), "/b/jpeg");
        assert_eq!(full_name(&rules, BASE, ImageTransport::Raw), "/a");
        let identity = [
            "camera/image_raw:=/a",
            "camera/image_raw/compressed:=camera/image_raw/compressed",
        ];
        let unchanged = full_name(&identity, BASE, ImageTransport::Compressed);
        assert_eq!(unchanged, "/jetbot/camera/image_raw/compressed");
    }

    #[test]
    fn topics_may_be_swapped() {
        let rules = [
            "front/image_raw:=rear/image_raw",
            "rear/image_raw:=front/image_raw",
        ];
        for (transport, suffix) in [
            (ImageTransport::Raw, ""),
            (ImageTransport::Compressed, "/compressed"),
        ] {
            let swapped = full_name(&rules, "front/image_raw", transport);
            assert_eq!(swapped, format!("/jetbot/rear/image_raw{suffix}"));
        }
    }
}
