//! What a training run is asked for.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::algorithm::{Algorithm, FitError, Settings};
use crate::search::given;

/// The parameter that says how long to search; of no algorithm, and taken by all.
pub const BUDGET: &str = "budget_seconds";
/// The parameter that says whether the weights of events are learnt; of no algorithm, and taken by all.
const WEIGHTS: &str = "learn_weights";
/// Seconds of a search unless told otherwise.
const USUAL: f64 = 60.0;
/// Seconds of a search at most.
const LONGEST: f64 = 86_400.0;

/// What a training run shall make.
#[derive(Debug, Clone, PartialEq)]
pub struct Order {
    /// The algorithm; none named: the best of all.
    pub algorithm: Option<Algorithm>,
    /// Parameters that are given instead of chosen.
    pub parameters: BTreeMap<String, f64>,
    /// How long to search; every algorithm is tried once whatever it says.
    pub budget: Duration,
    /// Whether the weights of events are learnt.
    pub weigh: bool,
    /// Seed of everything random.
    pub seed: u64,
}

impl Order {
    /// What is asked for by name; `parameters` may hold [`BUDGET`] and `learn_weights` beside those of the algorithm.
    ///
    /// # Errors
    /// A parameter the algorithm does not have, or one out of its range.
    pub fn of(
        algorithm: Option<Algorithm>,
        mut parameters: BTreeMap<String, f64>,
        seed: u64,
    ) -> Result<Self, FitError> {
        let budget = parameters.remove(BUDGET).unwrap_or(USUAL);
        if !(0.0..=LONGEST).contains(&budget) {
            let range = format!("0 to {LONGEST}");
            return Err(FitError::Setting { field: BUDGET.into(), value: budget, range });
        }
        // Who names an algorithm wants it as it is; who leaves the choice free leaves this choice too.
        let weigh = match parameters.remove(WEIGHTS) {
            None => algorithm.is_none(),
            Some(0.0) => false,
            Some(1.0) => true,
            Some(value) => {
                let range = "0 or 1".to_owned();
                return Err(FitError::Setting { field: WEIGHTS.into(), value, range });
            }
        };
        given(Settings::of(algorithm.unwrap_or(Algorithm::Blend), seed), &parameters)?;
        Ok(Self { algorithm, parameters, budget: Duration::from_secs_f64(budget), weigh, seed })
    }
}
