//! Where a chain of journeys ends, solved exactly.
//!
//! Both solvers only add, multiply and divide numbers that are not negative, so nothing cancels: the answer is good
//! to a few units in the last place however small a channel is.

use super::chain::{Chain, START, State};
use super::journeys::Channel;
use crate::error::{Error, Result};
use crate::stop::Stop;

/// Up to so many states the chain is reduced state by state; above, its sparsity pays for sweeps.
const DENSE: usize = 256;
/// Sweeps after which a chain is given up: journeys that touch hundreds of thousands of times and hardly ever end.
const MOST_SWEEPS: usize = 200_000;

/// What comes of all journeys.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Absorption {
    /// Probability to convert.
    pub conversion: f64,
    /// Expected value.
    pub value: f64,
}

impl Chain {
    /// The absorption from the start; every step onto `removed` ends unconverted.
    pub fn absorption(&self, removed: Option<Channel>) -> Result<Absorption> {
        Stop::current().check()?;
        let cut = |state: &State| removed.is_some_and(|channel| state.memory.contains(&channel));
        let left: Vec<bool> = self.states.iter().map(|state| !cut(state)).collect();
        if self.states.len() <= DENSE { Ok(self.reduced(&left)) } else { self.swept(&left) }
    }

    /// By state reduction (Grassmann, Taksar & Heyman 1985): the last state is taken out and what passed through it
    /// goes straight on, until only the start is left.
    fn reduced(&self, left: &[bool]) -> Absorption {
        let count = self.states.len();
        let mut flows = vec![0.0; count * count];
        // Per state: ends converted, ends unconverted, value of the converted; all as counts, never normalised.
        let mut ends: Vec<[f64; 3]> = self
            .states
            .iter()
            .map(|state| [state.ended.conversions, state.ended.nulls, state.ended.value])
            .collect();
        for (from, state) in self.states.iter().enumerate().filter(|(from, _)| left[*from]) {
            for step in &state.steps {
                if left[step.target] {
                    flows[from * count + step.target] += step.flow;
                } else {
                    ends[from][1] += step.flow;
                }
            }
        }
        for last in (1..count).rev().filter(|&state| left[state]) {
            let out =
                flows[last * count..last * count + last].iter().sum::<f64>() + ends[last][0] + ends[last][1];
            if out <= 0.0 {
                continue;
            }
            let (before, here) = flows.split_at_mut(last * count);
            for from in 0..last {
                let through = before[from * count + last] / out;
                if through > 0.0 {
                    for (to, flow) in here[..last].iter().enumerate() {
                        before[from * count + to] += through * flow;
                    }
                    let gone = ends[last];
                    for (end, part) in ends[from].iter_mut().zip(gone) {
                        *end += through * part;
                    }
                }
            }
        }
        let [converted, unconverted, value] = ends[START];
        let all = converted + unconverted;
        if all > 0.0 {
            Absorption { conversion: converted / all, value: value / all }
        } else {
            Absorption::default()
        }
    }

    /// By expected visits x = e₀ + Qᵀx, Gauss-Seidel from below: each sweep rises towards the solution, and it ends
    /// when a whole sweep moves nothing by more than rounding.
    fn swept(&self, left: &[bool]) -> Result<Absorption> {
        let outflow: Vec<f64> = self.states.iter().map(State::outflow).collect();
        let mut inflow: Vec<Vec<(usize, f64)>> = vec![Vec::new(); self.states.len()];
        // Share of visits that do not come straight back, as a sum: 1 − p would lose digits.
        let mut leaves = vec![1.0; self.states.len()];
        for (from, state) in self.states.iter().enumerate().filter(|(from, _)| left[*from]) {
            for step in state.steps.iter().filter(|step| left[step.target]) {
                if step.target == from {
                    leaves[from] = state.outflow_but(from) / outflow[from];
                } else {
                    inflow[step.target].push((from, step.flow / outflow[from]));
                }
            }
        }
        let mut visits = vec![0.0_f64; self.states.len()];
        let stop = Stop::current();
        for _ in 0..MOST_SWEEPS {
            stop.check()?;
            let mut moved = 0.0_f64;
            for state in 0..visits.len() {
                let arrivals: f64 = inflow[state].iter().map(|&(from, p)| visits[from] * p).sum();
                let source = if state == START { 1.0 } else { 0.0 };
                let renewed = (source + arrivals) / leaves[state];
                if renewed > 0.0 {
                    moved = moved.max((renewed - visits[state]).abs() / renewed);
                }
                visits[state] = renewed;
            }
            if moved < 4.0 * f64::EPSILON {
                return Ok(self.ended(&visits, &outflow));
            }
        }
        let text =
            "journeys that hardly ever end make the chain too slow to solve; shorten them by lookback_steps";
        Err(Error::precondition("CHAIN_NOT_SOLVED", text))
    }

    fn ended(&self, visits: &[f64], outflow: &[f64]) -> Absorption {
        let mut found = Absorption::default();
        for ((state, visits), outflow) in self.states.iter().zip(visits).zip(outflow) {
            if *outflow > 0.0 {
                found.conversion += visits * state.ended.conversions / outflow;
                found.value += visits * state.ended.value / outflow;
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attribution::journeys::{Counts, Journeys};

    /// Journeys of three channels with loops and all lengths up to 9, by a fixed rule.
    fn tangled() -> Journeys {
        let mut journeys = Journeys::new();
        for seed in 0_usize..400 {
            let touches =
                (0..=seed % 9).map(|place| ["a", "b", "c"][(seed * 7 + place * place * 5 + place) % 3]);
            let counts = Counts {
                conversions: (seed % 4) as f64,
                value: (seed % 4 * 3) as f64,
                nulls: (seed % 5) as f64,
            };
            journeys.push(|| "j".into(), touches, &[], counts).expect("sound");
        }
        journeys
    }

    #[test]
    fn both_solvers_find_the_same_to_the_last_digits() {
        let journeys = tangled();
        for order in 1..=4 {
            let chain = Chain::of(&journeys, journeys.counts(), order);
            for removed in [None, Some(0), Some(1), Some(2)] {
                let left: Vec<bool> = chain
                    .states
                    .iter()
                    .map(|state| removed.is_none_or(|channel| !state.memory.contains(&channel)))
                    .collect();
                let (dense, sparse) = (chain.reduced(&left), chain.swept(&left).expect("settles"));
                assert!((dense.conversion - sparse.conversion).abs() < 1e-14, "{dense:?} {sparse:?}");
                assert!((dense.value - sparse.value).abs() < 1e-13, "{dense:?} {sparse:?}");
            }
        }
    }

    /// With a memory as long as the longest journey the chain is the journeys themselves: it converts as often as
    /// they did.
    #[test]
    fn a_chain_that_forgets_nothing_converts_as_the_journeys_did() {
        let journeys = tangled();
        let found = Chain::of(&journeys, journeys.counts(), 9).absorption(None).expect("settles");
        let (conversions, value) = journeys.totals();
        let all = conversions + journeys.counts().iter().map(|row| row.nulls).sum::<f64>();
        assert!((found.conversion - conversions / all).abs() < 1e-14);
        assert!((found.value - value / all).abs() < 1e-13);
    }
}
