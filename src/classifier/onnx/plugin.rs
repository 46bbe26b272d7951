//! Execution providers from separate libraries, such as NVIDIA's TensorRT RTX or Intel's OpenVINO from PyPI.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use ort::device::Device;
use ort::environment::Environment;
use ort::memory::DeviceType;

use super::session::{check_library, environment};
use crate::classifier::ClassifierError;
use crate::classifier::settings::{Device as DeviceSetting, Settings};
use crate::sync::lock;

/// The best device that the library in [`Settings::provider_library`] supports and the settings allow: a GPU before an NPU before a CPU.
///
/// # Errors
/// The library cannot be loaded, or supports no such device of this machine.
pub(super) fn device(settings: &Settings) -> Result<Device<'static>, ClassifierError> {
    let path = settings.provider_library.as_deref().unwrap_or(Path::new(""));
    let plugin_error = |reason: String| ClassifierError::Plugin {
        path: path.to_owned(),
        reason,
    };
    let environment = environment()?;
    let names = provider_names(environment, path).map_err(plugin_error)?;
    let devices = environment.devices();
    let own = devices.filter(|device| names.iter().any(|name| device.ep().is_ok_and(|own| own == name)));
    let allowed = own.filter(|device| is_allowed(device.hardware_device().ty(), settings));
    let best = allowed.min_by_key(|device| {
        // Names in alphabetical order: a name with a suffix is the same provider in a special mode.
        (
            rank(device.hardware_device().ty()),
            device.ep().unwrap_or_default(),
        )
    });
    best.ok_or_else(|| {
        plugin_error("it supports no device of this machine that device and require_gpu allow".to_owned())
    })
}

/// The names of the library's execution providers. The library is loaded once per process.
fn provider_names(environment: &'static Environment, path: &Path) -> Result<Vec<String>, String> {
    static REGISTERED: Mutex<Option<HashMap<PathBuf, Vec<String>>>> = Mutex::new(None);
    // ONNX Runtime resolves a relative path against the directory of its own library.
    let path = path.canonicalize().map_err(|error| error.to_string())?;
    check_library(&path)?;
    let mut registered = lock(&REGISTERED);
    let registered = registered.get_or_insert_default();
    if let Some(names) = registered.get(&path) {
        return Ok(names.clone());
    }
    let names = || -> Vec<String> {
        let names = environment.devices().filter_map(|device| device.ep().ok());
        names.map(str::to_owned).collect()
    };
    let before = names();
    let register = environment.register_ep_library(path.to_string_lossy(), &path);
    register.map_err(|error| error.to_string())?;
    let mut new: Vec<String> = names()
        .into_iter()
        .filter(|name| !before.contains(name))
        .collect();
    new.sort();
    new.dedup();
    registered.insert(path, new.clone());
    Ok(new)
}

fn is_allowed(hardware: DeviceType, settings: &Settings) -> bool {
    let is_gpu = hardware == DeviceType::GPU;
    match settings.device {
        DeviceSetting::Auto => is_gpu || !settings.require_gpu,
        DeviceSetting::Cpu => hardware == DeviceType::CPU && !settings.require_gpu,
        DeviceSetting::Cuda => is_gpu,
    }
}

fn rank(hardware: DeviceType) -> u8 {
    match hardware {
        DeviceType::GPU => 0,
        DeviceType::CPU => 2,
        _ => 1,
    }
}
