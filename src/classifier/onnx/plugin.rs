//! Execution providers that a library of their own brings, such as NVIDIA's TensorRT RTX or Intel's OpenVINO from PyPI.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use ort::device::Device;
use ort::environment::Environment;
use ort::memory::DeviceType;

use super::session::environment;
use crate::classifier::ClassifierError;
use crate::classifier::settings::{Device as WantedDevice, Settings};

/// The device of the library in [`Settings::provider_library`] that the settings want; of several the best, a GPU before the rest.
///
/// # Errors
/// A library that cannot be loaded, and one that finds no such device.
pub fn device(settings: &Settings) -> Result<Device<'static>, ClassifierError> {
    let path = settings.provider_library.as_deref().unwrap_or(Path::new(""));
    let plugin_error = |reason: String| ClassifierError::Plugin {
        path: path.to_owned(),
        reason,
    };
    let environment = environment()?;
    let names = registered(environment, path).map_err(plugin_error)?;
    let devices = environment.devices();
    let own = devices.filter(|device| names.iter().any(|name| device.ep().is_ok_and(|own| own == name)));
    let wanted = own.filter(|device| is_wanted(device.hardware_device().ty(), settings));
    let best = wanted.min_by_key(|device| {
        // A name with an ending is the same provider in a special mode.
        (
            rank(device.hardware_device().ty()),
            device.ep().unwrap_or_default(),
        )
    });
    best.ok_or_else(|| plugin_error("it finds no device here that is asked for".to_owned()))
}

/// The names of what a library brings; loads it where that was not yet done in this process.
fn registered(environment: &'static Environment, path: &Path) -> Result<Vec<String>, String> {
    static REGISTERED: Mutex<Option<HashMap<PathBuf, Vec<String>>>> = Mutex::new(None);
    // ONNX Runtime would look for a relative path beside its own library.
    let path = path.canonicalize().map_err(|error| error.to_string())?;
    let mut registered = REGISTERED.lock().unwrap_or_else(PoisonError::into_inner);
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

fn is_wanted(hardware: DeviceType, settings: &Settings) -> bool {
    let is_gpu = hardware == DeviceType::GPU;
    match settings.device {
        WantedDevice::Auto => is_gpu || !settings.require_gpu,
        WantedDevice::Cpu => hardware == DeviceType::CPU && !settings.require_gpu,
        WantedDevice::Cuda => is_gpu,
    }
}

fn rank(hardware: DeviceType) -> u8 {
    match hardware {
        DeviceType::GPU => 0,
        DeviceType::CPU => 2,
        _ => 1,
    }
}
