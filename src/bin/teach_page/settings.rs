//! The node's parameters, which are read at its start.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use r2r::ParameterValue;
use thumb_gesture::node::ParameterOverrides;

/// Names of all parameters.
pub(crate) const PARAMETERS: [&str; 9] = [
    "page_address",
    "page_port",
    "gesture_node",
    "browser_camera",
    "allowed_hosts",
    "tls",
    "tls_certificate",
    "tls_key",
    "use_sim_time",
];

const DEFAULT_PORT: u16 = 8080;

/// Values of the parameters.
pub(crate) struct Settings {
    /// Address to listen on. Any but a loopback address makes the token compulsory.
    pub(crate) address: IpAddr,
    /// Port to listen on; 0 for a free one.
    pub(crate) port: u16,
    /// Name of the gesture node, relative to the namespace of this one unless it begins with `/`.
    pub(crate) gesture_node: String,
    /// Whether visitors may use the cameras of their devices.
    pub(crate) browser_camera: bool,
    /// Names under which a browser may reach the page, besides addresses, localhost and those that end with .local.
    pub(crate) allowed_hosts: Vec<String>,
    pub(crate) tls: Tls,
    pub(crate) use_sim_time: bool,
}

/// Whether the page is encrypted.
pub(crate) enum Tls {
    Off,
    /// With a certificate that the program makes, and keeps.
    SelfSigned,
    /// With files in PEM.
    Files {
        certificate: PathBuf,
        key: PathBuf,
    },
}

impl Settings {
    /// # Errors
    /// A value is rejected.
    pub(crate) fn new(overrides: &ParameterOverrides) -> anyhow::Result<Settings> {
        let given = Given(overrides);
        let address = given.text("page_address")?;
        let port = given.integer("page_port")?.unwrap_or(DEFAULT_PORT.into());
        let gesture_node = given.text("gesture_node")?;
        Ok(Settings {
            address: address
                .as_deref()
                .map_or(Ok(Ipv4Addr::LOCALHOST.into()), parse_address)?,
            port: u16::try_from(port).with_context(|| format!("page_port is {port}, must be 0 to 65535"))?,
            gesture_node: gesture_node.map_or(Ok("thumb_gesture".to_owned()), check_name)?,
            browser_camera: given.boolean("browser_camera")?,
            allowed_hosts: given.texts("allowed_hosts")?,
            tls: given.tls()?,
            use_sim_time: given.boolean("use_sim_time")?,
        })
    }

    /// Whether only programs and people on this machine reach the page.
    pub(crate) fn is_local(&self) -> bool {
        self.address.is_loopback()
    }
}

fn parse_address(text: &str) -> anyhow::Result<IpAddr> {
    match text {
        "localhost" => Ok(Ipv4Addr::LOCALHOST.into()),
        other => other.parse().with_context(|| {
            format!("page_address is {other:?}, must be an IP address such as 127.0.0.1, or 0.0.0.0 for all networks")
        }),
    }
}

fn check_name(name: String) -> anyhow::Result<String> {
    let is_token = |token: &str| {
        let is_allowed = |c: char| c.is_ascii_alphanumeric() || c == '_';
        !token.is_empty() && token.chars().all(is_allowed) && !token.starts_with(|c: char| c.is_ascii_digit())
    };
    if !name.strip_prefix('/').unwrap_or(&name).split('/').all(is_token) {
        bail!(
            "gesture_node is {name:?}, must be the name of a node, such as thumb_gesture or /jetbot/thumb_gesture"
        );
    }
    Ok(name)
}

struct Given<'a>(&'a ParameterOverrides);

impl Given<'_> {
    fn tls(&self) -> anyhow::Result<Tls> {
        let path = |name| {
            anyhow::Ok(
                self.text(name)?
                    .filter(|path| !path.is_empty())
                    .map(PathBuf::from),
            )
        };
        match (path("tls_certificate")?, path("tls_key")?) {
            (Some(certificate), Some(key)) => Ok(Tls::Files { certificate, key }),
            (None, None) if self.boolean("tls")? => Ok(Tls::SelfSigned),
            (None, None) => Ok(Tls::Off),
            _ => bail!("tls_certificate and tls_key must be set together, to files in PEM"),
        }
    }

    fn boolean(&self, name: &str) -> anyhow::Result<bool> {
        match self.0.get(name) {
            None => Ok(false),
            Some(ParameterValue::Bool(value)) => Ok(*value),
            Some(_) => bail!("{name} must be true or false"),
        }
    }

    fn integer(&self, name: &str) -> anyhow::Result<Option<i64>> {
        match self.0.get(name) {
            None => Ok(None),
            Some(ParameterValue::Integer(value)) => Ok(Some(*value)),
            Some(_) => bail!("{name} must be a whole number"),
        }
    }

    fn text(&self, name: &str) -> anyhow::Result<Option<String>> {
        match self.0.get(name) {
            None => Ok(None),
            Some(ParameterValue::String(value)) => Ok(Some(value.clone())),
            Some(_) => bail!("{name} must be a text"),
        }
    }

    fn texts(&self, name: &str) -> anyhow::Result<Vec<String>> {
        match self.0.get(name) {
            // An empty list has no type in YAML.
            None | Some(ParameterValue::NotSet) => Ok(Vec::new()),
            Some(ParameterValue::StringArray(values)) => {
                Ok(values.iter().map(|value| value.to_ascii_lowercase()).collect())
            }
            Some(_) => bail!("{name} must be a list of texts, such as [robot.example.org]"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_nodes_are_checked() {
        for name in ["thumb_gesture", "/jetbot/thumb_gesture", "a/b"] {
            assert!(check_name(name.to_owned()).is_ok(), "{name}");
        }
        for name in ["", "/", "a//b", "a b", "~/a", "1a", "a/", "../a"] {
            assert!(check_name(name.to_owned()).is_err(), "{name}");
        }
    }

    #[test]
    fn address_is_an_ip_address_or_localhost() {
        assert!(parse_address("localhost").expect("valid").is_loopback());
        assert!(parse_address("::1").expect("valid").is_loopback());
        assert!(!parse_address("0.0.0.0").expect("valid").is_loopback());
        assert!(parse_address("robot").is_err());
    }
}
