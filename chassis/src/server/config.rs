use serde::{Deserialize, Serialize};

use crate::config::Problems;

/// Where a server listens and what it lets in.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServerConfig {
    /// `host:port`; port 0 takes a free one.
    pub listen: String,
    /// The largest request message, bytes.
    pub max_request_bytes: usize,
    /// The largest response message, bytes.
    pub max_response_bytes: usize,
    /// Requests under way on one connection.
    pub max_streams_per_connection: u32,
    /// The longest deadline a caller may ask for, milliseconds; 0 leaves it to the caller.
    pub max_deadline_ms: u64,
    /// A connection is closed after this long so that clients find new replicas; 0 never.
    pub max_connection_age_ms: u64,
    /// How long NOT_SERVING is shown before connections are refused, milliseconds.
    pub drain_delay_ms: u64,
    /// How long calls under way may take to finish, milliseconds.
    pub drain_ms: u64,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:0".into(),
            max_request_bytes: 4 << 20,
            max_response_bytes: 16 << 20,
            max_streams_per_connection: 1024,
            max_deadline_ms: 0,
            max_connection_age_ms: 0,
            drain_delay_ms: 0,
            drain_ms: 10_000,
        }
    }
}

impl ServerConfig {
    /// The defaults, listening on `address`.
    pub fn listening(address: &str) -> Self {
        Self { listen: address.into(), ..Self::default() }
    }

    /// Reports an address without a port and limits that let nothing through.
    pub fn validate(&self, problems: &mut Problems) {
        let port = self.listen.rsplit_once(':').map(|(_, port)| port.parse::<u16>());
        problems.require(
            matches!(port, Some(Ok(_))),
            "server.listen",
            "must be host:port, such as 127.0.0.1:7000",
        );
        for (key, value) in [
            ("server.max_request_bytes", self.max_request_bytes),
            ("server.max_response_bytes", self.max_response_bytes),
        ] {
            problems.require(value >= 1024, key, "must be at least 1024");
        }
        problems.require(
            self.max_streams_per_connection > 0,
            "server.max_streams_per_connection",
            "must be above 0",
        );
    }
}
