//! The recommender's settings.

use std::path::PathBuf;

use chassis::auth::PrivacyConfig;
use chassis::client::ClientConfig;
use chassis::config::{Problems, Secret, Validate};
use chassis::server::ServerConfig;
use chassis::telemetry::TelemetryConfig;
use serde::{Deserialize, Serialize};

use crate::signals::Signals;

/// All settings of the recommender.
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
    /// The object store of models.
    pub models: ModelsConfig,
    /// How changes of items are followed.
    pub catalogue: CatalogueConfig,
    /// The generator, which embeds the texts of items nobody has taken yet; without an address none are.
    pub generator: ClientConfig,
    /// How much events tell of a taste.
    pub events: Signals,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            server: ServerConfig::listening("127.0.0.1:7001"),
            telemetry: TelemetryConfig::default(),
            privacy: PrivacyConfig::default(),
            store: StoreConfig::default(),
            models: ModelsConfig::default(),
            catalogue: CatalogueConfig::default(),
            generator: ClientConfig::default(),
            events: Signals::default(),
        }
    }
}

/// Where items and events are kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StoreConfig {
    /// `sqlite://FILE?mode=rwc` or `postgres://…`.
    pub url: Secret,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self { url: Secret::new("sqlite://recommender.db?mode=rwc") }
    }
}

/// Where models are kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ModelsConfig {
    /// The folder artefacts are stored below; shared by all replicas.
    pub folder: PathBuf,
    /// Milliseconds between two looks for a newly promoted model.
    pub watch_ms: u64,
}

impl Default for ModelsConfig {
    fn default() -> Self {
        Self { folder: "models".into(), watch_ms: 2_000 }
    }
}

/// How changes of items are followed.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CatalogueConfig {
    /// Milliseconds between two looks for items that other replicas have changed.
    pub watch_ms: u64,
}

impl Default for CatalogueConfig {
    fn default() -> Self {
        Self { watch_ms: 50 }
    }
}

impl Validate for Config {
    fn validate(&self, problems: &mut Problems) {
        self.server.validate(problems);
        self.telemetry.validate(problems);
        self.privacy.validate(problems);
        let url = self.store.url.expose();
        problems.require(
            url.starts_with("sqlite:") || url.starts_with("postgres:") || url.starts_with("postgresql:"),
            "store.url",
            "must begin with sqlite: or postgres:",
        );
        if !self.generator.address.is_empty() {
            self.generator.validate("generator", problems);
        }
        self.events.validate(problems);
        problems.require(self.catalogue.watch_ms >= 10, "catalogue.watch_ms", "must be at least 10");
        problems.require(self.models.watch_ms >= 50, "models.watch_ms", "must be at least 50");
    }
}
