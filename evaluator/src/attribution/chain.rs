//! The Markov chain of journeys: states and counted transitions.

use std::collections::HashMap;

use rayon::prelude::*;

use super::journeys::{Channel, Counts, Journey, Journeys};
use super::walk::Walk;

/// Journeys counted in one go; more are counted side by side, always in the same parts, so that sums round the same.
const PART: usize = 1 << 16;

/// Where no touch has been made yet.
pub(super) const START: usize = 0;

/// A step from a state by one touch.
#[derive(Debug, Clone, Copy)]
pub(super) struct Step {
    /// The touch.
    pub(super) touch: Channel,
    /// The state it leads to.
    pub(super) target: usize,
    /// How often it was made.
    pub(super) flow: f64,
}

/// One state: the last touches, and where journeys went from there.
#[derive(Debug, Clone, Default)]
pub(super) struct State {
    /// The touches it remembers.
    pub(super) memory: Vec<Channel>,
    /// Steps on, by touch.
    pub(super) steps: Vec<Step>,
    /// Journeys that ended here.
    pub(super) ended: Counts,
}

/// A chain whose state is the last `order` touches.
pub struct Chain {
    pub(super) states: Vec<State>,
}

impl Chain {
    /// Counts the transitions of `journeys`, taken as often as `counts` says, with a memory of `order` touches, at
    /// least 1.
    ///
    /// A journey of fewer touches than `order` passes through shorter states, so none is lost. Empty journeys make
    /// no transition: nothing was touched.
    pub fn of(journeys: &Journeys, counts: &[Counts], order: usize) -> Self {
        let (order, rows, channels) = (order.max(1), journeys.len(), journeys.channels().len());
        let part = |from: usize, to: usize| Self::part(journeys.span(from..to, counts), channels, order);
        if rows <= PART {
            return part(0, rows);
        }
        let part = |from: usize| part(from, (from + PART).min(rows));
        let parts: Vec<Self> = (0..rows).into_par_iter().step_by(PART).map(part).collect();
        let mut whole = Self { states: vec![State::default()] };
        let mut known = HashMap::from([(Vec::new(), START)]);
        for part in parts {
            whole.add(&mut known, part);
        }
        whole
    }

    /// Adds what another part has counted; `known` holds the states by what they remember.
    fn add(&mut self, known: &mut HashMap<Vec<Channel>, usize>, part: Self) {
        let states = &mut self.states;
        let place = |state: &State| {
            *known.entry(state.memory.clone()).or_insert_with(|| {
                states.push(State { memory: state.memory.clone(), ..State::default() });
                states.len() - 1
            })
        };
        let places: Vec<usize> = part.states.iter().map(place).collect();
        for (state, &place) in part.states.iter().zip(&places) {
            let own = &mut self.states[place];
            own.ended.conversions += state.ended.conversions;
            own.ended.nulls += state.ended.nulls;
            own.ended.value += state.ended.value;
            for step in &state.steps {
                match own.steps.binary_search_by_key(&step.touch, |step| step.touch) {
                    Ok(at) => own.steps[at].flow += step.flow,
                    Err(at) => own.steps.insert(at, Step { target: places[step.target], ..*step }),
                }
            }
        }
    }

    /// Counts some journeys one after the other.
    fn part<'a>(journeys: impl Iterator<Item = Journey<'a>>, channels: usize, order: usize) -> Self {
        let mut walk = Walk::new(channels, order);
        for row in journeys {
            let flow = row.counts.conversions + row.counts.nulls;
            if row.touches.is_empty() || flow <= 0.0 {
                continue;
            }
            let last = row.touches.iter().fold(START, |state, &touch| walk.step(state, touch, flow));
            walk.end(last, row.counts);
        }
        Self { states: walk.states() }
    }

    /// Number of transient states, the start included.
    pub fn states(&self) -> usize {
        self.states.len()
    }
}

impl State {
    /// How often it was left, by a step or by the journey's end.
    pub(super) fn outflow(&self) -> f64 {
        self.outflow_but(usize::MAX)
    }

    /// The same without steps to the state `but`.
    pub(super) fn outflow_but(&self, but: usize) -> f64 {
        let steps = self.steps.iter().filter(|step| step.target != but).map(|step| step.flow);
        steps.sum::<f64>() + self.ended.conversions + self.ended.nulls
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_counted_side_by_side_are_the_whole() {
        let mut journeys = Journeys::new();
        for row in 0..3 * PART + 7 {
            let touches = ["a", "b", "c", "d"].into_iter().cycle().skip(row % 7).step_by(1 + row % 3);
            let counts = Counts { conversions: (row % 2) as f64, value: (row % 2 * 5) as f64, nulls: 1.0 };
            journeys.push(|| "j".into(), touches.take(row % 6), &[], counts).expect("sound");
        }
        for order in [1, 3] {
            let (whole, one) =
                (Chain::of(&journeys, journeys.counts(), order), Chain::part(journeys.rows(), 4, order));
            assert_eq!(whole.states(), one.states());
            for state in &one.states {
                let same = whole.states.iter().find(|other| other.memory == state.memory).expect("known");
                assert_eq!(same.ended, state.ended);
                let flows =
                    |of: &State| of.steps.iter().map(|step| (step.touch, step.flow)).collect::<Vec<_>>();
                assert_eq!(flows(same), flows(state));
                for (step, other) in state.steps.iter().zip(&same.steps) {
                    assert_eq!(one.states[step.target].memory, whole.states[other.target].memory);
                }
            }
        }
    }
}
