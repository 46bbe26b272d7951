//! A node that publishes an empty gesture for each frame: the overhead of ROS and r2r. Started by benches/node.py.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::StreamExt;
use r2r::sensor_msgs::msg::Image;
use r2r::thumb_gesture::msg::ThumbGesture;
use r2r::{Context, Node, QosProfile};

fn main() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Runtime::new()?;
    let mut node = Node::create(Context::create()?, "thumb_gesture", "")?;
    let mut frames = node.subscribe::<Image>("camera/image_raw", QosProfile::sensor_data().keep_last(1))?;
    let qos = QosProfile::default().keep_last(10);
    let gestures = node.create_publisher::<ThumbGesture>("thumb_gesture", qos)?;
    let is_ending = Arc::new(AtomicBool::new(false));
    let ending = is_ending.clone();
    std::thread::spawn(move || {
        futures::executor::block_on(async {
            while let Some(frame) = frames.next().await {
                let gesture = ThumbGesture {
                    header: frame.header,
                    ..ThumbGesture::default()
                };
                if let Err(error) = gestures.publish(&gesture) {
                    eprintln!("{error}");
                }
            }
        });
    });
    let spinner = std::thread::spawn(move || {
        while !ending.load(Ordering::Relaxed) {
            node.spin_once(Duration::from_millis(20));
        }
    });
    runtime.block_on(tokio::signal::ctrl_c())?;
    is_ending.store(true, Ordering::Relaxed);
    spinner
        .join()
        .map_err(|_| anyhow::anyhow!("the spinner panicked"))
}
