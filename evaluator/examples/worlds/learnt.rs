//! Policies that learn from the log: the product, by its own library, and a T-learner with boosted trees.

use std::collections::{BTreeMap, HashMap, VecDeque};

use boost::{Matrix, Objective, Sample, Settings, Stopping, Trees};
use chassis::calendar::Calendar;
use evaluator::config::OutcomeWindows;
use evaluator::effect::log::{Answer, Decided, join};
use evaluator::effect::moment::with_moment;
use evaluator::effect::outcomes::Horizon;
use evaluator::effect::train::{Order, Outcome, train};
use evaluator::effect::{Model, NONE, fatigue};
use evaluator::strategy::choose::{pick, probabilities};
use evaluator::strategy::generate::{Brief, Funds, generate};
use evaluator::strategy::knapsack::{Candidate, solve_within};
use evaluator::strategy::ledger::{Afford, Grant, Ledger, Reserve};
use evaluator::strategy::plan::{self, Plan};
use evaluator::strategy::{optimism, terms, uniform};
use proto::common::v1::{Channel, EventKind, Offer};

use super::deals::{ARMS, Arm, CURRENCY, IDS, offers};
use super::shop::{Choice, Log, Policy, Visit};

/// Microseconds of a day.
const DAY: f64 = 86_400e6;
/// Day 0 of a shop, microseconds since 1970: a Monday.
const ZERO: i64 = 20_000 / 7 * 7 * 86_400_000_000 + 4 * 86_400_000_000;

/// A moment of the shop as the product counts.
pub(crate) fn micros(at: f64) -> i64 {
    ZERO + (at * DAY) as i64
}

fn unit(person: usize) -> String {
    format!("person-{person:06}")
}

fn channel(app: bool) -> Channel {
    if app { Channel::App } else { Channel::Web }
}

/// Outcome window of purchases, microseconds: the product's default.
fn window() -> i64 {
    OutcomeWindows::default().of_target("purchase")
}

/// What the shop tells the product until `now`: decisions, and purchases and redemptions, of which not all name theirs.
/// Returns the decisions whose outcome window is over, all decisions, and how long nearly all redemptions took.
pub(crate) fn joined(log: &Log, now: i64) -> (Vec<Outcome>, Vec<Outcome>, i64) {
    let decided: Vec<Decided> = log
        .decisions
        .iter()
        .enumerate()
        .map(|(number, made)| Decided {
            decision_id: number.to_string(),
            unit: unit(made.person),
            at: micros(made.moment.at),
            offer_id: made.choice.arm.map_or(String::new(), |offer| IDS[offer].into()),
            propensity: made.choice.propensity,
            channel: channel(made.moment.app),
            features: made.features.clone(),
            ..Decided::default()
        })
        .collect();
    let (mut answers, mut delays) = (Vec::new(), Vec::new());
    for (number, bought) in log.purchases.iter().enumerate() {
        let at = micros(bought.at);
        let answer = |kind| Answer {
            decision_id: bought.decision.map_or(String::new(), |decision| decision.to_string()),
            line: (unit(bought.person), number.to_string(), "basket".into()),
            kind,
            at,
            currency: CURRENCY.into(),
            ..Answer::default()
        };
        let paid = (bought.sale.basket - bought.sale.discount) as i64;
        let sale = Some((paid, Some(bought.sale.cost() as i64), 0));
        answers.push(Answer { sale, ..answer(EventKind::Purchase) });
        let Some(offer) = bought.redeems else { continue };
        answers.push(Answer {
            discount: Some(bought.sale.discount as i64),
            offer_id: IDS[offer].into(),
            ..answer(EventKind::OfferRedeemed)
        });
        delays.extend(bought.decision.map(|decision| at - decided[decision].at));
    }
    delays.sort_unstable();
    let late = delays.get(delays.len() * 99 / 100).copied().unwrap_or(0);
    let horizon = Horizon { window: window(), at: now };
    let (mut all, _) = join(decided, answers, horizon, EventKind::Purchase, &plan::by_id(&offers()), false);
    fatigue::add(&mut all);
    let over = all.iter().filter(|row| !row.open).cloned().collect();
    (over, all, (late * 3 / 2).max(3_600_000_000))
}

/// Money of one policy: the product's own ledger of one replica, to which all is granted that is neither spent nor owed.
struct Money {
    ledger: Ledger,
    budget: i64,
    spent: f64,
    /// Offers that may still be redeemed, and until when.
    open: VecDeque<(i64, Reserve)>,
    owed: Reserve,
    /// How long an offer is owed, microseconds.
    lasts: i64,
}

impl Money {
    fn new(budget: i64, lasts: i64) -> Self {
        let (open, owed) = (VecDeque::new(), Reserve::default());
        let mut made = Self { ledger: Ledger::new(budget), budget, spent: 0.0, open, owed, lasts };
        made.come_to(i64::MIN);
        made
    }

    /// Forgets what is owed no more, and grants what is free.
    fn come_to(&mut self, at: i64) {
        while self.open.pop_front_if(|(until, _)| *until <= at).is_some() {}
        self.owed = Reserve::default();
        self.open.iter().for_each(|(_, reserve)| self.owed.add(*reserve));
        let (spent, owed) = (self.spent as i64, self.owed.amount() as i64);
        let amount = (self.budget - spent - owed).max(0);
        self.ledger.take(Grant { amount, spent, owed }, i64::MAX);
    }

    /// An offer is made and recorded.
    fn offer(&mut self, expected: f64, worst: f64, at: i64) {
        self.open.push_back((at + self.lasts, Reserve::of(expected, worst)));
    }
}

/// The product with a plan.
pub(crate) struct Product {
    model: Model,
    plan: Plan,
    money: Money,
    given: HashMap<usize, Vec<i64>>,
}

/// What the product made of a log.
pub(crate) struct Made {
    /// The policy.
    pub(crate) policy: Product,
    /// Seconds the effect training took.
    pub(crate) seconds: f64,
    /// Profit the plan promises, and its interval.
    pub(crate) promise: (f64, f64, f64),
    /// Share of the promise that is expected to be kept, and its standard error.
    pub(crate) kept: (f64, f64),
    /// What an offer, the purchases it brings and its discount change in the next days.
    pub(crate) later: [f64; 3],
    /// Figures of the training.
    pub(crate) metrics: BTreeMap<String, f64>,
}

impl Product {
    /// Trains and plans by the product's defaults; why not, where there is no plan.
    pub(crate) fn make(log: &Log, budget: f64, (from, until): (f64, f64), seed: u64) -> Result<Made, String> {
        let (outcomes, all, lasts) = joined(log, micros(from));
        let order = Order {
            target: "purchase".into(),
            currency: CURRENCY.into(),
            features: Vec::new(),
            seed,
            outcome_window: window(),
        };
        let started = std::time::Instant::now();
        let trained = train(&order, &outcomes, &offers()).map_err(|error| error.to_string())?;
        let seconds = started.elapsed().as_secs_f64();
        let brief = Brief {
            objective: plan::Objective::Profit,
            budget: budget as i64,
            currency: CURRENCY.into(),
            offers: offers(),
            channels: Vec::new(),
            segments: Vec::new(),
            window: Some((micros(from), micros(until))),
            at: micros(from),
            holdout: 0.02,
            exploration: 0.02,
            daily_cap: 0,
            limits: Vec::new(),
            risk_aversion: 0.0,
            seed,
            funds: Funds::default(),
        };
        let plan =
            generate("plan", brief, "model", &trained.model, &all).map_err(|error| error.to_string())?;
        let promised = plan.expected.profit.interval();
        let kept = optimism::kept(&plan, &trained.model, &all, &plan.prices());
        let mut given: HashMap<usize, Vec<i64>> = HashMap::new();
        for made in log.decisions.iter().filter(|made| made.choice.arm.is_some()) {
            given.entry(made.person).or_default().push(micros(made.moment.at));
        }
        let money = Money::new(budget as i64, lasts);
        Ok(Made {
            promise: (promised.estimate, promised.lower, promised.upper),
            kept: (kept.mean, kept.error()),
            later: trained.model.later.coefficients(),
            policy: Self { model: trained.model, plan, money, given },
            seconds,
            metrics: trained.metrics,
        })
    }
}

impl Policy for Product {
    fn decide(&mut self, visit: &Visit<'_>) -> Choice {
        let at = micros(visit.moment.at);
        let channel = channel(visit.moment.app);
        let unit = unit(visit.number);
        if uniform::held_out(&unit, self.plan.holdout) {
            return Choice { arm: None, propensity: 1.0 };
        }
        let mut features = with_moment(visit.person.features(visit.moment.at), channel, Calendar::UTC, at);
        let lately = self
            .given
            .get(&visit.number)
            .map_or(0, |given| given.iter().filter(|made| **made >= at - fatigue::REMEMBERED).count());
        features.entry(fatigue::RECENT.to_owned()).or_insert(lately as f64);
        let row = self.model.row(&features);
        self.money.come_to(at);
        let ledger = &mut self.money.ledger;
        let mut prices = self.plan.prices();
        prices.money = ledger.price(prices.money, 0, self.plan.window, at);
        let mut options = self.plan.options(&self.model, &row, (channel, at), &prices, |_| true);
        let worst = |offer: usize| self.plan.worst(&self.plan.offers[offer]);
        options.keep(|offer, cost, _| ledger.affords(cost.mean, worst(offer), at) == Afford::Yes);
        let chances = probabilities(options.beliefs(), self.plan.exploration);
        let arm = pick(&chances, visit.luck[0]);
        let Some(chosen) = arm.checked_sub(1) else { return Choice { arm: None, propensity: chances[0] } };
        let offer = options.offers[chosen];
        self.money.offer(options.costs[chosen].mean, worst(offer), at);
        self.given.entry(visit.number).or_default().push(at);
        let id = &self.plan.offers[offer].offer_id;
        Choice { arm: IDS.iter().position(|other| other == id), propensity: chances[arm] }
    }

    fn booked(&mut self, discount: f64, _: f64) {
        self.money.spent += discount;
    }
}

/// A T-learner: for every arm boosted trees of profit and of discount, on the product's own log.
pub(crate) struct TLearner {
    names: Vec<String>,
    profit: Vec<Trees>,
    discount: Vec<Trees>,
    money: Money,
    price: f64,
    window: (i64, i64),
    basket: f64,
    given: HashMap<usize, Vec<i64>>,
}

impl TLearner {
    /// Learns, and prices the budget by the people of the log.
    pub(crate) fn make(log: &Log, budget: f64, (from, until): (f64, f64), seed: u64) -> Result<Self, String> {
        let (outcomes, _, lasts) = joined(log, micros(from));
        let mut names: Vec<String> = outcomes.iter().flat_map(|row| row.features.keys().cloned()).collect();
        names.sort();
        names.dedup();
        let rows: Vec<Vec<f64>> = outcomes.iter().map(|row| row_of(&names, &row.features)).collect();
        let fit = |arm: Arm, of: fn(&Outcome) -> f64| {
            let id = arm.map_or(NONE, |offer| IDS[offer]);
            let mine: Vec<usize> = (0..outcomes.len()).filter(|&row| outcomes[row].action == id).collect();
            let values = mine.iter().flat_map(|&row| rows[row].iter().copied()).collect();
            let features = Matrix::new(values, mine.len(), names.len()).map_err(|error| error.to_string())?;
            let targets: Vec<f64> = mine.iter().map(|&row| of(&outcomes[row])).collect();
            let settings = Settings {
                rounds: 300,
                learning_rate: 0.05,
                leaves: 8,
                depth: 4,
                leaf_rows: 50,
                stopping: Some(Stopping { share: 0.2, patience: 20 }),
                seed,
                ..Settings::new(Objective::Squared)
            };
            boost::trees::fit(&Sample::new(&features, &targets), &settings).map_err(|error| error.to_string())
        };
        let profit = ARMS.iter().map(|&arm| fit(arm, |row| row.profit)).collect::<Result<Vec<_>, _>>()?;
        let discount = ARMS.iter().map(|&arm| fit(arm, |row| row.spend)).collect::<Result<Vec<_>, _>>()?;
        let bought: f64 = outcomes.iter().map(|row| row.bought).sum();
        let mut found = Self {
            names,
            profit,
            discount,
            money: Money::new(budget as i64, lasts),
            price: 0.0,
            window: (micros(from), micros(until)),
            basket: outcomes.iter().map(|row| row.revenue + row.spend).sum::<f64>() / bought.max(1.0),
            given: HashMap::new(),
        };
        // Every decision of the log stands for as many of the window.
        let (first, last) = (outcomes[0].at, outcomes[outcomes.len() - 1].at);
        let share = (micros(until) - micros(from)) as f64 / (last - first) as f64;
        let candidates: Vec<Vec<Candidate>> = rows
            .iter()
            .map(|row| {
                let candidate = |(value, cost)| Candidate { value, cost, uses: [None; 2] };
                found.judged(row).into_iter().map(candidate).collect()
            })
            .collect();
        let Ok((sum, _)) = solve_within(candidates.as_slice(), budget / share, &[], &mut |_| ());
        found.price = sum.shadow_price;
        for made in log.decisions.iter().filter(|made| made.choice.arm.is_some()) {
            found.given.entry(made.person).or_default().push(micros(made.moment.at));
        }
        Ok(found)
    }

    /// Value and cost of every offer.
    fn judged(&self, row: &[f64]) -> Vec<(f64, f64)> {
        let control = self.profit[0].predict(row);
        let of =
            |arm: usize| (self.profit[arm].predict(row) - control, self.discount[arm].predict(row).max(0.0));
        (1..ARMS.len()).map(of).collect()
    }
}

fn row_of(names: &[String], features: &BTreeMap<String, f64>) -> Vec<f64> {
    names.iter().map(|name| features.get(name).copied().unwrap_or(f64::NAN)).collect()
}

impl Policy for TLearner {
    fn decide(&mut self, visit: &Visit<'_>) -> Choice {
        let at = micros(visit.moment.at);
        let channel = channel(visit.moment.app);
        let mut features = with_moment(visit.person.features(visit.moment.at), channel, Calendar::UTC, at);
        let lately = self
            .given
            .get(&visit.number)
            .map_or(0, |given| given.iter().filter(|made| **made >= at - fatigue::REMEMBERED).count());
        if lately > 0 {
            features.insert(fatigue::RECENT.to_owned(), lately as f64);
        }
        let judged = self.judged(&row_of(&self.names, &features));
        let all: Vec<Offer> = offers();
        self.money.come_to(at);
        let ledger = &mut self.money.ledger;
        let price = ledger.price(self.price, 0, Some(self.window), at);
        let mut best = (0, 0.0);
        for (offer, (value, cost)) in judged.iter().enumerate() {
            let worst = terms::worst(&all[offer], self.basket);
            if value - price * cost > best.1 && ledger.affords(*cost, worst, at) == Afford::Yes {
                best = (offer + 1, value - price * cost);
            }
        }
        if let Some(offer) = best.0.checked_sub(1) {
            let worst = terms::worst(&all[offer], self.basket);
            self.money.offer(judged[offer].1, worst, at);
            self.given.entry(visit.number).or_default().push(at);
        }
        Choice { arm: ARMS[best.0], propensity: 1.0 }
    }

    fn booked(&mut self, discount: f64, _: f64) {
        self.money.spent += discount;
    }
}
