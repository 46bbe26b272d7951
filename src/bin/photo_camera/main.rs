//! `photo_camera`: a directory of photos, a bag, or hands drawn by the program itself, as a ROS camera.

mod bag;
mod images;
mod publisher;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser;
use futures::{Stream, StreamExt};
use r2r::{Context, Node, QosProfile};
use thumb_gesture::node::signals::Signals;
use tokio::time::MissedTickBehavior;

use bag::BagImages;
use images::{Images, Selection};
use publisher::{Encoding, ImagePublisher};

const SPIN_PERIOD: Duration = Duration::from_millis(20);

/// Publishes photos, a bag's frames, or hands drawn by the program itself, as camera/image_raw.
///
/// What a frame shows stands in its header: frame_id is `camera_<label>`.
/// While it runs, a std_msgs/String on ~/show chooses what it shows, as --show does at the start.
#[derive(Parser)]
#[command(
    version,
    after_help = "\
Examples:
  photo_camera --show thumbs_up
  photo_camera --photos ./dataset --rate 15 --ros-args -r __ns:=/jetbot
  ros2 topic pub --once /jetbot/photo_camera/show std_msgs/msg/String '{data: even:none}'"
)]
struct Arguments {
    /// Directory with one directory of JPEG or PNG images for each label [default: hands are drawn]
    #[arg(long, value_name = "DIR")]
    photos: Option<PathBuf>,
    /// A rosbag2 bag, whose frames are shown in their order and size, over and over, with their own frame_id and the present stamp
    #[arg(long, value_name = "BAG", conflicts_with_all = ["photos", "show", "size"])]
    bag: Option<PathBuf>,
    /// A label or all, and before it, with a colon, odd or even: every other six photos of a take, or scenes of another seed
    #[arg(long, value_name = "[odd:|even:]LABEL", default_value = "all")]
    show: Selection,
    /// The same seed shows the same images in the same order
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Frames a second
    #[arg(long, value_name = "HZ", default_value_t = 30.0, value_parser = parse_rate)]
    rate: f64,
    /// Pixels across and down
    #[arg(long, value_name = "WxH", default_value = "640x480", value_parser = parse_size)]
    size: (u32, u32),
    /// Encoding of the frames
    #[arg(long, value_enum, default_value_t = Encoding::Bgr8)]
    encoding: Encoding,
    /// Publish JPEG on camera/image_raw/compressed instead
    #[arg(long)]
    compressed: bool,
    /// End after so many frames [default: never]
    #[arg(long, value_name = "N")]
    count: Option<u64>,
}

fn main() -> ExitCode {
    // What stands behind --ros-args is rcl's.
    let arguments = Arguments::parse_from(std::env::args().take_while(|argument| argument != "--ros-args"));
    match start(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("Error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn start(arguments: Arguments) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    runtime.block_on(run(arguments))
}

async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let mut signals = Signals::new()?;
    let images = Images::open(arguments.photos.as_deref(), arguments.seed, arguments.size)?;
    let selection = Arc::new(Mutex::new(images.checked(arguments.show.clone())?));
    let bag = arguments.bag.as_deref().map(BagImages::open).transpose()?;

    let mut node = Node::create(Context::create()?, "photo_camera", "")?;
    let logger = node.logger().to_owned();
    let clock = node.get_ros_clock();
    let publisher = ImagePublisher::new(&mut node, arguments.encoding, arguments.compressed)?;
    let wishes = node.subscribe::<r2r::std_msgs::msg::String>("~/show", QosProfile::default())?;
    tokio::spawn(follow(wishes, images.clone(), selection.clone(), logger));
    let is_ending = Arc::new(AtomicBool::new(false));
    let spinner = tokio::task::spawn_blocking({
        let is_ending = is_ending.clone();
        move || {
            while !is_ending.load(Ordering::Relaxed) {
                node.spin_once(SPIN_PERIOD);
            }
        }
    });

    let show = show(&arguments, images, bag, &selection, &publisher, &clock);
    let result = tokio::select! {
        result = show => result,
        () = signals.wait() => Ok(()),
    };
    // In good order also after an error: the thread that spins would else keep the program alive.
    is_ending.store(true, Ordering::Relaxed);
    spinner.await?;
    result
}

/// Publishes image after image.
async fn show(
    arguments: &Arguments,
    mut images: Images,
    mut bag: Option<BagImages>,
    selection: &Mutex<Selection>,
    publisher: &ImagePublisher,
    clock: &Mutex<r2r::Clock>,
) -> anyhow::Result<()> {
    let mut ticks = tokio::time::interval(Duration::from_secs_f64(1.0 / arguments.rate));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    for _ in 0..arguments.count.unwrap_or(u64::MAX) {
        ticks.tick().await;
        let selection = selection.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (image, frame_id) = match &mut bag {
            Some(bag) => bag.next()?,
            None => {
                let (image, label) = images.next(&selection)?;
                (image, format!("camera_{label}"))
            }
        };
        let now = clock.lock().unwrap_or_else(PoisonError::into_inner).get_now()?;
        publisher.publish(&image, r2r::Clock::to_builtin_time(&now), frame_id)?;
    }
    Ok(())
}

/// Takes over what is wished on ~/show.
async fn follow(
    mut wishes: impl Stream<Item = r2r::std_msgs::msg::String> + Unpin,
    images: Images,
    selection: Arc<Mutex<Selection>>,
    logger: String,
) {
    while let Some(wish) = wishes.next().await {
        match wish.data.parse().and_then(|wished| images.checked(wished)) {
            Ok(wished) => *selection.lock().unwrap_or_else(PoisonError::into_inner) = wished,
            Err(error) => r2r::log_warn!(&logger, "~/show: {error}"),
        }
    }
}

fn parse_rate(text: &str) -> anyhow::Result<f64> {
    let rate: f64 = text.parse()?;
    anyhow::ensure!(
        (0.01..=1000.0).contains(&rate),
        "the rate must be 0.01 to 1000 Hz"
    );
    Ok(rate)
}

fn parse_size(text: &str) -> anyhow::Result<(u32, u32)> {
    let (width, height) = text
        .split_once('x')
        .context("a size is WIDTHxHEIGHT, such as 640x480")?;
    let size: (u32, u32) = (width.parse()?, height.parse()?);
    let sides = 16..=4096;
    anyhow::ensure!(
        sides.contains(&size.0) && sides.contains(&size.1),
        "each side must be 16 to 4096 pixels"
    );
    Ok(size)
}
