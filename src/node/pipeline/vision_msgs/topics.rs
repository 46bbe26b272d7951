//! The topics of a build with `vision_msgs`.

use r2r::std_msgs::msg::Header;
use r2r::thumb_gesture::msg::{ModelInfo, ThumbGesture};
use r2r::vision_msgs::msg::{Classification, LabelInfo, ObjectHypothesis, VisionClass, VisionInfo};
use r2r::{Node, QosProfile};

use super::hypotheses::{LabelMap, hypotheses};
use crate::node::ros::arguments::RosArguments;
use crate::node::ros::context::NodeContext;
use crate::node::ros::qos::transient_local;
use crate::node::ros::topic::Topic;

/// Publishes one camera's gestures as classifications.
pub(crate) struct ClassificationTopic(Topic<Classification>);

impl ClassificationTopic {
    /// Creates the publisher; `name` may begin with `~/`.
    ///
    /// # Errors
    /// rcl reported an error.
    pub(crate) fn new(node: &mut Node, name: &str) -> r2r::Result<ClassificationTopic> {
        let topic = Topic::new(node, name, QosProfile::default())?;
        Ok(ClassificationTopic(topic))
    }

    /// Publishes what was found in the frame of a gesture, if there are subscribers.
    pub(in crate::node::pipeline) fn publish(&self, gesture: &ThumbGesture) {
        if self.0.has_subscribers() {
            let results = hypotheses(gesture)
                .into_iter()
                .map(|(id, probability)| ObjectHypothesis {
                    class_id: id.to_string(),
                    score: probability.into(),
                });
            self.0.publish(&Classification {
                header: gesture.header.clone(),
                results: results.collect(),
            });
        }
    }

    /// Removes the publisher from the ROS graph.
    pub(in crate::node::pipeline) fn close(&self, node: &mut Node) {
        self.0.close(node);
    }
}

/// Publishes what the ids in the classifications stand for.
pub(crate) struct PipelineInfo {
    context: NodeContext,
    /// `~/vision_info`.
    vision_info: Topic<VisionInfo>,
    /// `~/label_info`.
    label_info: Topic<LabelInfo>,
    /// The full name of `~/label_info`.
    location: String,
    labels: LabelMap,
}

impl PipelineInfo {
    /// Creates the publishers.
    ///
    /// # Errors
    /// rcl reported an error.
    pub(crate) fn new(
        arguments: &RosArguments,
        node: &mut Node,
        context: NodeContext,
    ) -> r2r::Result<PipelineInfo> {
        let location = format!("{}/label_info", node.fully_qualified_name()?);
        let remapped = arguments.remap_topic(&location, &node.name()?, &node.namespace()?);
        Ok(PipelineInfo {
            context,
            vision_info: Topic::new(node, "~/vision_info", transient_local())?,
            label_info: Topic::new(node, "~/label_info", transient_local())?,
            location: remapped.unwrap_or(location),
            labels: LabelMap::default(),
        })
    }

    /// Publishes the labels of the model that classifies from now on, and the threshold for its probabilities.
    pub(in crate::node::pipeline) fn publish(&mut self, model: &ModelInfo, threshold: f32) {
        let header = Header {
            stamp: self.context.stamp(),
            ..Header::default()
        };
        let database_version = self.labels.update(&model.labels);
        let class = |(class_id, label): (u16, &String)| VisionClass {
            class_id,
            class_name: label.clone(),
        };
        self.label_info.publish(&LabelInfo {
            header: header.clone(),
            class_map: self.labels.entries().map(class).collect(),
            threshold,
        });
        self.vision_info.publish(&VisionInfo {
            header,
            method: model.network.clone(),
            database_location: self.location.clone(),
            database_version,
        });
    }
}
