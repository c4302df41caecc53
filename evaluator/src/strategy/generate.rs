//! From a model and the people known to strategies and a plan.

use proto::common::v1::{Channel, Offer};

use super::describe::describe;
use super::limit::Limit;
use super::people::{candidates, people};
use super::plan::{Expected, Objective, Plan, SEGMENTS};
use super::{knapsack, optimism, terms};
use crate::effect::Model;
use crate::effect::train::Outcome;
use crate::error::{Error, Result};
use crate::metric::fact::DAY;

/// What is asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Brief {
    /// What it is to achieve.
    pub objective: Objective,
    /// What it may cost, minor units; above 0.
    pub budget: i64,
    /// Currency of the budget.
    pub currency: String,
    /// The offers.
    pub offers: Vec<Offer>,
    /// Channels; empty: all.
    pub channels: Vec<Channel>,
    /// Audiences; empty: all.
    pub segments: Vec<String>,
    /// Window, microseconds since 1970.
    pub window: Option<(i64, i64)>,
    /// The moment planned for.
    pub at: i64,
    /// Share of people who never see an offer.
    pub holdout: f64,
    /// Share of decisions made uniformly.
    pub exploration: f64,
    /// Most offers a person and channel and day.
    pub daily_cap: u32,
    /// What it may not exceed beside the budget, prices still unknown.
    pub limits: Vec<Limit>,
    /// Standard errors taken off each value.
    pub risk_aversion: f64,
    /// The seed.
    pub seed: u64,
}

/// Budgets at which the frontier is told, as shares of the budget.
const FRONTIER: [f64; 6] = [0.25, 0.5, 0.75, 1.25, 1.5, 2.0];
/// Least time a redemption is given, microseconds: it is told later than it happens.
const LEAST_REDEMPTION: i64 = 3_600_000_000;

/// Makes a plan named `id` by `model`. `delays` are the times redemptions took, microseconds.
pub fn generate(
    id: &str,
    brief: Brief,
    model_version: &str,
    model: &Model,
    log: &[Outcome],
    delays: &mut [i64],
) -> Result<Plan> {
    let offers = sound(&brief, model)?;
    let people = people(&brief, model, log, &offers);
    if people.is_empty() {
        let text = "the log holds nobody to plan for in these channels: record decisions first";
        return Err(Error::precondition("NOBODY_KNOWN", text));
    }
    let mut bases: Vec<f64> = people.iter().map(|person| person.base).collect();
    bases.sort_by(f64::total_cmp);
    let thresholds = [bases[bases.len() / 3], bases[2 * bases.len() / 3]];
    delays.sort_unstable();
    let late = delays.get(delays.len().saturating_sub(1).min(delays.len() * 99 / 100)).copied();
    let mut plan = Plan {
        id: id.to_owned(),
        model_version: model_version.to_owned(),
        objective: brief.objective,
        budget: brief.budget,
        currency: brief.currency.clone(),
        offers,
        channels: brief.channels.iter().map(|channel| i32::from(*channel)).collect(),
        segments: brief.segments.clone(),
        thresholds,
        window: brief.window,
        holdout: brief.holdout,
        exploration: brief.exploration,
        daily_cap: brief.daily_cap,
        limits: brief.limits.clone(),
        risk_aversion: brief.risk_aversion,
        shadow_price: 0.0,
        redemption: late.map_or(DAY, |late| (late.max(0) * 3 / 2).max(LEAST_REDEMPTION)),
        expected: Expected::default(),
        decisions: people.iter().map(|person| person.visits).sum(),
        gap: 0.0,
        frontier: Vec::new(),
        strategies: Vec::new(),
        created_at: brief.at,
        seed: brief.seed,
    };
    let candidates = candidates(&plan, &people);
    let treated = 1.0 - brief.holdout;
    let budget = brief.budget as f64 / treated;
    let limits: Vec<f64> = brief.limits.iter().map(|limit| limit.most as f64 / treated).collect();
    let mut chosen = Vec::with_capacity(people.len());
    let Ok((sum, prices)) =
        knapsack::solve_within(candidates.as_slice(), budget, &limits, &mut |choice| chosen.push(choice));
    plan.limits.iter_mut().zip(prices).for_each(|(limit, price)| limit.price = price);
    plan.shadow_price = sum.shadow_price;
    plan.gap = sum.gap();
    plan.frontier = FRONTIER
        .iter()
        .map(|share| {
            let Ok((other, _)) =
                knapsack::solve_within(candidates.as_slice(), share * budget, &limits, &mut |_| ());
            (share * brief.budget as f64, other.primal * treated)
        })
        .chain([(brief.budget as f64, sum.primal * treated)])
        .collect();
    plan.frontier.sort_by(|a, b| a.0.total_cmp(&b.0));
    let kept = optimism::kept(&plan, model, log, &plan.prices());
    describe(&mut plan, model, &people, &chosen, log, treated, kept);
    if plan.strategies.is_empty() {
        let text = "no offer is expected to bring more than it costs for anybody; nothing is proposed";
        return Err(Error::precondition("NO_OFFER_PAYS", text));
    }
    Ok(plan)
}

/// The offers that can be planned with; says why where none can.
fn sound(brief: &Brief, model: &Model) -> Result<Vec<Offer>> {
    let until = brief.window.map_or(brief.at, |(_, until)| until);
    let mut expired = Vec::new();
    let mut dear = Vec::new();
    let mut sound = Vec::new();
    for offer in &brief.offers {
        let over =
            offer.ends_at.as_ref().is_some_and(|end| end.seconds.saturating_mul(1_000_000) <= brief.at);
        let late = offer
            .starts_at
            .as_ref()
            .is_some_and(|s| s.seconds.saturating_mul(1_000_000) > until.max(brief.at));
        if over || late {
            expired.push(offer.offer_id.clone());
        } else if terms::depth(offer, model.basket) >= 1.0 {
            dear.push(offer.offer_id.clone());
        } else {
            sound.push(offer.clone());
        }
    }
    if sound.is_empty() {
        if dear.is_empty() {
            let text =
                format!("no offer is valid in the window; expired or not begun: {}", expired.join(", "));
            return Err(Error::precondition("OFFERS_EXPIRED", text));
        }
        let text = format!("these give away the whole purchase and cannot return it: {}", dear.join(", "));
        return Err(Error::precondition("OFFER_CANNOT_PAY", text));
    }
    Ok(sound)
}

/// Names of all audiences.
pub fn segments() -> [&'static str; 3] {
    SEGMENTS
}
