//! The level and the message of a camera's status.

use std::time::Duration;

use super::publisher_watch::PublisherProblems;
use crate::decision::StaleCause;
use crate::node::pipeline::camera::StaleEpisode;
use crate::node::ros::qos::ImageTransport;
use crate::node::state::State;

// The levels of `DiagnosticStatus.msg`.
pub(super) const OK: u8 = 0;
pub(super) const WARN: u8 = 1;
pub(super) const ERROR: u8 = 2;

/// A camera's counters at one time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) received: u64,
    pub(super) bad: u64,
    pub(super) not_decoded: u64,
    pub(super) not_classified: u64,
    pub(super) classified: u64,
    pub(super) failed: u64,
    pub(super) jumps: u64,
}

impl Counts {
    /// Whether newer frames have replaced more than half of the frames.
    pub(super) fn is_overloaded(&self, previous: &Counts) -> bool {
        let dropped = |counts: &Counts| counts.not_decoded + counts.not_classified;
        2 * (dropped(self) - dropped(previous)) > self.received - previous.received
    }
}

/// The input of [`summarize`].
pub(super) struct Observation<'a> {
    pub(super) previous: Counts,
    pub(super) current: Counts,
    pub(super) state: State,
    /// Why the last transition failed.
    pub(super) transition_failure: Option<String>,
    pub(super) has_model: bool,
    pub(super) is_stalled: bool,
    /// Why the camera's frames are not believed.
    pub(super) stale: Option<StaleEpisode>,
    pub(super) publishers: PublisherProblems,
    /// That the camera sends more than the node can classify.
    pub(super) overload: Option<Overload>,
    /// That frames are lost before they reach the node.
    pub(super) loss: Option<Loss>,
    /// Whether frames again and again do not continue the stream of the previous ones.
    pub(super) jumps_persist: bool,
    /// With `use_sim_time`, before the first time on `/clock`.
    pub(super) lacks_ros_time: bool,
    pub(super) topic: &'a str,
}

/// Newer frames have replaced more than half of the frames of a camera.
pub(super) struct Overload {
    /// Frames per second.
    pub(super) received: f64,
    /// Frames per second.
    pub(super) classified: f64,
    /// Of the last gesture.
    pub(super) age: Duration,
    pub(super) stale_timeout: Duration,
}

/// Frames that the camera has sent did not arrive.
pub(super) struct Loss {
    /// 0 to 1.
    pub(super) share: f64,
    /// As in `RMW_IMPLEMENTATION`.
    pub(super) middleware: String,
    pub(super) is_reliable: bool,
    pub(super) transport: ImageTransport,
}

/// The level and the message of a status: the first problem in order of severity, or that there is none.
pub(super) fn summarize(observation: &Observation) -> (u8, String) {
    let Observation {
        previous,
        current,
        state,
        topic,
        ..
    } = observation;
    if let Some(failure) = &observation.transition_failure {
        return (ERROR, format!("{state}: {failure}"));
    }
    if *state != State::Active {
        return (
            OK,
            format!("{state}: frames are received when the node is active"),
        );
    }
    if current.failed > previous.failed {
        return (
            ERROR,
            "the runtime fails to classify frames; see the log".to_owned(),
        );
    }
    if observation.is_stalled {
        let cause = match &observation.publishers.mismatch {
            Some(mismatch) => format!(" ({mismatch})"),
            None => String::new(),
        };
        return (ERROR, format!("camera stalled: no new frame on {topic}{cause}"));
    }
    // Frames that had to wait for long are stale, too, but not because of the camera.
    if let Some(overload) = &observation.overload
        && observation
            .stale
            .is_none_or(|stale| matches!(stale.cause, StaleCause::Old(_) | StaleCause::Waited(_)))
    {
        return (WARN, overload.message(topic));
    }
    if let Some(StaleEpisode { cause, since }) = &observation.stale {
        let secs = since.elapsed().as_secs_f64();
        return (WARN, format!("stale frames on {topic} for {secs:.0} s: {cause}"));
    }
    if let Some(mismatch) = &observation.publishers.mismatch {
        return (WARN, format!("incompatible publisher on {topic}: {mismatch}"));
    }
    if let Some(several) = &observation.publishers.several {
        return (WARN, several.clone());
    }
    if current.received == 0 {
        return (WARN, format!("no frame received yet on {topic}"));
    }
    if observation.lacks_ros_time {
        return (
            WARN,
            "use_sim_time is true, but there is no time on /clock, so that no gesture becomes stable; play the bag with --clock, or set use_sim_time: false"
                .to_owned(),
        );
    }
    if observation.jumps_persist {
        return (
            WARN,
            format!(
                "the stamps on {topic} jump against the arrivals, or frames are further apart than stale_timeout, so that no gesture becomes stable; check that the driver stamps each frame with the time of its capture"
            ),
        );
    }
    if let Some(loss) = &observation.loss {
        return (WARN, loss.message(topic));
    }
    if let Some(several) = &observation.publishers.several_gestures {
        return (WARN, several.clone());
    }
    if current.bad > previous.bad {
        return (WARN, "the camera publishes bad frames; see the log".to_owned());
    }
    if !observation.has_model {
        return (
            WARN,
            "no model; capture frames of at least two labels, then retrain".to_owned(),
        );
    }
    (OK, "classifying".to_owned())
}

impl Overload {
    fn message(&self, topic: &str) -> String {
        let Overload {
            received,
            classified,
            age,
            stale_timeout,
        } = self;
        format!(
            "overloaded: {classified:.1} of {received:.1} frames per second on {topic} are classified, and the last gesture was {:.2} s old when it was published, stale_timeout is {:.2} s; use fewer cameras, lower frame rates, smaller or raw images, overlay: false, or a faster backend, and see what else keeps the processor busy, or whether a network delivers the frames in bursts",
            age.as_secs_f64(),
            stale_timeout.as_secs_f64()
        )
    }
}

impl Loss {
    fn message(&self, topic: &str) -> String {
        let compressed = match self.transport {
            ImageTransport::Raw => "image_transport: compressed, ",
            ImageTransport::Compressed => "",
        };
        let remedy = if self.middleware == "rmw_zenoh_cpp" {
            format!(
                "on one machine set ZENOH_CONFIG_OVERRIDE to transport/shared_memory/enabled=true for the camera and this node; over a network use {compressed}smaller images or a lower rate"
            )
        } else if self.is_reliable {
            format!(
                "over a network use {compressed}smaller images, a lower rate, or image_reliability: best_effort"
            )
        } else {
            let profile = match self.middleware.starts_with("rmw_fastrtps") {
                true => {
                    ", or set FASTRTPS_DEFAULT_PROFILES_FILE (Kilted: FASTDDS_DEFAULT_PROFILES_FILE) for the camera and this node to the package's config/fastdds.xml on one machine, and to config/fastdds_network.xml (Kilted: fastdds3_network.xml) on two"
                }
                false => "",
            };
            format!(
                "let the camera publish with reliability reliable{profile}; over a network use {compressed}smaller images or a lower rate"
            )
        };
        format!(
            "by their stamps, {:.0} % of the frames on {topic} do not arrive; {remedy}",
            100.0 * self.share
        )
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    const PREVIOUS: Counts = Counts {
        received: 30,
        bad: 1,
        not_decoded: 1,
        not_classified: 1,
        classified: 27,
        failed: 0,
        jumps: 1,
    };
    const CURRENT: Counts = Counts {
        received: 60,
        classified: 57,
        ..PREVIOUS
    };

    const HEALTHY: Observation = Observation {
        previous: PREVIOUS,
        current: CURRENT,
        state: State::Active,
        transition_failure: None,
        has_model: true,
        is_stalled: false,
        stale: None,
        publishers: PublisherProblems {
            mismatch: None,
            several: None,
            several_gestures: None,
        },
        overload: None,
        loss: None,
        jumps_persist: false,
        lacks_ros_time: false,
        topic: "/jetbot/camera/image_raw",
    };

    fn level(current: Counts, has_model: bool, is_stalled: bool) -> u8 {
        summarize(&Observation {
            current,
            has_model,
            is_stalled,
            ..HEALTHY
        })
        .0
    }

    #[test]
    fn level_depends_on_model_frames_and_failures() {
        assert_eq!(level(CURRENT, true, false), OK);
        assert_eq!(level(CURRENT, false, false), WARN);
        assert_eq!(level(Counts { bad: 5, ..CURRENT }, true, false), WARN);
        assert_eq!(level(CURRENT, true, true), ERROR);
        assert_eq!(level(Counts { failed: 1, ..CURRENT }, true, false), ERROR);
    }

    #[test]
    fn missing_frames_and_incompatible_publishers_are_warnings() {
        let (level, message) = summarize(&Observation {
            previous: Counts::default(),
            current: Counts::default(),
            ..HEALTHY
        });
        assert_eq!(level, WARN);
        assert!(message.contains("/jetbot/camera/image_raw"), "{message}");
        let (level, message) = summarize(&Observation {
            publishers: PublisherProblems {
                mismatch: Some("the camera publishes with reliability best_effort".to_owned()),
                several: None,
                several_gestures: None,
            },
            ..HEALTHY
        });
        assert_eq!(level, WARN);
        assert!(message.contains("best_effort"), "{message}");
    }

    #[test]
    fn failed_transition_is_an_error() {
        let (level, message) = summarize(&Observation {
            state: State::Unconfigured,
            transition_failure: Some("configuring failed: no such model".to_owned()),
            ..HEALTHY
        });
        assert_eq!(level, ERROR);
        assert!(message.contains("no such model"), "{message}");
    }

    #[test]
    fn inactive_node_without_frames_is_ok() {
        let (level, message) = summarize(&Observation {
            state: State::Inactive,
            has_model: false,
            is_stalled: true,
            ..HEALTHY
        });
        assert_eq!(level, OK);
        assert!(message.contains("inactive"), "{message}");
    }

    #[test]
    fn stale_frames_are_a_warning_with_their_time_and_the_fix() {
        let (level, message) = summarize(&Observation {
            stale: Some(StaleEpisode {
                cause: StaleCause::FrozenStamp(Duration::from_millis(2500)),
                since: Instant::now(),
            }),
            ..HEALTHY
        });
        assert_eq!(level, WARN);
        assert!(
            message.contains("not changed for 2.5 s; restart the driver"),
            "{message}"
        );
    }

    #[test]
    fn overload_is_a_warning_with_both_rates_and_explains_old_frames_but_no_frozen_camera() {
        let summary_with = |cause: Option<StaleCause>| {
            summarize(&Observation {
                overload: Some(Overload {
                    received: 30.0,
                    classified: 1.5,
                    age: Duration::from_millis(960),
                    stale_timeout: Duration::from_secs(1),
                }),
                stale: cause.map(|cause| StaleEpisode {
                    cause,
                    since: Instant::now(),
                }),
                ..HEALTHY
            })
        };
        let second = Duration::from_secs(1);
        for cause in [
            None,
            Some(StaleCause::Old(second)),
            Some(StaleCause::Waited(second)),
        ] {
            let (level, message) = summary_with(cause);
            assert_eq!(level, WARN);
            assert!(
                message.contains("overloaded: 1.5 of 30.0 frames per second")
                    && message.contains("0.96 s old"),
                "{message}"
            );
        }
        let (_, message) = summary_with(Some(StaleCause::FrozenPixels(second)));
        assert!(message.starts_with("stale frames"), "{message}");
    }

    #[test]
    fn lost_frames_are_a_warning_with_the_remedy_for_middleware_and_qos() {
        let message_of = |middleware: &str, is_reliable, transport| {
            let (level, message) = summarize(&Observation {
                loss: Some(Loss {
                    share: 0.68,
                    middleware: middleware.to_owned(),
                    is_reliable,
                    transport,
                }),
                ..HEALTHY
            });
            assert_eq!(level, WARN);
            assert!(
                message.contains("68 % of the frames on /jetbot/camera/image_raw"),
                "{message}"
            );
            message
        };
        let fast_dds = "rmw_fastrtps_cpp";
        let best_effort = message_of(fast_dds, false, ImageTransport::Raw);
        assert!(
            best_effort.contains("config/fastdds.xml") && best_effort.contains("reliability reliable"),
            "{best_effort}"
        );
        let other = message_of("rmw_cyclonedds_cpp", false, ImageTransport::Raw);
        assert!(
            !other.contains("FASTRTPS") && other.contains("reliability reliable"),
            "{other}"
        );
        let reliable = message_of(fast_dds, true, ImageTransport::Raw);
        assert!(
            reliable.contains("image_transport: compressed") && !reliable.contains("reliability reliable"),
            "{reliable}"
        );
        let zenoh = message_of("rmw_zenoh_cpp", true, ImageTransport::Raw);
        assert!(
            zenoh.contains("shared_memory") && !zenoh.contains("image_reliability"),
            "{zenoh}"
        );
        assert!(!message_of(fast_dds, true, ImageTransport::Compressed).contains("image_transport"));
    }

    #[test]
    fn stamps_that_jump_again_and_again_are_a_warning() {
        let (level, message) = summarize(&Observation {
            jumps_persist: true,
            ..HEALTHY
        });
        assert_eq!(level, WARN);
        assert!(message.contains("/jetbot/camera/image_raw jump"), "{message}");
    }

    #[test]
    fn simulated_time_that_does_not_exist_is_a_warning() {
        let (level, message) = summarize(&Observation {
            lacks_ros_time: true,
            ..HEALTHY
        });
        assert_eq!(level, WARN);
        assert!(message.contains("--clock"), "{message}");
    }
}
