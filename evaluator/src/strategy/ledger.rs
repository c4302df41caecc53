//! One replica's part of a budget, or of a limit: what the database granted it and what it has set aside of that.
//!
//! Redeemed discounts and what recorded offers may still cost stand in the database (see [`super::owed`]). A grant covers
//! what a replica has offered and nobody has recorded yet, so that spent, owed and granted together never exceed the budget.
//! A replica asks for more before its grant is used up, and decides from memory.

/// Standard deviations kept free.
const MARGIN: f64 = 3.0;
/// How strongly spend ahead of time makes money dearer.
const GAIN: f64 = 8.0;
/// Share of the budget a replica keeps in hand beyond what it has set aside.
const IN_HAND: f64 = 0.02;

/// What is set aside: the sums over independent costs, each of which is its worst value or nothing.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Reserve {
    /// Expected cost.
    pub expected: f64,
    /// Variance of the cost.
    pub variance: f64,
    /// Cost if all is redeemed.
    pub worst: f64,
}

impl Reserve {
    /// Of one cost that is `worst` with probability expected/worst and else nothing.
    pub fn of(expected: f64, worst: f64) -> Self {
        Self { expected, variance: (expected * (worst - expected)).max(0.0), worst }
    }

    /// Adds what is set aside for something else.
    pub fn add(&mut self, other: Self) {
        self.expected += other.expected;
        self.variance += other.variance;
        self.worst += other.worst;
    }

    fn take_away(&mut self, other: Self) {
        self.expected = (self.expected - other.expected).max(0.0);
        self.variance = (self.variance - other.variance).max(0.0);
        self.worst = (self.worst - other.worst).max(0.0);
    }

    /// The amount: expected cost and three standard deviations, never more than all of it.
    pub fn amount(&self) -> f64 {
        (self.expected + MARGIN * self.variance.sqrt()).min(self.worst.max(self.expected))
    }
}

/// One replica's books of one account.
#[derive(Debug, Clone)]
pub struct Ledger {
    budget: i64,
    spent: i64,
    owed: i64,
    granted: f64,
    /// The moment of the server's clock at which the grant is over, microseconds since 1970.
    until: i64,
    pending: Reserve,
    /// Expected cost set aside since the last grant.
    lately: f64,
    /// The least grant under which an offer refused since the last one could have been made.
    needed: f64,
    /// Whether the last grant was all there was.
    exhausted: bool,
}

/// Whether an offer is covered, from the best answer to the worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Afford {
    /// It is.
    Yes,
    /// This replica's grant is used up.
    NotGranted,
    /// The budget is.
    Spent,
}

/// What a replica asks of the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ask {
    /// What it may have set aside by the time it is answered, minor units: granted in any case.
    pub committed: i64,
    /// The least that an offer it could not make needs granted in all; 0 where there was none.
    pub needed: i64,
    /// What it wants granted in all.
    pub wanted: i64,
    /// The moment of the server's clock, microseconds since 1970.
    pub at: i64,
    /// When the grant is over.
    pub until: i64,
}

/// What the database gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grant {
    /// Granted to this replica in all, minor units.
    pub amount: i64,
    /// Redeemed on the account.
    pub spent: i64,
    /// What recorded offers of the account may still cost.
    pub owed: i64,
}

/// What is granted of a `budget` of which `used` is spent or owed and `others` is granted to others: what is committed
/// already, and of what is left free no more than half, so that whoever asks next finds something too, or as much as an offer
/// needs.
pub fn granted(budget: i64, used: i64, others: i64, ask: Ask) -> i64 {
    let free = budget.saturating_sub(used).saturating_sub(others).saturating_sub(ask.committed).max(0);
    let needed = (ask.needed - ask.committed).clamp(0, free);
    ask.committed + (ask.wanted - ask.committed).clamp(0, (free - free / 2).max(needed))
}

impl Ledger {
    /// The books of an account with `budget`. Nothing is granted yet.
    pub fn new(budget: i64) -> Self {
        Self {
            budget,
            spent: 0,
            owed: 0,
            granted: 0.0,
            until: i64::MIN,
            pending: Reserve::default(),
            lately: 0.0,
            needed: 0.0,
            exhausted: false,
        }
    }

    /// The same books under another budget.
    #[must_use]
    pub fn with_budget(self, budget: i64) -> Self {
        Self { budget, exhausted: false, needed: 0.0, ..self }
    }

    /// Returns what all replicas have spent, as far as this one has been told.
    pub fn spent(&self) -> i64 {
        self.spent
    }

    /// Is told what all replicas have spent.
    pub fn tell_spent(&mut self, spent: i64) {
        self.spent = spent;
    }

    /// Asks for a grant until `until`, after releasing what was recorded or given up. Until the answer comes no more than
    /// the returned commitment is set aside.
    pub fn ask(&mut self, released: Reserve, at: i64, until: i64) -> Ask {
        let before = self.pending.amount();
        self.pending.take_away(released);
        let now = self.pending.amount();
        let in_hand = IN_HAND * self.budget as f64;
        let left = if at < self.until { self.granted - (before - now) } else { 0.0 };
        let committed = now.max(left.min(now + in_hand)).ceil();
        self.granted = committed;
        let more = (2.0 * self.lately).max(in_hand);
        let wanted = (committed + more).max(self.needed + more);
        let needed = self.needed.ceil() as i64;
        Ask { committed: committed as i64, needed, wanted: wanted.ceil() as i64, at, until }
    }

    /// Takes the grant asked for.
    pub fn take(&mut self, grant: Grant, until: i64) {
        // Less than a hundredth in hand is the end of it: asking again at every decision would bring no more.
        let least = 0.01 * IN_HAND * self.budget as f64;
        self.exhausted = (grant.amount as f64) < self.needed.max(self.pending.amount() + least);
        self.granted = grant.amount as f64;
        self.until = until;
        (self.spent, self.owed) = (grant.spent, grant.owed);
        (self.lately, self.needed) = (0.0, 0.0);
    }

    /// Whether asking for a larger grant may bring one.
    pub fn may_get_more(&self) -> bool {
        !self.exhausted
    }

    /// Whether an offer that costs `worst` if redeemed and `expected` on average is covered at a moment of the server's
    /// clock.
    pub fn affords(&mut self, expected: f64, worst: f64, now: i64) -> Afford {
        if self.spent as f64 + worst > self.budget as f64 {
            return Afford::Spent;
        }
        let mut with = self.pending;
        with.add(Reserve::of(expected, worst));
        let amount = with.amount();
        if amount <= self.granted && now < self.until {
            return Afford::Yes;
        }
        self.needed = self.needed.max(amount);
        Afford::NotGranted
    }

    /// Sets aside what an offer may cost.
    pub fn reserve(&mut self, reserve: Reserve) {
        self.pending.add(reserve);
        self.lately += reserve.expected;
    }

    /// What money is worth now: the plan's price, dearer where spend runs ahead of the window and cheaper where it lags
    /// (proportional feedback on the share used). `already` was used before the plan.
    pub fn price(&self, planned: f64, already: i64, window: Option<(i64, i64)>, at: i64) -> f64 {
        // A plan whose money was not short has no price to scale: it gets one when spend runs ahead.
        self.paced(planned, already, window, at) + 0.05 * self.ahead(already, window, at).max(0.0)
    }

    /// The planned price of what is counted here, paced alike: what was not short has none.
    pub fn paced(&self, planned: f64, already: i64, window: Option<(i64, i64)>, at: i64) -> f64 {
        planned * (GAIN * self.ahead(already, window, at)).clamp(-3.0, 3.0).exp()
    }

    /// By which share of the plan's part of the budget its spend runs ahead of the window; below 0 where it lags.
    fn ahead(&self, already: i64, window: Option<(i64, i64)>, at: i64) -> f64 {
        let ends = |(from, until): &(i64, i64)| until > from && *until < i64::MAX;
        let Some((from, until)) = window.filter(ends) else { return 0.0 };
        let elapsed = ((at - from) as f64 / (until - from) as f64).clamp(0.0, 1.0);
        let used = (self.spent + self.owed - already) as f64;
        used / ((self.budget - already) as f64).max(1.0) - elapsed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ledger(budget: i64) -> Ledger {
        let mut ledger = Ledger::new(budget);
        ledger.take(Grant { amount: budget, spent: 0, owed: 0 }, 1_000);
        ledger
    }

    #[test]
    fn what_is_set_aside_never_exceeds_the_grant_and_a_grant_ends() {
        let mut ledger = ledger(10_000);
        let mut made = 0;
        while ledger.affords(100.0, 500.0, 0) == Afford::Yes {
            ledger.reserve(Reserve::of(100.0, 500.0));
            made += 1;
        }
        // 100n + 3·200·√n ≤ 10 000 to n = 55: 9 950, and 10 090 at 56.
        assert_eq!(made, 55);
        assert_eq!(ledger.affords(100.0, 500.0, 0), Afford::NotGranted);
        ledger.ask(Reserve { expected: 5_500.0, variance: 55.0 * 40_000.0, worst: 27_500.0 }, 10, 2_000);
        ledger.take(Grant { amount: 5_000, spent: 0, owed: 5_000 }, 2_000);
        assert_eq!(ledger.affords(100.0, 500.0, 1_999), Afford::Yes);
        assert_eq!(ledger.affords(100.0, 500.0, 2_000), Afford::NotGranted, "others may have the grant now");
        ledger.tell_spent(9_700);
        assert_eq!(ledger.affords(1.0, 500.0, 0), Afford::Spent, "one redemption would break it");
    }

    #[test]
    fn half_of_what_is_free_is_granted_or_what_an_offer_needs() {
        let ask = |needed| Ask { committed: 100, needed, wanted: 5_000, at: 0, until: 1 };
        assert_eq!(granted(2_000, 500, 400, ask(0)), 600, "half of 1 000");
        assert_eq!(granted(2_000, 500, 400, ask(900)), 900);
        assert_eq!(granted(2_000, 500, 400, ask(3_000)), 1_100, "all there is");
        assert_eq!(granted(2_000, 1_900, 400, ask(900)), 100, "what is committed already");
    }

    #[test]
    fn a_few_offers_need_no_more_than_all_of_them_cost() {
        assert!((Reserve::of(30.0, 100.0).amount() - 100.0).abs() < 1e-9, "not 30 + 3·45.8");
    }

    /// While a grant is asked for, decisions go on: what they may set aside meanwhile is part of what is asked.
    #[test]
    fn nothing_beyond_the_commitment_is_set_aside_while_the_answer_is_awaited() {
        let mut ledger = ledger(10_000);
        ledger.reserve(Reserve::of(400.0, 400.0));
        let ask = ledger.ask(Reserve::default(), 10, 2_000);
        assert_eq!((ask.committed, ask.wanted), (600, 1_400), "what is set aside and a fiftieth in hand");
        assert_eq!(ledger.affords(200.0, 200.0, 10), Afford::Yes);
        assert_eq!(ledger.affords(201.0, 201.0, 10), Afford::NotGranted);
        // What was recorded is owed from then on: the commitment falls by as much.
        let ask = ledger.ask(Reserve::of(400.0, 400.0), 20, 2_000);
        assert_eq!(ask.committed, 200);
    }

    #[test]
    fn money_is_dearer_ahead_of_time_and_cheaper_behind_it() {
        let mut ledger = Ledger::new(2_000);
        ledger.take(Grant { amount: 0, spent: 1_400, owed: 100 }, 10);
        let price = |at: i64| ledger.price(1.0, 1_000, Some((0, 100)), at);
        assert!(price(10) > 2.0 && price(90) < 0.5 && (price(50) - 1.0).abs() < 1e-12);
        assert!((ledger.price(1.0, 0, None, 10) - 1.0).abs() < 1e-12);
    }
}
