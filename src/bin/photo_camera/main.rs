//! `photo_camera`: publishes photos, the images of a bag or of a USB camera, or drawn hands as a ROS camera.

mod bag;
mod device;
mod images;
mod publisher;
mod sensor_noise;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser;
use futures::{Stream, StreamExt};
use r2r::{Node, QosProfile};
use thumb_gesture::bag::image::{COMPRESSED_IMAGE, IMAGE};
use thumb_gesture::command_line::parse;
use thumb_gesture::node::signals::Signals;
use thumb_gesture::node::{
    ImageTopic, ImageTransport, ParameterOverrides, RosArguments, create_node, run_program, spin,
};
use thumb_gesture::sync::lock;
use tokio::time::MissedTickBehavior;

use bag::BagPlayer;
use device::Camera;
use images::{LabeledImages, Selection};
use publisher::{Encoding, ImagePublisher};
use sensor_noise::SensorNoise;

/// The parameter of every ROS node: whether the time is that of /clock.
const USE_SIM_TIME: &str = "use_sim_time";
/// The `frame_id` of the images of a device.
const DEVICE_FRAME_ID: &str = "camera";

/// Publish photos, the images of a bag or of a USB camera, or drawn hands on camera/image_raw.
///
/// The frame_id of each photo and drawn hand is `camera_<label>`. Photos and drawn hands get other noise in a few pixels each time, as from a sensor.
/// A std_msgs/String on ~/show changes what is published, with the values of --show.
#[derive(Parser)]
#[command(
    name = env!("CARGO_BIN_NAME"),
    version,
    after_help = "\
Examples:
  photo_camera --show thumbs_up
  photo_camera --device /dev/video0 --compressed --ros-args -r __ns:=/jetbot
  photo_camera --photos ./dataset --rate 15 --ros-args -r __ns:=/jetbot
  ros2 topic pub --once /jetbot/photo_camera/show std_msgs/msg/String '{data: even:none}'"
)]
struct Arguments {
    /// Directory with one directory of images per label, turned by their EXIF orientation [default: draw hands]
    #[arg(long, value_name = "DIR")]
    photos: Option<PathBuf>,
    /// Play a rosbag2 bag in a loop; images keep their size and frame_id and get the current time as stamp
    #[arg(long, value_name = "BAG", conflicts_with_all = ["photos", "show", "size"])]
    bag: Option<PathBuf>,
    /// Publish the images of a USB camera as they come, with the frame_id `camera` and the time of their arrival; with --compressed its
    /// JPEG (MJPG), otherwise its raw images (YUYV and others). --size and --rate are requests to the camera
    #[arg(long, value_name = "FILE", conflicts_with_all = ["photos", "bag", "show", "seed", "encoding", "frozen"])]
    device: Option<PathBuf>,
    /// Topic of the bag [default: the only one with images]
    #[arg(long, value_name = "NAME", requires = "bag")]
    topic: Option<String>,
    /// Type of the messages on --topic, for a bag that does not say it
    #[arg(long = "type", value_name = "TYPE", requires = "topic", value_parser = [IMAGE, COMPRESSED_IMAGE])]
    message_type: Option<String>,
    /// Label to publish, or `all`; with the prefix odd: or even: only every other block of six photos of a burst, or drawn hands of
    /// another seed
    #[arg(long, value_name = "[odd:|even:]LABEL", default_value = "all")]
    show: Selection,
    /// Seed of the random numbers; the same seed gives the same images in the same order
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Frames per second, 0.01 to 1000
    #[arg(long, value_name = "HZ", default_value_t = 30.0, value_parser = parse_rate)]
    rate: f64,
    /// Width and height in pixels, each 16 to 4096
    #[arg(long, value_name = "WxH", default_value = "640x480", value_parser = parse_size)]
    size: (u32, u32),
    /// Encoding of raw images
    #[arg(long, value_enum, default_value_t = Encoding::Bgr8)]
    encoding: Encoding,
    /// Publish JPEG on camera/image_raw/compressed instead
    #[arg(long)]
    compressed: bool,
    /// Publish the first image again and again, bit for bit, as a driver that is frozen; a robot must stop
    #[arg(long)]
    frozen: bool,
    /// Exit after this number of frames [default: never]
    #[arg(long, value_name = "N")]
    count: Option<u64>,
}

fn main() -> ExitCode {
    run_program(|ros_arguments| {
        let arguments: Arguments = parse(ros_arguments.plain());
        start(&arguments, ros_arguments)
    })
}

fn start(arguments: &Arguments, ros_arguments: &RosArguments) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    runtime.block_on(run(arguments, ros_arguments))
}

async fn run(arguments: &Arguments, ros_arguments: &RosArguments) -> anyhow::Result<()> {
    let mut signals = Signals::new()?;
    let images = LabeledImages::open(arguments.photos.as_deref(), arguments.seed, arguments.size)?;
    let selection = Arc::new(Mutex::new(images.validate(arguments.show.clone())?));
    let (topic, message_type) = (arguments.topic.as_deref(), arguments.message_type.as_deref());
    let bag = arguments.bag.as_deref();
    let bag = bag
        .map(|path| BagPlayer::open(path, topic, message_type))
        .transpose()?;
    let transport = if arguments.compressed {
        ImageTransport::Compressed
    } else {
        ImageTransport::Raw
    };
    let device = arguments.device.as_ref().map(|path| {
        Camera::open(&device::Request {
            path: path.clone(),
            size: arguments.size,
            rate: arguments.rate,
            transport,
        })
    });
    let device = device.transpose()?;

    let mut node = create_node("photo_camera")?;
    let logger = node.logger().to_owned();
    apply_parameters(ros_arguments, &mut node)?;
    let clock = node.get_ros_clock();
    let topic = ImageTopic::resolve(ros_arguments, &node, "camera/image_raw", transport)?;
    let publisher = ImagePublisher::new(&mut node, &topic.name, arguments.encoding, transport)?;
    let requests = node.subscribe::<r2r::std_msgs::msg::String>("~/show", QosProfile::default())?;
    tokio::spawn(update_selection(
        requests,
        images.clone(),
        selection.clone(),
        logger.clone(),
    ));
    let is_ending = Arc::new(AtomicBool::new(false));
    let spinner = tokio::task::spawn_blocking({
        let is_ending = is_ending.clone();
        move || {
            spin(node, &is_ending, |_| {});
        }
    });

    let count = arguments.count.unwrap_or(u64::MAX);
    let publishing = async {
        match device {
            Some((camera, notes)) => {
                for note in notes {
                    r2r::log_info!(&logger, "{note}");
                }
                publish_device(camera, count, is_ending.clone(), publisher, clock, logger).await
            }
            None => publish_images(arguments, images, bag, &selection, &publisher, &clock).await,
        }
    };
    let result = tokio::select! {
        result = publishing => result,
        () = signals.wait() => Ok(()),
    };
    // Also after an error: the runtime waits for the spinning thread and would never shut down.
    is_ending.store(true, Ordering::Relaxed);
    spinner.await?;
    result
}

/// Uses simulated time if the parameters say so, and logs which of them are ignored.
fn apply_parameters(ros_arguments: &RosArguments, node: &mut Node) -> anyhow::Result<()> {
    let overrides = ParameterOverrides::new(ros_arguments, &node.fully_qualified_name()?);
    for warning in overrides.warnings(&[USE_SIM_TIME]) {
        r2r::log_warn!(node.logger(), "{warning}");
    }
    if overrides.is_true(USE_SIM_TIME) {
        node.get_time_source().enable_sim_time(node)?;
    }
    Ok(())
}

async fn publish_images(
    arguments: &Arguments,
    mut images: LabeledImages,
    mut bag: Option<BagPlayer>,
    selection: &Mutex<Selection>,
    publisher: &ImagePublisher,
    clock: &Mutex<r2r::Clock>,
) -> anyhow::Result<()> {
    let mut ticks = tokio::time::interval(Duration::from_secs_f64(1.0 / arguments.rate));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut noise = SensorNoise::new(arguments.seed);
    let mut repeated = None;
    for _ in 0..arguments.count.unwrap_or(u64::MAX) {
        ticks.tick().await;
        let selection = lock(selection).clone();
        let (image, frame_id) = match (repeated.take(), &mut bag) {
            (Some(image), _) => image,
            (None, Some(bag)) => bag.next()?,
            (None, None) => {
                let (mut image, label) = images.next(&selection)?;
                noise.apply(&mut image);
                (image, format!("camera_{label}"))
            }
        };
        let now = lock(clock).get_now()?;
        publisher.publish(&image, r2r::Clock::to_builtin_time(&now), frame_id.clone())?;
        repeated = arguments.frozen.then_some((image, frame_id));
    }
    Ok(())
}

/// Publishes the images of a device on a thread of its own, which waits for each of them.
async fn publish_device(
    camera: Camera,
    count: u64,
    is_ending: Arc<AtomicBool>,
    publisher: ImagePublisher,
    clock: Arc<Mutex<r2r::Clock>>,
    logger: String,
) -> anyhow::Result<()> {
    let publishing = tokio::task::spawn_blocking(move || {
        let publish = |image| {
            let now = lock(&clock).get_now()?;
            publisher.publish_as_is(image, r2r::Clock::to_builtin_time(&now), DEVICE_FRAME_ID)
        };
        camera.run(count, &is_ending, publish, |warning| {
            r2r::log_warn!(&logger, "{warning}");
        })
    });
    publishing.await?
}

/// Applies the selections received on ~/show.
async fn update_selection(
    mut requests: impl Stream<Item = r2r::std_msgs::msg::String> + Unpin,
    images: LabeledImages,
    selection: Arc<Mutex<Selection>>,
    logger: String,
) {
    while let Some(request) = requests.next().await {
        match request
            .data
            .parse()
            .and_then(|requested| images.validate(requested))
        {
            Ok(valid) => *lock(&selection) = valid,
            Err(error) => r2r::log_warn!(&logger, "~/show: {error}"),
        }
    }
}

fn parse_rate(text: &str) -> anyhow::Result<f64> {
    let rate: f64 = text.parse()?;
    anyhow::ensure!((0.01..=1000.0).contains(&rate), "must be 0.01 to 1000 Hz");
    Ok(rate)
}

fn parse_size(text: &str) -> anyhow::Result<(u32, u32)> {
    let (width, height) = text
        .split_once('x')
        .context("must be WIDTHxHEIGHT, such as 640x480")?;
    let size: (u32, u32) = (width.parse()?, height.parse()?);
    let sides = 16..=4096;
    anyhow::ensure!(
        sides.contains(&size.0) && sides.contains(&size.1),
        "each side must be 16 to 4096 pixels"
    );
    Ok(size)
}
