//! Saves frames of the cameras in the dataset: `~/capture` a number of them, `~/record` as long as the caller wants.

mod burst;
pub(crate) mod recording;

use std::sync::Arc;

use futures::{Stream, StreamExt};
use r2r::ServiceRequest;
use r2r::thumb_gesture::srv::CaptureFrames;

use crate::dataset::{self, Label};
use crate::node::dataset::NodeDataset;
use crate::node::ros::context::NodeContext;
use crate::node::ros::service::respond;
use crate::text;
pub(crate) use burst::Source;
use burst::{CaptureError, MAX_FRAMES};

/// Answers `~/capture`, one call after the other.
pub(crate) struct Capture {
    pub(crate) context: NodeContext,
    pub(crate) source: Arc<Source>,
}

impl Capture {
    /// Deletes temporary files in the dataset, publishes its summary, and answers calls until the node ends.
    pub(crate) async fn serve(
        self,
        mut requests: impl Stream<Item = ServiceRequest<CaptureFrames::Service>> + Unpin,
    ) {
        dataset::sweep(self.dataset().root());
        self.dataset().publish_summary_in_background().await;
        while let Some(request) = requests.next().await {
            let response = self.answer(&request.message).await;
            respond(&self.context, request, response);
        }
    }

    fn dataset(&self) -> &Arc<NodeDataset> {
        &self.source.dataset
    }

    async fn answer(&self, request: &CaptureFrames::Request) -> CaptureFrames::Response {
        let mut saved = 0;
        let label = self.dataset().label(&request.label);
        let name = label.as_ref().map(ToString::to_string).unwrap_or_default();
        let result = match label {
            Ok(label) => self.capture(request, label, &mut saved).await,
            Err(error) => Err(error.into()),
        };
        let frames = self.dataset().publish_summary_in_background().await;
        let total = frames.get(&name).copied().unwrap_or_default();
        let (success, message) = match result {
            Ok(()) if name != request.label => (
                true,
                format!(
                    "{saved} frames saved under {name}, which is how the dataset spells {}",
                    request.label
                ),
            ),
            Ok(()) => (true, format!("{saved} frames saved under {name}")),
            Err(error) => (false, format!("{error} ({saved} frames saved)")),
        };
        CaptureFrames::Response {
            success,
            message: text::message(&message),
            saved,
            total,
        }
    }

    /// Saves the requested frames; counts them in `saved`, also on failure.
    async fn capture(
        &self,
        request: &CaptureFrames::Request,
        label: Label,
        saved: &mut u32,
    ) -> Result<(), CaptureError> {
        if !(1..=MAX_FRAMES).contains(&request.frames) {
            return Err(CaptureError::Count(request.frames));
        }
        let mut burst = self.source.open(label, &request.camera).await?;
        while *saved < request.frames {
            let frame = burst.next().await?;
            *saved += u32::from(burst.save(frame).await?);
        }
        burst.check_cameras()
    }
}
