//! The certificate of the page.

use std::fs;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, anyhow};
use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, KeyPair};
use time::OffsetDateTime;

/// Maximum time for which phones accept a certificate.
const VALIDITY_DAYS: i64 = 820;
/// Maximum number of names and addresses in a certificate.
const MAX_NAMES: usize = 100;
const RENEWAL: Duration = Duration::from_secs(700 * 24 * 3600);

/// A certificate and its key, in PEM.
pub(crate) struct Certificate {
    pub(crate) certificate: Vec<u8>,
    pub(crate) key: Vec<u8>,
}

/// Reads a certificate and its key.
///
/// # Errors
/// A file cannot be read.
pub(crate) fn read(certificate: &Path, key: &Path) -> anyhow::Result<Certificate> {
    let read = |path: &Path| fs::read(path).with_context(|| path.display().to_string());
    Ok(Certificate {
        certificate: read(certificate)?,
        key: read(key)?,
    })
}

/// A certificate that the program has made. It is kept, so that a browser asks only once whether to trust it.
///
/// # Errors
/// It cannot be written.
pub(crate) fn self_signed() -> anyhow::Result<Certificate> {
    let directory = directory()?;
    let (certificate, key) = (directory.join("certificate.pem"), directory.join("key.pem"));
    let names = names();
    let names_file = directory.join("names.txt");
    let known = fs::read_to_string(&names_file).unwrap_or_default();
    // Addresses of IPv6 change each day, and a new certificate has to be trusted anew.
    let has_all_names = names
        .iter()
        .all(|name| name.contains(':') || known.lines().any(|known| known == name));
    let modified = fs::metadata(&certificate).and_then(|metadata| metadata.modified());
    let is_valid = modified.is_ok_and(|time| {
        SystemTime::now()
            .duration_since(time)
            .is_ok_and(|age| age < RENEWAL)
    });
    if is_valid
        && has_all_names
        && let Ok(kept) = read(&certificate, &key)
    {
        return Ok(kept);
    }
    // With those of the networks that the machine was in before, so that it alternates between two without a new certificate.
    let earlier = known
        .lines()
        .filter(|known| !names.iter().any(|name| name == known));
    let all: Vec<String> = names
        .iter()
        .cloned()
        .chain(earlier.map(str::to_owned))
        .take(MAX_NAMES)
        .collect();
    let made = make(&all)?;
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&directory)
        .with_context(|| directory.display().to_string())?;
    let names = all.join("\n").into_bytes();
    for (path, content) in [
        (&key, &made.key),
        (&certificate, &made.certificate),
        (&names_file, &names),
    ] {
        // Removed first, so that the permissions are those of a new file.
        fs::remove_file(path).ok();
        fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .and_then(|mut file| file.write_all(content))
            .with_context(|| path.display().to_string())?;
    }
    Ok(made)
}

/// Under which a browser may reach this machine.
fn names() -> Vec<String> {
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let mut names = vec![
        "localhost".to_owned(),
        "127.0.0.1".to_owned(),
        format!("{host}.local"),
        host,
    ];
    names.extend(addresses().iter().map(ToString::to_string));
    names
}

fn make(names: &[String]) -> anyhow::Result<Certificate> {
    let mut params = CertificateParams::new(names)?;
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.not_before = OffsetDateTime::now_utc() - time::Duration::days(1);
    params.not_after = params.not_before + time::Duration::days(VALIDITY_DAYS);
    let key = KeyPair::generate()?;
    Ok(Certificate {
        certificate: params.self_signed(&key)?.pem().into_bytes(),
        key: key.serialize_pem().into_bytes(),
    })
}

/// Where ROS keeps what belongs to the user.
fn directory() -> anyhow::Result<PathBuf> {
    let ros_home = std::env::var_os("ROS_HOME").map(PathBuf::from);
    let ros_home = ros_home.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".ros")));
    let ros_home =
        ros_home.ok_or_else(|| anyhow!("HOME is not set, which is needed to keep a certificate"))?;
    Ok(ros_home.join("teach_page"))
}

/// The addresses under which other devices may reach this machine; the one in the network that leads outwards, if there is one, is the
/// first. A robot that opens a network of its own has none that leads outwards.
pub(crate) fn addresses() -> Vec<IpAddr> {
    let interfaces = if_addrs::get_if_addrs().unwrap_or_default();
    let is_reachable = |address: &IpAddr| match address {
        IpAddr::V4(address) => !address.is_loopback(),
        // A link-local one needs the name of the visitor's interface.
        IpAddr::V6(address) => !address.is_loopback() && !address.is_unicast_link_local(),
    };
    let mut addresses: Vec<IpAddr> = interfaces.iter().map(|interface| interface.ip()).collect();
    addresses.retain(is_reachable);
    let outward = outward_address();
    addresses.sort_by_key(|address| (Some(*address) != outward, address.is_ipv6()));
    addresses
}

/// The address of this machine in the network that leads outwards. No packet is sent.
fn outward_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    // An address for documentation, which the route is looked up for.
    socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9)).ok()?;
    Some(socket.local_addr().ok()?.ip())
}
