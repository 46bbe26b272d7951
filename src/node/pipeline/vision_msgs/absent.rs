//! A build without `vision_msgs`: nothing is published.

use r2r::Node;
use r2r::thumb_gesture::msg::{ModelInfo, ThumbGesture};

use crate::node::ros::arguments::RosArguments;
use crate::node::ros::context::NodeContext;

pub(crate) struct ClassificationTopic;

impl ClassificationTopic {
    pub(crate) fn new(_node: &mut Node, _name: &str) -> r2r::Result<ClassificationTopic> {
        Ok(ClassificationTopic)
    }

    pub(in crate::node::pipeline) fn publish(&self, _gesture: &ThumbGesture) {}

    pub(in crate::node::pipeline) fn close(&self, _node: &mut Node) {}
}

pub(crate) struct PipelineInfo;

impl PipelineInfo {
    pub(crate) fn new(
        _arguments: &RosArguments,
        _node: &mut Node,
        _context: NodeContext,
    ) -> r2r::Result<PipelineInfo> {
        Ok(PipelineInfo)
    }

    pub(in crate::node::pipeline) fn publish(&mut self, _model: &ModelInfo, _threshold: f32) {}
}
