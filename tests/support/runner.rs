//! The test runner for files with tests that need something which a machine may lack, such as Python's torch.
//!
//! Such a test is reported as ignored, with the reason. libtest decides that at compile time only, hence libtest-mimic, which takes the
//! same arguments. A file that uses this runner has `harness = false` in Cargo.toml, and lists its tests with [`tests!`].

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Output};

use libtest_mimic::{Arguments, Completion, Failed, Trial};

/// Environment variable with the names of requirements, separated by commas: a test whose requirement is missing fails if it is among
/// them, and is ignored otherwise. `scripts/test.sh` sets it.
const REQUIRE: &str = "THUMB_GESTURE_REQUIRE";

/// Something that a test needs and a machine may lack.
#[derive(Clone, Copy)]
pub(crate) enum Requirement {
    /// A Python with torch, torchvision and onnx, see [`super::python`].
    Torch,
    /// The plugin execution provider of OpenVINO, in the same Python.
    OpenVino,
    /// TensorRT for RTX, in the same Python.
    TensorRt,
    /// LiteRT in the same Python, and MediaPipe's hand networks as it reads them, see [`mediapipe`].
    LiteRt,
    /// A directory with photos, see [`photos`].
    Photos,
    /// The photos whose bursts are known, see [`reference_photos`].
    ReferencePhotos,
    /// The same photos, and MediaPipe's hand networks as ONNX files, see [`hand_networks`].
    HandPhotos,
    /// A machine on which CUDA is not available.
    NoGpu,
    /// Permission to mount a file system in a user namespace.
    Mount,
    /// Permission to create a namespace of process ids.
    PidNamespace,
}

impl Requirement {
    fn name(self) -> &'static str {
        match self {
            Requirement::Torch => "torch",
            Requirement::OpenVino => "openvino",
            Requirement::TensorRt => "tensorrt",
            Requirement::LiteRt => "litert",
            Requirement::Photos | Requirement::ReferencePhotos | Requirement::HandPhotos => "photos",
            Requirement::NoGpu => "no_gpu",
            Requirement::Mount => "mount",
            Requirement::PidNamespace => "pid_namespace",
        }
    }

    /// Checks whether this machine has it.
    fn check(self) -> Result<(), Unmet> {
        match self {
            Requirement::Torch => python().map(drop),
            Requirement::OpenVino => check_openvino(),
            Requirement::TensorRt => {
                check_x86_64("TensorRT for RTX")?;
                check_import("tensorrt_rtx_libs, tensorrt_rtx_bindings")
            }
            Requirement::LiteRt => {
                check_hand_networks(&mediapipe())?;
                check_import("ai_edge_litert.interpreter")
            }
            Requirement::Photos => check_photos(&photos()),
            Requirement::ReferencePhotos => check_photos(&reference_photos()),
            Requirement::HandPhotos => {
                check_hand_networks(&hand_networks())?;
                check_photos(&reference_photos())
            }
            Requirement::NoGpu if thumb_gesture::network::torch::gpu().is_ok() => {
                Err(Unmet::Unsupported("this machine has a GPU".to_owned()))
            }
            Requirement::NoGpu => Ok(()),
            Requirement::Mount => check_permission(
                unshare().args(["mount", "-t", "tmpfs", "tmpfs", "/tmp"]),
                "unshare --user --mount is not permitted, so no small file system can be mounted",
            ),
            Requirement::PidNamespace => check_permission(
                container().arg("true"),
                "unshare --user --pid --mount-proc is not permitted, so no container can be simulated",
            ),
        }
    }

    /// Why a test that needs it is to be ignored, or `None` if the test can run.
    ///
    /// # Errors
    /// It is missing although `THUMB_GESTURE_REQUIRE` names it.
    fn reason_to_ignore(self) -> Result<Option<String>, Failed> {
        match self.check() {
            Ok(()) => Ok(None),
            Err(Unmet::Unsupported(reason)) => Ok(Some(reason)),
            Err(Unmet::Missing(reason)) => {
                let required = std::env::var(REQUIRE).unwrap_or_default();
                if required.split(',').any(|name| name == self.name()) {
                    return Err(format!("{reason} ({REQUIRE} is {required:?})").into());
                }
                Ok(Some(reason))
            }
        }
    }
}

/// Why a requirement is not met.
enum Unmet {
    /// It can be installed.
    Missing(String),
    /// This machine cannot have it.
    Unsupported(String),
}

fn python() -> Result<OsString, Unmet> {
    super::python().ok_or_else(|| {
        Unmet::Missing("THUMB_GESTURE_TEST_PYTHON is not set; run scripts/setup.sh --tests".to_owned())
    })
}

/// Runs a statement in the Python with torch.
fn run_python(statement: &str) -> Result<Output, Unmet> {
    let output = Command::new(python()?).args(["-c", statement]).output();
    Ok(output.expect("THUMB_GESTURE_TEST_PYTHON starts"))
}

fn check_openvino() -> Result<(), Unmet> {
    const HAS_DEVICE: &str = "
import onnxruntime, onnxruntime_ep_openvino as plugin
onnxruntime.register_execution_provider_library('openvino', plugin.get_library_path())
assert any(device.ep_name.startswith('OpenVINO') for device in onnxruntime.get_ep_devices())
";
    check_x86_64("OpenVINO's plugin")?;
    let is_supported = run_python("import sys; assert sys.version_info >= (3, 11)")?;
    if !is_supported.status.success() {
        let reason = "OpenVINO's plugin has no release for Python 3.10";
        return Err(Unmet::Unsupported(reason.to_owned()));
    }
    check_import("onnxruntime, onnxruntime_ep_openvino")?;
    if !run_python(HAS_DEVICE)?.status.success() {
        let reason = "OpenVINO's plugin finds no Intel hardware on this machine";
        return Err(Unmet::Unsupported(reason.to_owned()));
    }
    Ok(())
}

fn check_import(modules: &str) -> Result<(), Unmet> {
    let output = run_python(&format!("import {modules}"))?;
    if output.status.success() {
        return Ok(());
    }
    let error = String::from_utf8_lossy(&output.stderr);
    let last_line = error.trim_end().lines().last().unwrap_or_default();
    Err(Unmet::Missing(format!(
        "{last_line}; run scripts/setup.sh --tests"
    )))
}

fn check_x86_64(package: &str) -> Result<(), Unmet> {
    if cfg!(target_arch = "x86_64") {
        return Ok(());
    }
    let architecture = std::env::consts::ARCH;
    Err(Unmet::Unsupported(format!(
        "{package} has no release for {architecture}"
    )))
}

/// The photos: `THUMB_GESTURE_PHOTOS`, or [`reference_photos`]. The directory has one directory per label.
pub(crate) fn photos() -> PathBuf {
    std::env::var_os("THUMB_GESTURE_PHOTOS").map_or_else(reference_photos, PathBuf::from)
}

/// `../shared/photos` next to the repository, whose bursts are known.
pub(crate) fn reference_photos() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/photos")
}

fn check_photos(directory: &Path) -> Result<(), Unmet> {
    if directory.is_dir() {
        return Ok(());
    }
    Err(Unmet::Missing(format!(
        "no photos in {}; set THUMB_GESTURE_PHOTOS to a directory with one directory of photos per label",
        directory.display()
    )))
}

/// MediaPipe's hand networks, converted to ONNX by `scripts/setup.sh`.
pub(crate) fn hand_networks() -> PathBuf {
    thumb_gesture::weights::installed_directory().join("hand")
}

/// MediaPipe's hand networks as they are, which `scripts/setup.sh` keeps beside the weights.
pub(crate) fn mediapipe() -> PathBuf {
    thumb_gesture::weights::installed_directory().join("../mediapipe")
}

fn check_hand_networks(directory: &Path) -> Result<(), Unmet> {
    if directory.is_dir() {
        return Ok(());
    }
    Err(Unmet::Missing(format!(
        "no hand networks in {}; run scripts/setup.sh",
        directory.display()
    )))
}

/// `unshare`, without the command to run in the namespace.
pub(crate) fn unshare() -> Command {
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount"]);
    command
}

/// `unshare` with process ids and `/proc` of its own, as in a container, without the command to run.
pub(crate) fn container() -> Command {
    let mut command = unshare();
    command.args(["--pid", "--fork", "--mount-proc"]);
    command
}

fn check_permission(command: &mut Command, reason: &str) -> Result<(), Unmet> {
    if command.output().is_ok_and(|output| output.status.success()) {
        return Ok(());
    }
    Err(Unmet::Unsupported(reason.to_owned()))
}

/// A test function and what it needs.
pub(crate) fn trial(name: &str, requirement: Option<Requirement>, test: fn()) -> Trial {
    Trial::ignorable_test(name, move || {
        let reason = requirement.map_or(Ok(None), Requirement::reason_to_ignore)?;
        if let Some(reason) = reason {
            return Ok(Completion::ignored_with(reason));
        }
        test();
        Ok(Completion::Completed)
    })
}

/// Runs the tests that the arguments of `cargo test` select.
pub(crate) fn run(tests: Vec<Trial>) -> ExitCode {
    libtest_mimic::run(&Arguments::from_args(), tests).exit_code()
}

/// Defines `main` for a list of test functions: `name`, or `name needs Requirement` for one that is ignored without it.
macro_rules! tests {
    ($($name:ident $(needs $requirement:ident)?),* $(,)?) => {
        fn main() -> std::process::ExitCode {
            support::runner::run(vec![$(support::runner::trial(
                stringify!($name),
                support::runner::tests!(@requirement $($requirement)?),
                $name,
            )),*])
        }
    };
    (@requirement) => { None };
    (@requirement $requirement:ident) => { Some(support::runner::Requirement::$requirement) };
}
pub(crate) use tests;
