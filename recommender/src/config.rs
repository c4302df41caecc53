//! The recommender's settings.

use std::path::PathBuf;

use chassis::auth::PrivacyConfig;
use chassis::calendar::ShopConfig;
use chassis::client::ClientConfig;
use chassis::config::{Problems, Secret, Validate};
use chassis::server::ServerConfig;
use chassis::telemetry::TelemetryConfig;
use proto::common::v1::Item;
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
    /// The shop's time zone.
    pub shop: ShopConfig,
    /// How changes of items are followed, and which are never recommended.
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
            shop: ShopConfig::default(),
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

/// How changes of items are followed, and which are never recommended.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CatalogueConfig {
    /// Milliseconds between two looks for items that other replicas have changed.
    pub watch_ms: u64,
    /// Items that are never recommended although they are sold, such as postage: those that meet any of these rules.
    pub not_recommendable: Vec<ItemRule>,
}

/// Names items by a value they have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ItemRule {
    /// "category", "brand", or a name of an item's attributes.
    pub attribute: String,
    /// The value, letter for letter.
    pub value: String,
}

impl CatalogueConfig {
    /// Marks `item` as not recommendable where a rule says so.
    pub fn mark(&self, item: &mut Item) {
        let meets = |rule: &ItemRule| item.has(&rule.attribute, &rule.value);
        item.not_recommendable |= self.not_recommendable.iter().any(meets);
    }
}

impl Default for CatalogueConfig {
    fn default() -> Self {
        Self { watch_ms: 50, not_recommendable: Vec::new() }
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
        for (index, rule) in self.catalogue.not_recommendable.iter().enumerate() {
            for (name, text) in [("attribute", &rule.attribute), ("value", &rule.value)] {
                let field = format!("catalogue.not_recommendable[{index}].{name}");
                problems.require(!text.is_empty(), &field, "must not be empty");
            }
        }
        self.shop.validate(problems);
        problems.require(self.catalogue.watch_ms >= 10, "catalogue.watch_ms", "must be at least 10");
        problems.require(self.models.watch_ms >= 50, "models.watch_ms", "must be at least 50");
    }
}
