//! How one deadline is shared among the stages.

use std::time::Duration;

use chassis::deadline::Deadline;

/// Kept back of the whole for recording the decision and sending the answer.
const RESERVE: Duration = Duration::from_millis(40);
/// Kept back of the whole for sending the answer once the decision is recorded.
const SEND: Duration = Duration::from_millis(5);
/// Share of what is left that reading the gateway's own database may take.
const LOOK_UP: f64 = 0.25;
/// Share of what is left that choosing goods and offer may take.
const CHOOSE: f64 = 0.5;
/// Share of what is left then that copy may take.
const COPY: f64 = 0.85;

/// The shares of one call.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    total: Duration,
    deadline: Deadline,
}

impl Plan {
    /// A plan for `total` from now.
    pub fn new(total: Duration) -> Self {
        Self { total, deadline: Deadline::after(total) }
    }

    /// The whole budget.
    pub fn total(&self) -> Duration {
        self.total
    }

    /// When the answer must be out.
    pub fn deadline(&self) -> Deadline {
        self.deadline
    }

    /// Time that reading what the gateway itself knows of the person may take from now on.
    pub fn look_up(&self) -> Duration {
        self.spendable().mul_f64(LOOK_UP)
    }

    /// Time that recording the decision may take from now on.
    pub fn record(&self) -> Duration {
        // What is kept back for sending the answer: a fortieth, at most 5 ms.
        self.deadline.remaining().saturating_sub(SEND.min(self.total / 40))
    }

    /// What choosing goods and offer may take from now on.
    pub fn choose(&self) -> Duration {
        self.spendable().mul_f64(CHOOSE)
    }

    /// What writing copy may take from now on.
    pub fn copy(&self) -> Duration {
        self.spendable().mul_f64(COPY)
    }

    /// What the forecast may take from now on.
    pub fn forecast(&self) -> Duration {
        self.spendable()
    }

    fn spendable(&self) -> Duration {
        // A short deadline keeps back less: a fifth at most.
        self.deadline.remaining().saturating_sub(RESERVE.min(self.total / 5))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_never_promise_more_than_there_is() {
        for total in [5, 50, 800, 30_000].map(Duration::from_millis) {
            let plan = Plan::new(total);
            assert!(plan.choose() < plan.copy() && plan.copy() < plan.forecast());
            assert!(plan.forecast() <= total.mul_f64(0.999), "{total:?}");
            assert!(plan.forecast() >= total.mul_f64(0.75), "{total:?}");
        }
    }

    #[test]
    fn a_spent_deadline_leaves_nothing() {
        assert_eq!(Plan::new(Duration::ZERO).choose(), Duration::ZERO);
    }
}
