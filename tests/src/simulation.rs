//! The simulated shop: shoppers with known tastes, offers with known effects, and the best that could be made of them.
//!
//! What a visit brings under each offer is a known expectation, so the profit of any policy, and of the best one
//! under a budget, is exact; what the product knows is the visits it decided and what came of them, over gRPC.
//! Chance is drawn once a visit and shared by all policies: they differ by what they decide, not by luck.

pub mod book;
pub mod offers;
pub mod oracle;
pub mod play;
pub mod program;
pub mod score;
pub mod speak;
pub mod taste;
pub mod world;

use clap::Args;

/// How large, how long, and under which budget.
#[derive(Debug, Clone, Args)]
pub struct Settings {
    /// Shoppers.
    #[arg(long, default_value_t = 20_000)]
    pub shoppers: usize,
    /// Days played.
    #[arg(long, default_value_t = 30)]
    pub days: u32,
    /// Days that plans go on for after the last one played.
    #[arg(long, default_value_t = 0)]
    pub days_left: u32,
    /// Days, or a part of the first, in which an exploration plan makes offers by chance, for there is nothing to learn from yet.
    #[arg(long, default_value_t = 0.25)]
    pub explore_days: f64,
    /// Most days after which the effect model is trained and the plan made anew; at first, when every hour tells much
    /// that is new, it is sooner.
    #[arg(long, default_value_t = 5.0)]
    pub replan_days: f64,
    /// Share of decisions a plan makes uniformly.
    #[arg(long, default_value_t = 0.003)]
    pub exploration: f64,
    /// Share of shoppers who come on a day.
    #[arg(long, default_value_t = 0.5)]
    pub visit_rate: f64,
    /// Leaves what is known of shoppers to the evaluator: no features are given.
    #[arg(long)]
    pub without_features: bool,
    /// Share of shoppers who never get an offer, so that what offers bring can be told.
    #[arg(long, default_value_t = 0.01)]
    pub holdout: f64,
    /// The budget, as a share of what the best policy without one would spend.
    #[arg(long, default_value_t = 0.6)]
    pub budget_share: f64,
    /// Seed of all chance.
    #[arg(long, default_value_t = 7)]
    pub seed: u64,
}
