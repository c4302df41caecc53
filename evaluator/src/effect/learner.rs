//! Learners of effects: models of the outcome under every arm, an effect being the difference of two arms.

use serde::{Deserialize, Serialize};

use super::joint::Joint;
use super::panel::with_arm;
use super::response::Response;

/// A learner: one model of all arms (an S-learner) or one model an arm (a T-learner; Künzel et al. 2019), over linear models
/// or boosted trees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Learner {
    /// One hierarchical linear model of all arms.
    LinearTogether,
    /// A linear model an arm.
    LinearApart,
    /// Boosted trees with the arm among their features.
    TreesTogether,
    /// Boosted trees an arm.
    TreesApart,
}

impl Learner {
    /// All of them.
    pub const ALL: [Self; 4] =
        [Self::LinearTogether, Self::LinearApart, Self::TreesTogether, Self::TreesApart];

    /// Its name: "T-learner, trees".
    pub fn name(self) -> &'static str {
        match self {
            Self::LinearTogether => "S-learner, linear",
            Self::LinearApart => "T-learner, linear",
            Self::TreesTogether => "S-learner, trees",
            Self::TreesApart => "T-learner, trees",
        }
    }
}

/// A fitted learner.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Responses {
    /// A hierarchical model of all arms.
    Joint(Joint),
    /// One model that takes the arm as features.
    Together(Response),
    /// One model an arm.
    Apart(Vec<Response>),
}

impl Responses {
    /// Expected outcome of a row under every arm.
    pub fn means(&self, row: &[f64], arms: &[Vec<f64>]) -> Vec<f64> {
        match self {
            Self::Joint(joint) => joint.means(row),
            Self::Together(response) => {
                (0..arms.len()).map(|arm| response.predict(&with_arm(row, arm, arms, false))).collect()
            }
            Self::Apart(responses) => responses.iter().map(|response| response.predict(row)).collect(),
        }
    }

    /// The same learner without posterior draws.
    #[must_use]
    pub(super) fn without_draws(self) -> Self {
        match self {
            Self::Joint(joint) => Self::Joint(joint.without_draws()),
            other => other,
        }
    }
}
