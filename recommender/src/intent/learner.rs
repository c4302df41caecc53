//! The learners that are tried, behind one function.

use ndarray::ArrayView2;
use serde::{Deserialize, Serialize};

use super::boost::{self, BoostSettings, Rows};
use super::encode::{Ranked, Spread};
use super::logistic::Line;
use super::network::Layers;
use super::trees::Trees;
use super::{IntentError, Sample, forest, logistic, network};

/// Rows out of so many that a learner keeps back to know when to stop.
const KEPT_BACK: u32 = 6;

/// What is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Learner {
    /// Logistic regression with a ridge.
    Logistic,
    /// One decision tree.
    Tree,
    /// A random forest.
    Forest,
    /// Gradient boosting on histograms.
    Boosting,
    /// A small neural network.
    Network,
}

impl Learner {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Logistic, Self::Tree, Self::Forest, Self::Boosting, Self::Network];
}

impl std::fmt::Display for Learner {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        to.write_str(match self {
            Self::Logistic => "logistic",
            Self::Tree => "tree",
            Self::Forest => "forest",
            Self::Boosting => "boosting",
            Self::Network => "network",
        })
    }
}

/// A fitted learner.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) enum Fitted {
    Line(Spread, Line),
    Trees(Ranked, Vec<Trees>),
    Network(Spread, Layers),
}

impl Fitted {
    pub(super) fn fit(learner: Learner, sample: &Sample, seed: u64) -> Result<Self, IntentError> {
        let failed = |reason: String| IntentError::Learner { learner, reason };
        Ok(match learner {
            Learner::Logistic => {
                let spread = Spread::of(sample);
                let line = logistic::fit(spread.encode(sample.values.view()), &sample.outcomes);
                Self::Line(spread, line.map_err(failed)?)
            }
            Learner::Tree => {
                let ranked = Ranked::of(sample);
                let trees = forest::tree(ranked.encode(sample.values.view()), &sample.outcomes);
                Self::Trees(ranked, vec![trees.map_err(failed)?])
            }
            Learner::Forest => {
                let ranked = Ranked::of(sample);
                let trees = forest::forest(ranked.encode(sample.values.view()), &sample.outcomes, seed);
                Self::Trees(ranked, vec![trees.map_err(failed)?])
            }
            Learner::Boosting => Self::boosted(sample, seed),
            Learner::Network => {
                let (kept, back) = halves(sample, seed);
                let spread = Spread::of(&kept);
                let encoded = |part: &Sample| spread.encode(part.values.view());
                let layers =
                    network::fit((&encoded(&kept), &kept.outcomes), (&encoded(&back), &back.outcomes), seed);
                let layers = layers.map_err(|cause| failed(cause.to_string()))?;
                Self::Network(spread, layers)
            }
        })
    }

    /// How many trees are enough is seen on rows kept back; then as many are grown on all, thrice, and averaged.
    fn boosted(sample: &Sample, seed: u64) -> Self {
        let (kept, back) = halves(sample, seed);
        let ranked = Ranked::of(&kept);
        let (train, held) = (ranked.encode(kept.values.view()), ranked.encode(back.values.view()));
        let settings = BoostSettings::default();
        let rounds = boost::rounds(
            &Rows { values: train.view(), outcomes: &kept.outcomes },
            &Rows { values: held.view(), outcomes: &back.outcomes },
            settings,
            seed,
        );
        let ranked = Ranked::of(sample);
        let all = ranked.encode(sample.values.view());
        let rows = Rows { values: all.view(), outcomes: &sample.outcomes };
        let grow = |n: u64| boost::fit(&rows, BoostSettings { rounds, ..settings }, seed.wrapping_add(n));
        Self::Trees(ranked, (1..=3).map(grow).collect())
    }

    /// Log-odds, one a row.
    pub(super) fn log_odds(&self, rows: ArrayView2<'_, f64>) -> Vec<f64> {
        match self {
            Self::Line(spread, line) => line.log_odds(spread.encode(rows).view()),
            Self::Network(spread, layers) => layers.log_odds(spread.encode(rows).view()),
            Self::Trees(ranked, all) => {
                let encoded = ranked.encode(rows);
                let mut mean = vec![0.0; rows.nrows()];
                for trees in all {
                    for (sum, one) in mean.iter_mut().zip(trees.log_odds(encoded.view())) {
                        *sum += one / all.len() as f64;
                    }
                }
                mean
            }
        }
    }
}

/// What is learnt from and what is kept back, by group.
fn halves(sample: &Sample, seed: u64) -> (Sample, Sample) {
    let folds = sample.folds(KEPT_BACK, seed ^ 0x5EED);
    let (back, kept): (Vec<usize>, Vec<usize>) = (0..folds.len()).partition(|row| folds[*row] == 0);
    (sample.rows(&kept), sample.rows(&back))
}
