use serde::{Deserialize, Serialize};

use crate::Objective;
use crate::error::{Error, Result};

/// How a prediction may change as a feature grows, all others held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Monotone {
    /// In any way.
    #[default]
    Free,
    /// Never down.
    Increasing,
    /// Never up.
    Decreasing,
}

/// When boosting ends early.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Stopping {
    /// Share of the rows kept from training to judge by; above 0 and below 1.
    pub share: f64,
    /// Rounds without a lower loss on them after which boosting ends; the best round is kept.
    pub patience: usize,
}

/// How trees are grown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// What is minimised.
    pub objective: Objective,
    /// Most trees; at least 1.
    pub rounds: usize,
    /// Shrinkage of each tree, above 0 to 1.
    pub learning_rate: f64,
    /// Most leaves a tree; at least 2.
    pub leaves: usize,
    /// Most forks from the root to a leaf; at least 1.
    pub depth: usize,
    /// Least rows in a leaf; at least 1.
    pub leaf_rows: usize,
    /// Penalty on squared leaf values, at least 0.
    pub l2: f64,
    /// Least gain of a fork, at least 0.
    pub gain: f64,
    /// Share of the rows each tree sees, above 0 to 1.
    pub rows: f64,
    /// Share of the features each tree sees, above 0 to 1.
    pub features: f64,
    /// Most bins a feature, 2 to 255.
    pub bins: usize,
    /// Constraint of each feature; features beyond its end are free.
    pub monotone: Vec<Monotone>,
    /// When boosting ends early; `None` grows all rounds.
    pub stopping: Option<Stopping>,
    /// Seed of all chance.
    pub seed: u64,
}

impl Settings {
    /// Sound values for some thousand to some million rows.
    pub fn new(objective: Objective) -> Self {
        Self {
            objective,
            rounds: 200,
            learning_rate: 0.05,
            leaves: 15,
            depth: 6,
            leaf_rows: 20,
            l2: 1.0,
            gain: 0.0,
            rows: 1.0,
            features: 1.0,
            bins: 255,
            monotone: Vec::new(),
            stopping: None,
            seed: 0,
        }
    }

    pub(crate) fn monotone(&self, feature: usize) -> Monotone {
        self.monotone.get(feature).copied().unwrap_or_default()
    }

    pub(crate) fn check(&self) -> Result<()> {
        let share = |value: f64| value > 0.0 && value <= 1.0;
        let sound = |value: f64| value.is_finite() && value >= 0.0;
        for (right, setting, rule) in [
            (self.rounds >= 1, "rounds", "must be at least 1"),
            (share(self.learning_rate), "learning_rate", "must be above 0 and at most 1"),
            (self.leaves >= 2, "leaves", "must be at least 2"),
            (self.depth >= 1, "depth", "must be at least 1"),
            (self.leaf_rows >= 1, "leaf_rows", "must be at least 1"),
            (sound(self.l2), "l2", "must be finite and at least 0"),
            (sound(self.gain), "gain", "must be finite and at least 0"),
            (share(self.rows), "rows", "must be above 0 and at most 1"),
            (share(self.features), "features", "must be above 0 and at most 1"),
            ((2..=255).contains(&self.bins), "bins", "must be 2 to 255"),
            (
                self.stopping.is_none_or(|s| s.share > 0.0 && s.share < 1.0 && s.patience >= 1),
                "stopping",
                "share must be above 0 and below 1, patience at least 1",
            ),
        ] {
            if !right {
                return Err(Error::Setting { setting, rule });
            }
        }
        Ok(())
    }
}
