//! Who learns from what and is tested on what.

use std::collections::HashSet;
use std::fmt;

use super::EvaluateError;
use super::log::{Log, LogError};
use crate::algorithm::Past;

/// Which of a person's items are held out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Protocol {
    /// Of people with three items or more, the last is the test and the one before it the validation.
    #[default]
    LeaveLastOut,
    /// Of people with three baskets or more, the new items of the last are the test, of the one before it
    /// the validation. A basket without new items is none.
    LastBasket,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            Self::LeaveLastOut => "leave-last-out",
            Self::LastBasket => "last-basket",
        })
    }
}

/// What is learnt from and what is to be found.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Fold {
    /// Everybody's items, oldest first, each once; with last-out each a visit of its own, else a basket a visit.
    pub histories: Vec<Vec<Past>>,
    /// Everybody's items to be found; empty for people not tested.
    pub targets: Vec<Vec<u32>>,
}

/// The two folds of an evaluation.
#[derive(Debug, Clone, PartialEq)]
pub struct Split {
    /// To choose parameters by: neither test nor validation items are learnt from.
    pub validation: Fold,
    /// To test with: validation items are learnt from.
    pub test: Fold,
    /// People in the log.
    pub users: usize,
    /// Items in the log.
    pub items: usize,
    /// Pairs of a person and an item.
    pub interactions: usize,
}

impl Split {
    /// Splits a log: a person's events in order of time, then of row; of repeats of an item the first.
    ///
    /// # Errors
    /// Nobody to test, or `last-basket` of a log without baskets.
    pub fn of(log: &Log, protocol: Protocol) -> Result<Self, EvaluateError> {
        if protocol == Protocol::LastBasket && !log.has_baskets {
            return Err(LogError::Column { missing: "basket", found: log.columns.join(", ") }.into());
        }
        let mut order: Vec<usize> = (0..log.events.len()).collect();
        order.sort_by_key(|&row| (log.events[row].user, log.events[row].time, row));
        let mut sequences: Vec<Vec<(u32, u32)>> = vec![Vec::new(); log.users.len()];
        let mut seen = HashSet::with_capacity(order.len());
        for row in order {
            let event = &log.events[row];
            if seen.insert((event.user, event.item)) {
                sequences[event.user as usize].push((event.item, event.basket));
            }
        }
        let mut split = Self {
            validation: Fold::default(),
            test: Fold::default(),
            users: log.users.len(),
            items: log.items.len(),
            interactions: seen.len(),
        };
        for sequence in sequences {
            split.add(sequence, protocol);
        }
        if split.test.targets.iter().all(Vec::is_empty) {
            let needed = match protocol {
                Protocol::LeaveLastOut => "three different items",
                Protocol::LastBasket => "three baskets with new items",
            };
            return Err(EvaluateError::NobodyToTest { protocol, needed });
        }
        Ok(split)
    }

    fn add(&mut self, sequence: Vec<(u32, u32)>, protocol: Protocol) {
        let (mut learnt, mut validation, mut test) = (Vec::new(), Vec::new(), Vec::new());
        let (before, last) = match protocol {
            Protocol::LeaveLastOut => (sequence.iter().rev().nth(1), sequence.last()),
            Protocol::LastBasket => {
                let last = sequence.last();
                (sequence.iter().rev().find(|x| last.is_some_and(|last| x.1 != last.1)), last)
            }
        };
        let (before, last) = (before.copied(), last.copied());
        let (mut step, mut basket) = (0, None);
        for entry in sequence {
            let apart = protocol == Protocol::LeaveLastOut || basket != Some(entry.1);
            step += u32::from(apart && basket.is_some());
            basket = Some(entry.1);
            let same = |part: Option<(u32, u32)>| match protocol {
                Protocol::LeaveLastOut => part == Some(entry),
                Protocol::LastBasket => part.is_some_and(|part| part.1 == entry.1),
            };
            let part = match () {
                () if same(last) => &mut test,
                () if same(before) => &mut validation,
                () => &mut learnt,
            };
            part.push(Past { item: entry.0, weight: 1.0, step });
        }
        // Fewer than three items or baskets: everything is learnt from.
        if learnt.is_empty() {
            learnt.append(&mut validation);
            learnt.append(&mut test);
        }
        let both = learnt.iter().chain(&validation).copied().collect();
        self.validation.histories.push(learnt);
        let items = |part: Vec<Past>| part.into_iter().map(|one| one.item).collect();
        self.validation.targets.push(items(validation));
        self.test.histories.push(both);
        self.test.targets.push(items(test));
    }
}
