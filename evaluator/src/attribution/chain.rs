//! The Markov chain of journeys: states, counted transitions, and its exact absorption.

use std::collections::HashMap;

use super::journeys::{Channel, Journeys};

/// Where no touch has been made yet.
const START: usize = 0;

/// A chain whose state is the last `order` touches.
pub struct Chain {
    /// Every touch a state remembers.
    members: Vec<Vec<Channel>>,
    /// Outgoing transitions of each state as (state, probability).
    next: Vec<Vec<(usize, f64)>>,
    /// Probability to convert from each state.
    converts: Vec<f64>,
    /// Mean value of a conversion from each state.
    worth: Vec<f64>,
}

impl Chain {
    /// Counts the transitions of `journeys` with a memory of `order` touches, at least 1.
    ///
    /// A journey of fewer touches than `order` passes through shorter states, so none is lost. Empty journeys make
    /// no transition: nothing was touched.
    pub fn of(journeys: &Journeys, order: usize) -> Self {
        let order = order.max(1);
        let mut states: HashMap<Vec<Channel>, usize> = HashMap::from([(Vec::new(), START)]);
        let mut members: Vec<Vec<Channel>> = vec![Vec::new()];
        // (state, touch) → next state, so that tuples are hashed once a distinct step and not once a touch.
        let mut steps: Vec<Vec<usize>> = vec![vec![usize::MAX; journeys.channels().len()]];
        let mut counts: Vec<HashMap<usize, f64>> = vec![HashMap::new()];
        let mut exits: Vec<(f64, f64, f64)> = vec![(0.0, 0.0, 0.0)];
        for row in journeys.rows() {
            let weight = row.conversions + row.nulls;
            if row.touches.is_empty() || weight <= 0.0 {
                continue;
            }
            let mut state = START;
            for &touch in &row.touches {
                let mut target = steps[state][usize::from(touch)];
                if target == usize::MAX {
                    let mut tuple = members[state].clone();
                    tuple.push(touch);
                    if tuple.len() > order {
                        tuple.remove(0);
                    }
                    target = *states.entry(tuple.clone()).or_insert_with(|| {
                        members.push(tuple);
                        steps.push(vec![usize::MAX; journeys.channels().len()]);
                        counts.push(HashMap::new());
                        exits.push((0.0, 0.0, 0.0));
                        members.len() - 1
                    });
                    steps[state][usize::from(touch)] = target;
                }
                *counts[state].entry(target).or_default() += weight;
                state = target;
            }
            let exit = &mut exits[state];
            *exit = (exit.0 + row.conversions, exit.1 + row.nulls, exit.2 + row.value);
        }
        let mut next = Vec::with_capacity(counts.len());
        let mut converts = Vec::with_capacity(counts.len());
        for (targets, (conversions, nulls, _)) in counts.iter().zip(&exits) {
            let total = targets.values().sum::<f64>() + conversions + nulls;
            let mut row: Vec<(usize, f64)> =
                targets.iter().map(|(&target, &count)| (target, count / total)).collect();
            // A fixed order of summation: the same journeys give the same bytes.
            row.sort_unstable_by_key(|&(target, _)| target);
            next.push(row);
            converts.push(if total > 0.0 { conversions / total } else { 0.0 });
        }
        let worth = exits.iter().map(|(c, _, value)| if *c > 0.0 { value / c } else { 0.0 }).collect();
        Self { members, next, converts, worth }
    }

    /// Number of transient states, the start included.
    pub fn states(&self) -> usize {
        self.next.len()
    }

    /// (probability to convert, expected value) from the start, with every step onto `removed` ending unconverted.
    pub fn absorption(&self, removed: Option<Channel>) -> (f64, f64) {
        let visits = self.visits(removed);
        let mut probability = 0.0;
        let mut value = 0.0;
        for (state, visits) in visits.iter().enumerate() {
            let conversions = visits * self.converts[state];
            probability += conversions;
            value += conversions * self.worth[state];
        }
        (probability, value)
    }

    /// Expected visits of each state: x = e₀ + Qᵀx, with the states of `removed` cut out.
    ///
    /// Gauss-Seidel from below: every term is non-negative, so each sweep rises towards the solution and loses no
    /// digits to cancellation; it stops when a whole sweep moves nothing by more than rounding.
    fn visits(&self, removed: Option<Channel>) -> Vec<f64> {
        let cut = |state: usize| removed.is_some() && self.members[state].iter().any(|&c| Some(c) == removed);
        // Transpose once: inflows of each state that is left.
        let mut inflow: Vec<Vec<(usize, f64)>> = vec![Vec::new(); self.states()];
        let mut loops = vec![0.0; self.states()];
        for (state, targets) in self.next.iter().enumerate().filter(|(state, _)| !cut(*state)) {
            for &(target, probability) in targets.iter().filter(|(target, _)| !cut(*target)) {
                if target == state {
                    loops[state] = probability;
                } else {
                    inflow[target].push((state, probability));
                }
            }
        }
        let mut visits = vec![0.0; self.states()];
        for _ in 0..MAX_SWEEPS {
            let mut moved = 0.0_f64;
            for state in 0..self.states() {
                let arrivals: f64 = inflow[state].iter().map(|&(from, p)| visits[from] * p).sum();
                let source = if state == START { 1.0 } else { 0.0 };
                let renewed = (source + arrivals) / (1.0 - loops[state]);
                if renewed > 0.0 {
                    moved = moved.max((renewed - visits[state]).abs() / renewed);
                }
                visits[state] = renewed;
            }
            if moved < 4.0 * f64::EPSILON {
                break;
            }
        }
        visits
    }
}

/// A sweep gains at least the share of journeys that end at each step; real ones settle within some hundred.
const MAX_SWEEPS: usize = 100_000;
