//! A USB camera, by Video4Linux.

mod error;
mod format;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use linuxvideo::format::{FrameSizes, PixFormat, PixelFormat};
use linuxvideo::stream::ReadStream;
use linuxvideo::{BufType, CapabilityFlags, Device, Fract};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::retry_on_intr;
use thumb_gesture::node::ImageTransport;

use error::DeviceError;
pub(crate) use format::DeviceImage;
use format::{FourCc, Layout, choose};

/// Time after which a camera that sends no image is reported.
const SILENCE: Duration = Duration::from_secs(5);
/// How often a thread that waits for a frame looks whether the program ends.
const POLL_PERIOD: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 200_000_000,
};

/// What is wanted of a camera.
pub(crate) struct Request {
    pub(crate) path: PathBuf,
    /// Width and height, pixels.
    pub(crate) size: (u32, u32),
    /// Frames per second.
    pub(crate) rate: f64,
    pub(crate) transport: ImageTransport,
}

/// A camera whose stream has started.
pub(crate) struct Camera<S = Stream> {
    path: PathBuf,
    layout: Layout,
    frames: S,
}

/// Where frames come from: the kernel, or a list in tests.
pub(crate) trait FrameSource {
    /// The next frame, empty if it is damaged; `None` if there is none after a while.
    fn next(&mut self) -> io::Result<Option<Vec<u8>>>;
}

pub(crate) struct Stream(ReadStream);

impl FrameSource for Stream {
    fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut waiting = [PollFd::new(&self.0, PollFlags::IN)];
        // A signal that ends the program may arrive on this thread.
        if retry_on_intr(|| poll(&mut waiting, Some(&POLL_PERIOD)))? == 0 {
            return Ok(None);
        }
        let frame = self.0.dequeue(|buffer| {
            Ok(match buffer.is_error() {
                true => Vec::new(),
                false => buffer.to_vec(),
            })
        });
        frame.map(Some)
    }
}

impl Camera {
    /// Opens a camera and starts its stream. Returns what it sends as well, and what of it differs from the request, for people.
    ///
    /// # Errors
    /// There is no such camera, it may not or cannot be used, or it offers no format for this transport.
    pub(crate) fn open(request: &Request) -> anyhow::Result<(Camera, Vec<String>)> {
        let Request {
            path,
            size,
            rate,
            transport,
        } = request;
        let failed = |cause: io::Error| DeviceError::new(path, cause);
        error::check_file(path)?;
        let device = Device::open(path).map_err(|cause| DeviceError::open(path, cause))?;
        let capabilities = device.capabilities().map_err(failed)?.device_capabilities();
        if !capabilities.contains(CapabilityFlags::VIDEO_CAPTURE) {
            return Err(DeviceError::without_images(path, capabilities).into());
        }
        let formats = device.formats(BufType::VIDEO_CAPTURE);
        let offered: io::Result<Vec<FourCc>> = formats
            .map(|format| Ok(FourCc(format?.pixel_format().as_fourcc())))
            .collect();
        let code = choose(path, &offered.map_err(failed)?, *transport)?;
        let pixel_format = PixelFormat::from_fourcc(code.0);
        // Not every driver can be asked.
        let sizes = device.frame_sizes(pixel_format).map(text_of_sizes);

        let wanted = PixFormat::new(size.0, size.1, pixel_format);
        let capture = device.video_capture(wanted).map_err(failed)?;
        let chosen = capture.format();
        let layout = Layout {
            // A driver may choose another one than it offers.
            code: choose(path, &[FourCc(chosen.pixel_format().as_fourcc())], *transport)?,
            width: chosen.width(),
            height: chosen.height(),
            step: chosen.bytes_per_line(),
        };
        let mut notes = vec![format!("{} sends {layout}", path.display())];
        if (layout.width, layout.height) != *size {
            let offer = sizes.map_or_else(|_| String::new(), |sizes| format!("; it offers {sizes}"));
            notes.push(format!("it does not send {}x{}{offer}", size.0, size.1));
        }
        // Not every camera has a rate that can be chosen.
        if let Ok(actual) = capture.set_frame_interval(interval(*rate))
            && let Some(actual) = other_rate(&actual, *rate)
        {
            notes.push(format!(
                "it sends {actual:.1} frames per second instead of {rate}"
            ));
        }
        let camera = Camera {
            path: path.clone(),
            layout,
            frames: Stream(capture.into_stream().map_err(failed)?),
        };
        Ok((camera, notes))
    }
}

impl<S: FrameSource> Camera<S> {
    /// Passes `count` images to `publish`, fewer if the program ends before. Damaged frames are left out.
    ///
    /// # Errors
    /// The camera was unplugged or has failed, or `publish` fails.
    pub(crate) fn run(
        mut self,
        count: u64,
        is_ending: &AtomicBool,
        mut publish: impl FnMut(DeviceImage) -> anyhow::Result<()>,
        mut warn: impl FnMut(&str),
    ) -> anyhow::Result<()> {
        let mut last_image = Instant::now();
        let mut published = 0;
        while published < count && !is_ending.load(Ordering::Relaxed) {
            let frame = self.frames.next();
            let frame = frame.map_err(|cause| DeviceError::new(&self.path, cause))?;
            if let Some(image) = frame.and_then(|frame| self.layout.image(frame)) {
                publish(image)?;
                published += 1;
                last_image = Instant::now();
            } else if last_image.elapsed() >= SILENCE {
                warn(&silence_text(&self.path));
                last_image = Instant::now();
            }
        }
        Ok(())
    }
}

fn silence_text(path: &Path) -> String {
    format!(
        "{} has sent no valid image for {SILENCE:?}; unplug it and plug it in again, or try another --size",
        path.display()
    )
}

/// The time between two frames.
fn interval(rate: f64) -> Fract {
    // At least 10, because the rate is at least 0.01.
    Fract::new(1000, (rate * 1000.0).round() as u32)
}

/// The rate of this interval, if it is not the one that was requested.
fn other_rate(interval: &Fract, requested: f64) -> Option<f64> {
    let (frames, seconds) = (f64::from(interval.denominator()), f64::from(interval.numerator()));
    // Zero: the driver does not know.
    let is_known = frames > 0.0 && seconds > 0.0;
    is_known
        .then_some(frames / seconds)
        .filter(|rate| (rate / requested - 1.0).abs() > 0.01)
}

fn text_of_sizes(sizes: FrameSizes) -> String {
    let text = |width: u32, height: u32| format!("{width}x{height}");
    match &sizes {
        FrameSizes::Discrete(list) => {
            let list = list.iter().map(|size| text(size.width(), size.height()));
            list.collect::<Vec<_>>().join(", ")
        }
        FrameSizes::Stepwise(_) | FrameSizes::Continuous(_) => format!(
            "{} to {}",
            text(sizes.min_width(), sizes.min_height()),
            text(sizes.max_width(), sizes.max_height())
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use rustix::io::Errno;

    use super::*;

    impl FrameSource for VecDeque<io::Result<Option<Vec<u8>>>> {
        fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
            self.pop_front().expect("the test asks for no more")
        }
    }

    fn camera(
        frames: impl IntoIterator<Item = io::Result<Option<Vec<u8>>>>,
    ) -> Camera<VecDeque<io::Result<Option<Vec<u8>>>>> {
        Camera {
            path: "/dev/video0".into(),
            layout: Layout {
                code: FourCc(*b"GREY"),
                width: 2,
                height: 1,
                step: 2,
            },
            frames: frames.into_iter().collect(),
        }
    }

    #[test]
    fn images_are_published_until_the_camera_is_unplugged() {
        let frames = [
            Ok(None),
            Ok(Some(vec![1, 2])),
            Ok(Some(Vec::new())),
            Ok(Some(vec![3, 4])),
            Err(Errno::NODEV.into()),
        ];
        let mut published = 0;
        let publish = |_| {
            published += 1;
            Ok(())
        };
        let result = camera(frames).run(u64::MAX, &AtomicBool::new(false), publish, |_| ());
        let error = result.expect_err("it is gone").to_string();
        assert!(error.contains("was unplugged"), "{error}");
        assert_eq!(published, 2, "all but the damaged one");
    }

    #[test]
    fn camera_stops_after_the_requested_number_and_when_the_program_ends() {
        let frames = || (0..3).map(|value| Ok(Some(vec![value; 2])));
        let is_ending = AtomicBool::new(false);
        camera(frames())
            .run(3, &is_ending, |_| Ok(()), |_| ())
            .expect("publishes three");
        let publish = |_| {
            is_ending.store(true, Ordering::Relaxed);
            Ok(())
        };
        camera(frames())
            .run(u64::MAX, &is_ending, publish, |_| ())
            .expect("ends after the first one");
    }

    #[test]
    fn intervals_are_those_of_the_rate() {
        for rate in [0.01, 15.0, 29.97, 30.0, 1000.0] {
            assert_eq!(other_rate(&interval(rate), rate), None, "{rate}");
        }
        assert_eq!(other_rate(&Fract::new(1, 15), 30.0), Some(15.0));
    }
}
