//! What to do about an encoding that is not supported.

use super::{ENCODINGS, Encoding, supported};

/// Names in drivers, simulators and other libraries, in lower case without separators, and the encoding that they mean.
const ALIASES: &[(&str, &[&str])] = &[
    ("rgb8", &["rgb", "rgb24", "rgb888", "r8g8b8", "rgbint8"]),
    ("bgr8", &["bgr", "bgr24", "bgr888", "b8g8r8", "bgrint8"]),
    ("rgba8", &["rgba", "rgba32", "rgba8888"]),
    ("bgra8", &["bgra", "bgra32", "bgra8888"]),
    (
        "mono8",
        &[
            "mono", "gray", "grey", "gray8", "grey8", "y8", "y800", "l8", "lint8",
        ],
    ),
    ("mono16", &["gray16", "grey16", "y16", "l16", "lint16"]),
    ("8UC1", &["8uc"]),
    ("yuyv", &["yuy2", "yuyv422"]),
    ("uyvy", &["uyvy422"]),
    ("nv12", &["yuvnv12"]),
    ("nv21", &["yuvnv21"]),
];
/// Compressed formats that some publishers put into `sensor_msgs/Image`.
const COMPRESSED: &[&str] = &[
    "jpeg", "jpg", "mjpeg", "mjpg", "png", "webp", "h264", "h265", "hevc",
];

/// What to do about an encoding with this name.
pub(in crate::frame) fn fix(name: &str) -> String {
    let name = plain(name);
    if let Some(meant) = meant(&name) {
        format!("its name in sensor_msgs is {meant:?}, which the camera's driver must use")
    } else if COMPRESSED.contains(&name.as_str()) {
        "compressed images belong in sensor_msgs/CompressedImage".to_owned()
    } else {
        format!("supported: {}", supported())
    }
}

fn meant(name: &str) -> Option<&'static str> {
    let mut encodings = ENCODINGS.iter();
    let same =
        encodings.find(|known| plain(known.name) == name || short(known).is_some_and(|short| short == name));
    let alias = || ALIASES.iter().find(|(_, names)| names.contains(&name));
    same.map(|known| known.name)
        .or_else(|| alias().map(|(meant, _)| *meant))
}

/// GenICam's name of a mosaic, which has its first two values: BayerRG8.
fn short(encoding: &Encoding) -> Option<String> {
    let pattern = encoding.name.strip_prefix("bayer_")?;
    Some(format!("bayer{}{}", &pattern[..2], &pattern[4..]))
}

fn plain(name: &str) -> String {
    let letters = name.chars().filter(char::is_ascii_alphanumeric);
    letters.map(|letter| letter.to_ascii_lowercase()).collect()
}
