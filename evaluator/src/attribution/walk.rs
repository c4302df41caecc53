//! Counting journeys through a chain, touch by touch.

use std::collections::HashMap;

use super::chain::{START, State, Step};
use super::journeys::{Channel, Counts};

/// Steps kept in the table: it fits in a core's own cache.
const TABLE: usize = 1 << 14;
/// The target of a step that nobody has made.
const NONE: u32 = u32::MAX;

/// The states found so far, and how often each step was made.
pub(super) struct Walk {
    order: usize,
    channels: usize,
    known: HashMap<Vec<Channel>, usize>,
    /// Steps from the first states stand in `table` until [`Walk::states`].
    states: Vec<State>,
    /// A row for each of the first states, a place in it for each channel: a step is found without a search.
    table: Vec<Made>,
}

/// How often a step of the table was made, and where it leads.
#[derive(Debug, Clone, Copy)]
struct Made {
    flow: f64,
    target: u32,
}

impl Walk {
    /// At the start, with a memory of `order` touches of so many channels.
    pub(super) fn new(channels: usize, order: usize) -> Self {
        let mut walk = Self { order, channels, known: HashMap::new(), states: Vec::new(), table: Vec::new() };
        walk.add(Vec::new());
        walk
    }

    /// Makes a step `flow` times; the state it leads to.
    pub(super) fn step(&mut self, state: usize, touch: Channel, flow: f64) -> usize {
        let place = state * self.channels + usize::from(touch);
        match self.table.get_mut(place) {
            Some(made) if made.target != NONE => {
                made.flow += flow;
                made.target as usize
            }
            Some(_) => {
                let target = self.after(state, touch);
                self.table[place] = Made { flow, target: target as u32 };
                target
            }
            None => self.searched(state, touch, flow),
        }
    }

    /// A step from a state that is not in the table.
    fn searched(&mut self, state: usize, touch: Channel, flow: f64) -> usize {
        let place = match self.states[state].steps.binary_search_by_key(&touch, |step| step.touch) {
            Ok(place) => place,
            Err(place) => {
                let target = self.after(state, touch);
                self.states[state].steps.insert(place, Step { touch, target, flow: 0.0 });
                place
            }
        };
        let step = &mut self.states[state].steps[place];
        step.flow += flow;
        step.target
    }

    /// Ends journeys in `state`.
    pub(super) fn end(&mut self, state: usize, counts: Counts) {
        let ended = &mut self.states[state].ended;
        ended.conversions += counts.conversions;
        ended.nulls += counts.nulls;
        ended.value += counts.value;
    }

    /// All states, the start first, with their steps by touch.
    pub(super) fn states(mut self) -> Vec<State> {
        for (state, row) in self.states.iter_mut().zip(self.table.chunks_exact(self.channels.max(1))) {
            let made = row.iter().enumerate().filter(|(_, made)| made.target != NONE);
            let step = |(touch, made): (usize, &Made)| Step {
                touch: touch as Channel,
                target: made.target as usize,
                flow: made.flow,
            };
            state.steps = made.map(step).collect();
        }
        self.states
    }

    /// The state after `touch` in `state`. Its memory is made and hashed once a distinct step, not once a touch.
    fn after(&mut self, state: usize, touch: Channel) -> usize {
        let mut memory = self.states[state].memory.clone();
        memory.push(touch);
        if memory.len() > self.order {
            memory.remove(0);
        }
        match self.known.get(&memory) {
            Some(&target) => target,
            None => self.add(memory),
        }
    }

    fn add(&mut self, memory: Vec<Channel>) -> usize {
        let state = self.states.len();
        // Rows stand in the order of states, so that once one has found no room, none may.
        let row = state * self.channels;
        if self.table.len() == row && row + self.channels <= TABLE {
            self.table.resize(row + self.channels, Made { flow: 0.0, target: NONE });
        }
        self.known.insert(memory.clone(), state);
        self.states.push(State { memory, ..State::default() });
        state
    }
}

const _: () = assert!(START == 0, "a walk adds the start first");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_found_in_the_table_and_by_search_are_the_same() {
        let walked = |channels: usize| {
            let (mut walk, mut state) = (Walk::new(channels, 2), START);
            for step in 0_usize..5_000 {
                state = walk.step(state, (step * step % 37 + step % 3) as Channel, 1.0 + (step % 5) as f64);
                if step % 11 == 0 {
                    walk.end(state, Counts { conversions: 1.0, value: 2.0, nulls: 0.5 });
                    state = START;
                }
            }
            walk.states().into_iter().map(|state| format!("{state:?}")).collect::<Vec<_>>()
        };
        // Where there are more channels, fewer states have room in the table, and at last none.
        let all = walked(39);
        assert!(all.len() * 39 < TABLE && all.len() > 100);
        assert_eq!(all, walked(TABLE / 20));
        assert_eq!(all, walked(TABLE + 1));
    }
}
