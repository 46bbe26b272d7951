//! `~/get_type_description`, which nodes of rclcpp and rclpy offer: the definition of a message or service, also for programs that do not
//! have its package ([REP 2016](https://ros.org/reps/rep-2016.html)).

use r2r::Node;
use r2r::type_description_interfaces::srv::GetTypeDescription;

use super::context::NodeContext;
use super::interfaces;
use super::service::answer;
use crate::text;

/// Creates the service. It describes the messages of all packages that the program was built with, and the services that it has.
///
/// # Errors
/// rcl reported an error.
pub(crate) fn serve(node: &mut Node, context: &NodeContext) -> r2r::Result<()> {
    answer::<GetTypeDescription::Service>(node, context, "~/get_type_description", |request| {
        describe(request).unwrap_or_else(|failure_reason| GetTypeDescription::Response {
            failure_reason,
            ..GetTypeDescription::Response::default()
        })
    })
}

fn describe(request: &GetTypeDescription::Request) -> Result<GetTypeDescription::Response, String> {
    let name = &request.type_name;
    let definition = interfaces::find(name).ok_or_else(|| {
        let name = text::message(name);
        format!("this node does not use \"{name}\"; pass a name such as sensor_msgs/msg/Image or thumb_gesture/srv/Retrain")
    })?;
    if request.type_hash != definition.hash {
        let (requested, hash) = (text::message(&request.type_hash), definition.hash);
        return Err(format!(
            "this node uses another version of {name}: its hash is {hash}, not \"{requested}\""
        ));
    }
    Ok(GetTypeDescription::Response {
        successful: true,
        type_description: definition.description,
        type_sources: match request.include_type_sources {
            true => definition.sources,
            false => Vec::new(),
        },
        ..GetTypeDescription::Response::default()
    })
}

#[cfg(test)]
mod tests {
    use r2r::thumb_gesture::srv::Retrain;

    use super::*;

    #[test]
    fn messages_and_services_are_described_with_their_sources() {
        interfaces::add_service::<Retrain::Service>();
        for (type_name, field) in [
            ("thumb_gesture/msg/ThumbGesture", "gesture"),
            ("thumb_gesture/srv/Retrain", "request_message"),
        ] {
            let mut request = GetTypeDescription::Request {
                type_name: type_name.to_owned(),
                type_hash: interfaces::find(type_name).expect(type_name).hash,
                include_type_sources: true,
            };
            let described = describe(&request).expect(type_name);
            let own = &described.type_description.type_description;
            assert_eq!((described.successful, own.type_name.as_str()), (true, type_name));
            assert!(own.fields.iter().any(|other| other.name == field), "{own:?}");
            let source = described
                .type_sources
                .iter()
                .find(|source| source.type_name == type_name);
            assert!(source.is_some_and(|source| !source.raw_file_contents.is_empty()));

            request.include_type_sources = false;
            let brief = describe(&request).expect(type_name);
            assert_eq!(brief.type_description, described.type_description);
            assert!(brief.type_sources.is_empty());
        }
    }

    #[test]
    fn unknown_interfaces_and_other_versions_are_refused() {
        let refused = |type_name: &str, type_hash: &str| {
            let request = GetTypeDescription::Request {
                type_name: type_name.to_owned(),
                type_hash: type_hash.to_owned(),
                include_type_sources: true,
            };
            describe(&request).expect_err("refused")
        };
        for name in [
            "",
            "thumb_gesture",
            "thumb_gesture/msg/Nothing",
            "thumb_gesture/ThumbGesture",
            "\0\u{1b}[2J",
        ] {
            let reason = refused(name, "");
            assert!(reason.starts_with("this node does not use"), "{reason}");
            assert!(!reason.contains('\u{1b}'), "{reason}");
        }
        let reason = refused("thumb_gesture/msg/ThumbGesture", "RIHS01_0");
        assert!(
            reason.contains("another version") && reason.contains("RIHS01_0"),
            "{reason}"
        );
    }
}
