//! The treatments of one person that can be best at some price.

use super::Candidate;

/// A step on a person's hull, from one treatment (or none) to the next dearer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Step {
    pub(super) to: usize,
    pub(super) value: f64,
    pub(super) cost: f64,
}

impl Step {
    pub(super) fn slope(&self) -> f64 {
        if self.cost > 0.0 { self.value / self.cost } else { f64::MAX }
    }
}

/// The hull's steps by falling slope.
pub(super) fn hull(person: &[Candidate], steps: &mut Vec<Step>, order: &mut Vec<usize>) {
    steps.clear();
    order.clear();
    order.extend((0..person.len()).filter(|&i| person[i].value > 0.0));
    order.sort_by(|&a, &b| {
        let (a, b) = (&person[a], &person[b]);
        a.cost.total_cmp(&b.cost).then(b.value.total_cmp(&a.value))
    });
    let (mut value, mut cost) = (0.0, 0.0);
    for &to in order.iter() {
        let candidate = person[to];
        if candidate.value <= value {
            continue;
        }
        let mut step = Step { to, value: candidate.value - value, cost: candidate.cost - cost };
        // A step steeper than the one before makes the point between them useless.
        while let Some(before) = steps.last().copied()
            && step.slope() >= before.slope()
        {
            step = Step { to, value: step.value + before.value, cost: step.cost + before.cost };
            steps.pop();
        }
        steps.push(step);
        (value, cost) = (candidate.value, candidate.cost);
    }
}
