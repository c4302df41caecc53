//! Learners of effects.

use serde::{Deserialize, Serialize};

use super::joint::Joint;
use super::panel::with_arm;
use super::response::{Base, Response};

/// How an effect is put together from responses (Künzel et al. 2019; Kennedy 2023 for the doubly robust one).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Meta {
    /// One model with the arm among its features.
    S,
    /// One model an arm.
    T,
    /// Imputed effects of either arm, regressed.
    X,
    /// Doubly robust pseudo-outcomes, regressed.
    Dr,
}

/// A learner: how, and over what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Learner {
    /// How.
    pub meta: Meta,
    /// Over what.
    pub base: Base,
}

impl Learner {
    /// All of them.
    pub const ALL: [Self; 8] = {
        const fn of(meta: Meta, base: Base) -> Learner {
            Learner { meta, base }
        }
        [
            of(Meta::S, Base::Linear),
            of(Meta::T, Base::Linear),
            of(Meta::X, Base::Linear),
            of(Meta::Dr, Base::Linear),
            of(Meta::S, Base::Trees),
            of(Meta::T, Base::Trees),
            of(Meta::X, Base::Trees),
            of(Meta::Dr, Base::Trees),
        ]
    };

    /// Its name: "DR-learner, trees".
    pub fn name(self) -> String {
        let meta = match self.meta {
            Meta::S => "S",
            Meta::T => "T",
            Meta::X => "X",
            Meta::Dr => "DR",
        };
        let base = match self.base {
            Base::Linear => "linear",
            Base::Trees => "trees",
        };
        format!("{meta}-learner, {base}")
    }
}

/// A fitted effect of one arm against the control.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Cate {
    /// S: the arm's row less the control's through one model of all arms, its features flags.
    Single(Response),
    /// S: the same through a model that knows of arms.
    Joint(Joint),
    /// T: two models.
    Difference {
        /// Of the arm.
        treated: Response,
        /// Of the control.
        control: Response,
    },
    /// X: what the treated gained and what the control missed.
    Cross {
        /// Learnt on treated rows.
        of_treated: Response,
        /// Learnt on control rows.
        of_control: Response,
        /// Weight of the latter: the share of treated rows.
        share: f64,
    },
    /// DR: the effect itself.
    Direct(Response),
}

impl Cate {
    /// The effect of `arm` on a row.
    pub fn effect(&self, row: &[f64], arm: usize, arms: &[Vec<f64>]) -> f64 {
        match self {
            Self::Single(response) => {
                response.predict(&with_arm(row, arm, arms, false))
                    - response.predict(&with_arm(row, 0, arms, false))
            }
            Self::Joint(joint) => {
                let means = joint.means(row);
                means[arm] - means[0]
            }
            Self::Difference { treated, control } => treated.predict(row) - control.predict(row),
            Self::Cross { of_treated, of_control, share } => {
                share * of_control.predict(row) + (1.0 - share) * of_treated.predict(row)
            }
            Self::Direct(response) => response.predict(row),
        }
    }
}
