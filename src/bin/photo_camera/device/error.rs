//! Why a camera cannot be used, and what would help.

use std::fs;
use std::io;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use linuxvideo::CapabilityFlags;
use rustix::io::Errno;

/// Where devices are.
const DEVICES: &str = "/dev";

#[derive(Debug, thiserror::Error)]
pub(super) enum DeviceError {
    #[error("there is no {}; {}", path.display(), devices_text(others))]
    Missing { path: PathBuf, others: Vec<String> },
    #[error("{} is not a camera; {}", path.display(), devices_text(others))]
    NoCamera { path: PathBuf, others: Vec<String> },
    #[error("{} sends {what}, no images; {}", path.display(), devices_text(others))]
    NoImages {
        path: PathBuf,
        what: &'static str,
        others: Vec<String>,
    },
    #[error(
        "{0} sends images in several planes, which needs the driver of its manufacturer, such as camera_ros"
    )]
    Planes(String),
    #[error(
        "{0} may not be opened by this user; add the user to the group video with `sudo usermod -aG video $USER` and log in again, or start the container with --device {0} --group-add video"
    )]
    Permission(String),
    #[error("{0} is in use by another program; close it, `fuser -v {0}` shows which one that is")]
    Busy(String),
    #[error("{0} was unplugged; plug the camera in and start again")]
    Unplugged(String),
    #[error("{} offers {offered}, none of {wanted}; {fix}", path.display())]
    Format {
        path: PathBuf,
        wanted: String,
        offered: String,
        fix: &'static str,
    },
    #[error("{path} has failed: {cause}")]
    Io { path: String, cause: io::Error },
}

impl DeviceError {
    /// For a device that cannot be opened.
    pub(super) fn open(path: &Path, cause: io::Error) -> DeviceError {
        match Errno::from_io_error(&cause) {
            // It has not been unplugged: there was nothing behind it.
            Some(Errno::NODEV | Errno::NXIO) => DeviceError::new(path, Errno::NOTTY.into()),
            _ => DeviceError::new(path, cause),
        }
    }

    pub(super) fn new(path: &Path, cause: io::Error) -> DeviceError {
        let text = path.display().to_string();
        match Errno::from_io_error(&cause) {
            Some(Errno::NOENT | Errno::NOTDIR) => DeviceError::Missing {
                path: path.to_owned(),
                others: devices(Path::new(DEVICES), path),
            },
            // It has no idea of Video4Linux.
            Some(Errno::NOTTY | Errno::INVAL) => DeviceError::NoCamera {
                path: path.to_owned(),
                others: devices(Path::new(DEVICES), path),
            },
            Some(Errno::ACCESS | Errno::PERM) => DeviceError::Permission(text),
            Some(Errno::BUSY) => DeviceError::Busy(text),
            Some(Errno::NODEV | Errno::NXIO) => DeviceError::Unplugged(text),
            _ => DeviceError::Io { path: text, cause },
        }
    }

    /// For a device of Video4Linux from which no images can be captured.
    pub(super) fn without_images(path: &Path, capabilities: CapabilityFlags) -> DeviceError {
        if capabilities.intersects(CapabilityFlags::VIDEO_CAPTURE_MPLANE | CapabilityFlags::VIDEO_M2M_MPLANE)
        {
            return DeviceError::Planes(path.display().to_string());
        }
        DeviceError::NoImages {
            path: path.to_owned(),
            what: match capabilities.contains(CapabilityFlags::META_CAPTURE) {
                true => "metadata of another device",
                false => "something else",
            },
            others: devices(Path::new(DEVICES), path),
        }
    }
}

/// Checks before it is opened that a file is a device at all.
///
/// # Errors
/// It is not there, or another kind of file.
pub(super) fn check_file(path: &Path) -> Result<(), DeviceError> {
    let metadata = fs::metadata(path).map_err(|cause| DeviceError::new(path, cause))?;
    match metadata.file_type().is_char_device() {
        true => Ok(()),
        false => Err(DeviceError::new(path, Errno::NOTTY.into())),
    }
}

/// The video devices in a directory, except one.
fn devices(directory: &Path, except: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let mut numbers: Vec<u32> = entries
        .filter_map(|entry| {
            let name = entry.file_name();
            let number = name.to_str()?.strip_prefix("video")?;
            is_number(number).then(|| number.parse().ok())?
        })
        .collect();
    numbers.sort_unstable();
    let paths = numbers
        .into_iter()
        .map(|number| directory.join(format!("video{number}")));
    paths
        .filter(|path| path != except)
        .map(|path| path.display().to_string())
        .collect()
}

fn devices_text(others: &[String]) -> String {
    match others {
        [] => "this machine has no video devices: plug a camera in, or start the container with --device /dev/video0"
            .to_owned(),
        others => format!("use one of {}", others.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_files_than_cameras_are_named() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("photo.jpg");
        fs::write(&file, "").expect("writes");
        for path in [&file, directory.path()] {
            let error = check_file(path).expect_err("is no device").to_string();
            assert!(error.contains("is not a camera"), "{error}");
        }
        for path in [&directory.path().join("video7"), &file.join("video0")] {
            let error = check_file(path).expect_err("is not there").to_string();
            assert!(error.starts_with("there is no /"), "{error}");
        }
        check_file(Path::new("/dev/null")).expect("a device, of which only its driver knows more");
    }

    #[test]
    fn other_video_devices_are_listed_by_their_number() {
        let directory = tempfile::tempdir().expect("a directory");
        for name in ["video10", "video2", "video0", "videos", "video", "v4l"] {
            fs::write(directory.path().join(name), "").expect("writes");
        }
        let path = |name: &str| directory.path().join(name);
        let text = |name: &str| path(name).display().to_string();
        let listed = devices(directory.path(), &path("video0"));
        assert_eq!(listed, [text("video2"), text("video10")]);
    }

    #[test]
    fn each_error_says_what_would_be_right() {
        let path = Path::new("/dev/video0");
        for (errno, expected) in [
            (Errno::ACCESS, "group video"),
            (Errno::BUSY, "fuser -v /dev/video0"),
            (Errno::NODEV, "plug the camera in"),
            (Errno::NOTTY, "is not a camera"),
            (Errno::IO, "has failed"),
        ] {
            let error = DeviceError::new(path, errno.into()).to_string();
            assert!(error.contains(expected), "{error}");
        }
        let opened = DeviceError::open(path, Errno::NXIO.into()).to_string();
        assert!(opened.contains("is not a camera"), "{opened}");
        let meta = DeviceError::without_images(path, CapabilityFlags::META_CAPTURE);
        assert!(meta.to_string().contains("metadata"), "{meta}");
        let planes = DeviceError::without_images(path, CapabilityFlags::VIDEO_CAPTURE_MPLANE);
        assert!(planes.to_string().contains("planes"), "{planes}");
    }
}
