//! The Markov chain of journeys: states and counted transitions.

use std::collections::HashMap;

use super::journeys::{Channel, Counts, Journeys};

/// Where no touch has been made yet.
pub(super) const START: usize = 0;

/// A step from a state by one touch.
#[derive(Debug, Clone, Copy)]
pub(super) struct Step {
    touch: Channel,
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
        let order = order.max(1);
        let mut known: HashMap<Vec<Channel>, usize> = HashMap::from([(Vec::new(), START)]);
        let mut states = vec![State::default()];
        for row in journeys.rows_as(counts) {
            let flow = row.counts.conversions + row.counts.nulls;
            if row.touches.is_empty() || flow <= 0.0 {
                continue;
            }
            let mut state = START;
            for &touch in row.touches {
                // The memory is made and hashed once a distinct step, not once a touch.
                let place = match states[state].steps.binary_search_by_key(&touch, |step| step.touch) {
                    Ok(place) => place,
                    Err(place) => {
                        let target = remembered(&mut known, &mut states, state, touch, order);
                        states[state].steps.insert(place, Step { touch, target, flow: 0.0 });
                        place
                    }
                };
                let step = &mut states[state].steps[place];
                step.flow += flow;
                state = step.target;
            }
            let ended = &mut states[state].ended;
            ended.conversions += row.counts.conversions;
            ended.nulls += row.counts.nulls;
            ended.value += row.counts.value;
        }
        Self { states }
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

/// The state after `touch` in `state`.
fn remembered(
    known: &mut HashMap<Vec<Channel>, usize>,
    states: &mut Vec<State>,
    state: usize,
    touch: Channel,
    order: usize,
) -> usize {
    let mut memory = states[state].memory.clone();
    memory.push(touch);
    if memory.len() > order {
        memory.remove(0);
    }
    if let Some(&target) = known.get(&memory) {
        return target;
    }
    let target = states.len();
    states.push(State { memory: memory.clone(), ..State::default() });
    known.insert(memory, target);
    target
}
