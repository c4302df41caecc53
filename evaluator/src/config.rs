//! The evaluator's settings.

use chassis::auth::PrivacyConfig;
use chassis::calendar::ShopConfig;
use chassis::config::{Problems, Secret, Validate};
use chassis::server::ServerConfig;
use chassis::telemetry::TelemetryConfig;
use serde::{Deserialize, Serialize};

/// All settings of the evaluator.
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
    /// The pool analyses run in.
    pub analysis: AnalysisConfig,
    /// How offers are decided.
    pub strategy: StrategyConfig,
    /// The shop: its time zone.
    pub shop: ShopConfig,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            server: ServerConfig::listening("127.0.0.1:7003"),
            telemetry: TelemetryConfig::default(),
            privacy: PrivacyConfig::default(),
            store: StoreConfig::default(),
            analysis: AnalysisConfig::default(),
            strategy: StrategyConfig::default(),
            shop: ShopConfig::default(),
        }
    }
}

/// Where experiments, decisions, events and offers are kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StoreConfig {
    /// `sqlite://FILE?mode=rwc` or `postgres://…`.
    pub url: Secret,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self { url: Secret::new("sqlite://evaluator.db?mode=rwc") }
    }
}

/// How much is analysed at once.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AnalysisConfig {
    /// Analyses that run at once; 0 takes one a core.
    pub running: usize,
    /// Analyses that may wait; more are refused as overload.
    pub queue: usize,
}

impl Default for AnalysisConfig {
    fn default() -> Self {
        Self { running: 0, queue: 32 }
    }
}

/// How offers are decided.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StrategyConfig {
    /// Share of people who never see an offer, beside the experiments' own hold-outs; 0 to below 1.
    pub holdout: f64,
    /// How long running experiments and valid offers are served from memory, milliseconds; 0 reads them each time.
    pub cache_ms: u64,
    /// How often what the plan that decides has brought is judged by what it promised, seconds; 0: only when a plan is
    /// asked for.
    pub judge_every_s: u64,
    /// How far a caller's moment may be from the server's clock, seconds.
    pub clock_skew_s: u32,
    /// Whether callers say what time it is, as replays and simulations do: budgets and windows then follow the latest moment
    /// told. Never for a shop that sells.
    pub simulated_clock: bool,
    /// How long an offer without `ends_at` is owed after it was made, days.
    pub offer_valid_days: u32,
    /// Whether redemptions that nobody reports are inferred from the terms of offers. Books more or less than was given:
    /// GetPlan tells the error, measured on purchases that do report their discount.
    pub infer_redemptions: bool,
    /// How long after a decision what happens counts for it.
    pub outcome_windows: OutcomeWindows,
}

/// Outcome window of each target, hours after a decision. Decisions whose window is still open are left out of training and
/// of what a plan is judged by: what they bring is not known yet.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OutcomeWindows {
    /// Of the target `click`.
    pub click_hours: u32,
    /// Of the target `purchase`.
    pub purchase_hours: u32,
    /// Of the target `profit`.
    pub profit_hours: u32,
}

impl Default for OutcomeWindows {
    fn default() -> Self {
        Self { click_hours: 24, purchase_hours: 168, profit_hours: 168 }
    }
}

impl OutcomeWindows {
    /// Returns the window of a target, microseconds.
    pub fn of_target(&self, target: &str) -> i64 {
        let hours = match target {
            "click" => self.click_hours,
            "purchase" => self.purchase_hours,
            _ => self.profit_hours,
        };
        i64::from(hours) * 3_600_000_000
    }
}

impl Default for StrategyConfig {
    fn default() -> Self {
        Self {
            holdout: 0.0,
            cache_ms: 1_000,
            judge_every_s: 300,
            clock_skew_s: 300,
            simulated_clock: false,
            offer_valid_days: 30,
            infer_redemptions: false,
            outcome_windows: OutcomeWindows::default(),
        }
    }
}

impl Validate for Config {
    fn validate(&self, problems: &mut Problems) {
        self.server.validate(problems);
        self.telemetry.validate(problems);
        self.privacy.validate(problems);
        self.shop.validate(problems);
        let url = self.store.url.expose();
        problems.require(
            url.starts_with("sqlite:") || url.starts_with("postgres:") || url.starts_with("postgresql:"),
            "store.url",
            "must begin with sqlite: or postgres:",
        );
        problems.require(self.analysis.queue > 0, "analysis.queue", "must be above 0");
        problems.require(
            (0.0..1.0).contains(&self.strategy.holdout),
            "strategy.holdout",
            "must be 0 to below 1",
        );
        problems.require(
            (1..=3_650).contains(&self.strategy.offer_valid_days),
            "strategy.offer_valid_days",
            "must be 1 to 3650",
        );
        let windows = &self.strategy.outcome_windows;
        for (name, hours) in [
            ("click_hours", windows.click_hours),
            ("purchase_hours", windows.purchase_hours),
            ("profit_hours", windows.profit_hours),
        ] {
            problems.require(
                (1..=8_760).contains(&hours),
                &format!("strategy.outcome_windows.{name}"),
                "must be 1 to 8760 hours",
            );
        }
    }
}
