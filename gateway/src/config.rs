//! The gateway's settings.

use chassis::auth::PrivacyConfig;
use chassis::client::ClientConfig;
use chassis::config::{Problems, Secret, Validate};
use chassis::server::ServerConfig;
use chassis::telemetry::TelemetryConfig;
use serde::{Deserialize, Serialize};

/// All settings of the gateway.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where it listens.
    pub server: ServerConfig,
    /// Logs, traces and metrics.
    pub telemetry: TelemetryConfig,
    /// The key of pseudonyms.
    pub privacy: PrivacyConfig,
    /// Its own database.
    pub store: StoreConfig,
    /// The recommender.
    pub recommender: ClientConfig,
    /// The generator.
    pub generator: ClientConfig,
    /// The evaluator.
    pub evaluator: ClientConfig,
    /// The decision token.
    pub token: TokenConfig,
    /// How a Personalise call spends its time.
    pub personalise: PersonaliseConfig,
    /// The durable queue of events and decisions.
    pub outbox: OutboxConfig,
    /// The popularity list that answers when the recommender cannot.
    pub popularity: PopularityConfig,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            server: ServerConfig::listening("127.0.0.1:7000"),
            telemetry: TelemetryConfig::default(),
            privacy: PrivacyConfig::default(),
            store: StoreConfig::default(),
            recommender: ClientConfig::to("http://127.0.0.1:7001"),
            generator: ClientConfig::to("http://127.0.0.1:7002"),
            evaluator: ClientConfig::to("http://127.0.0.1:7003"),
            token: TokenConfig::default(),
            personalise: PersonaliseConfig::default(),
            outbox: OutboxConfig::default(),
            popularity: PopularityConfig::default(),
        }
    }
}

/// Where the gateway keeps its outbox, consents and fallback items.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StoreConfig {
    /// `sqlite://FILE?mode=rwc` or `postgres://…`.
    pub url: Secret,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self { url: Secret::new("sqlite://gateway.db?mode=rwc") }
    }
}

/// How decision tokens are signed.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TokenConfig {
    /// HMAC key, at least 16 bytes; the same on every replica.
    pub key: Secret,
    /// Hours for which events may answer to a decision.
    pub valid_hours: u32,
}

impl Default for TokenConfig {
    fn default() -> Self {
        Self { key: Secret::new("bespoke-development-token-key"), valid_hours: 24 * 30 }
    }
}

/// How a Personalise call spends its time.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PersonaliseConfig {
    /// Deadline of a call that brings none, milliseconds.
    pub default_deadline_ms: u64,
    /// Most characters of copy; 0 leaves it to the channel.
    pub max_characters: u32,
}

impl Default for PersonaliseConfig {
    fn default() -> Self {
        Self { default_deadline_ms: 800, max_characters: 0 }
    }
}

/// The durable queue of events and decisions.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OutboxConfig {
    /// Rows written in one transaction at most.
    pub write_batch: usize,
    /// Rows sent on in one call at most.
    pub relay_batch: u64,
    /// Calls that may wait for the writer; more are refused as overload.
    pub queue: usize,
    /// Hours a delivered row is kept, so that its id is still known.
    pub keep_hours: u32,
}

impl Default for OutboxConfig {
    fn default() -> Self {
        Self { write_batch: 4096, relay_batch: 1000, queue: 4096, keep_hours: 72 }
    }
}

/// The popularity list that answers when the recommender cannot.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PopularityConfig {
    /// Seconds between two fetches of the list, at least 1.
    pub refresh_seconds: u32,
}

impl Default for PopularityConfig {
    fn default() -> Self {
        Self { refresh_seconds: 60 }
    }
}

impl Validate for Config {
    fn validate(&self, problems: &mut Problems) {
        self.server.validate(problems);
        self.telemetry.validate(problems);
        self.privacy.validate(problems);
        self.recommender.validate("recommender", problems);
        self.generator.validate("generator", problems);
        self.evaluator.validate("evaluator", problems);
        let url = self.store.url.expose();
        problems.require(
            url.starts_with("sqlite:") || url.starts_with("postgres:") || url.starts_with("postgresql:"),
            "store.url",
            "must begin with sqlite: or postgres:",
        );
        problems.require(self.token.key.expose().len() >= 16, "token.key", "must be at least 16 bytes");
        problems.require(self.token.valid_hours > 0, "token.valid_hours", "must be above 0");
        problems.require(
            self.personalise.default_deadline_ms >= 10,
            "personalise.default_deadline_ms",
            "must be at least 10",
        );
        problems.require(self.outbox.write_batch > 0, "outbox.write_batch", "must be above 0");
        problems.require(self.outbox.relay_batch > 0, "outbox.relay_batch", "must be above 0");
        problems.require(self.outbox.queue > 0, "outbox.queue", "must be above 0");
        let refresh = self.popularity.refresh_seconds;
        problems.require(refresh > 0, "popularity.refresh_seconds", "must be above 0");
    }
}
