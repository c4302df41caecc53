//! A gRPC client that passes on what it was given: the remaining deadline and the trace.
//!
//! Addresses are resolved again and again and calls balanced over all of them, because a cluster address
//! pins one HTTP/2 connection to one replica. UNAVAILABLE alone is retried (AIP-194), with jitter and
//! under a budget, so that retries cannot become the load that keeps a service down.

mod channel;
mod replay;
mod resolve;

use serde::{Deserialize, Serialize};

use crate::config::Problems;

pub use channel::Channel;

/// Largest number of addresses in a list.
const MAX_REPLICAS: usize = 64;

/// Whom to call and how patiently.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClientConfig {
    /// `http://host:port`; a name is resolved to all its addresses. Several replicas without a common name are listed
    /// with commas between them, at most 64.
    pub address: String,
    /// How long a connection may take to open, milliseconds.
    pub connect_timeout_ms: u64,
    /// How often a name is resolved again, milliseconds.
    pub resolve_interval_ms: u64,
    /// Sendings of one call at most, the first included.
    pub attempts: u32,
    /// Share of calls that may be retried, 0 to 1.
    pub retry_ratio: f32,
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self {
            address: String::new(),
            connect_timeout_ms: 1_000,
            resolve_interval_ms: 5_000,
            attempts: 3,
            retry_ratio: 0.2,
        }
    }
}

impl ClientConfig {
    /// The defaults, calling `address`.
    pub fn to(address: impl Into<String>) -> Self {
        Self { address: address.into(), ..Self::default() }
    }

    /// The addresses listed, one for a single service or name.
    fn replicas(&self) -> impl Iterator<Item = &str> {
        self.address.split(',').map(str::trim)
    }

    /// Reports an address that is no URI and retry settings that make no sense; `key` is the section's.
    pub fn validate(&self, key: &str, problems: &mut Problems) {
        let has_port = |address: &str| {
            address.parse::<http::Uri>().is_ok_and(|uri| uri.authority().is_some_and(|a| a.port().is_some()))
        };
        problems.require(
            self.replicas().count() <= MAX_REPLICAS && self.replicas().all(has_port),
            &format!("{key}.address"),
            "must be a URI with a port, such as http://127.0.0.1:7001, or up to 64 of them with commas between",
        );
        problems.require(self.attempts >= 1, &format!("{key}.attempts"), "must be at least 1");
        problems.require(
            (0.0..=1.0).contains(&self.retry_ratio),
            &format!("{key}.retry_ratio"),
            "must be 0 to 1",
        );
    }
}

/// A channel to `config.address`. Nothing is connected yet: an absent service shows as UNAVAILABLE
/// on the call, and is found when it comes.
pub fn connect(config: &ClientConfig) -> Result<Channel, tonic::transport::Error> {
    Channel::new(config)
}
