//! From a model and the people known to strategies and a plan.

use std::collections::BTreeSet;

use proto::common::v1::{Channel, Offer};

use super::describe::describe;
use super::limit::Limit;
use super::people::{candidates, people};
use super::plan::{Expected, Kind, Objective, Plan, SEGMENTS};
use super::{knapsack, optimism, refuse, terms};
use crate::effect::Model;
use crate::effect::train::Outcome;
use crate::error::{Error, Result};

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
    /// The budget account.
    pub funds: Funds,
}

/// A plan's budget account as it stands when the plan is made.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Funds {
    /// Its id; empty: one of the plan's own.
    pub account_id: String,
    /// Spent and owed already, minor units.
    pub already: i64,
    /// Value of an ordinary order, minor units, where it was told.
    pub usual_order: Option<i64>,
}

/// Budgets at which the frontier is told, as shares of the budget.
const FRONTIER: [f64; 6] = [0.25, 0.5, 0.75, 1.25, 1.5, 2.0];

/// Makes a plan named `id` by `model`.
pub fn generate(id: &str, brief: Brief, model_version: &str, model: &Model, log: &[Outcome]) -> Result<Plan> {
    let left = brief.budget - brief.funds.already;
    if left <= 0 {
        return Err(refuse::used_up(&brief));
    }
    let offers = sound(&brief, model)?;
    let people = people(&brief, model, log, &offers);
    if people.is_empty() {
        let text = "the log holds nobody to plan for in these channels: record decisions first";
        return Err(Error::precondition("NOBODY_KNOWN", text));
    }
    let mut bases: Vec<f64> = people.iter().map(|person| person.base).collect();
    bases.sort_by(f64::total_cmp);
    let thresholds = [bases[bases.len() / 3], bases[2 * bases.len() / 3]];
    let mut plan = Plan {
        id: id.to_owned(),
        kind: Kind::Targeted,
        account_id: brief.funds.account_id.clone(),
        already: brief.funds.already,
        usual_order: brief.funds.usual_order.map_or(model.basket, |order| order as f64),
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
    let budget = left as f64 / treated;
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
            (share * left as f64, other.primal * treated)
        })
        .chain([(left as f64, sum.primal * treated)])
        .collect();
    plan.frontier.sort_by(|a, b| a.0.total_cmp(&b.0));
    let kept = optimism::kept(&plan, model, log, &plan.prices());
    describe(&mut plan, model, &people, &chosen, log, treated, kept);
    let chosen: BTreeSet<usize> = chosen.into_iter().flatten().collect();
    let cheapest = chosen.iter().map(|offer| plan.worst(&plan.offers[*offer])).min_by(f64::total_cmp);
    match cheapest {
        None => Err(refuse::nothing_chosen(&plan, model, &people, &candidates, treated, log)),
        Some(cost) if cost > left as f64 => Err(refuse::budget_too_small(&plan, cost)),
        Some(_) => Ok(plan),
    }
}

/// The offers that are valid at some moment of the window; an error where none is.
pub(super) fn valid_in_window(brief: &Brief) -> Result<Vec<Offer>> {
    let until = brief.window.map_or(brief.at, |(_, until)| until);
    let micros = |at: &pbjson_types::Timestamp| at.seconds.saturating_mul(1_000_000);
    let over = |offer: &Offer| offer.ends_at.as_ref().is_some_and(|end| micros(end) <= brief.at);
    let late = |offer: &Offer| offer.starts_at.as_ref().is_some_and(|at| micros(at) > until.max(brief.at));
    let (expired, valid): (Vec<&Offer>, Vec<&Offer>) =
        brief.offers.iter().partition(|offer| over(offer) || late(offer));
    if valid.is_empty() {
        let expired: Vec<&str> = expired.iter().map(|offer| offer.offer_id.as_str()).collect();
        let text = format!("no offer is valid in the window; expired or not begun: {}", expired.join(", "));
        return Err(Error::precondition("OFFERS_EXPIRED", text));
    }
    Ok(valid.into_iter().cloned().collect())
}

/// The offers that can be planned with; says why where none can.
fn sound(brief: &Brief, model: &Model) -> Result<Vec<Offer>> {
    let (dear, sound): (Vec<Offer>, Vec<Offer>) =
        valid_in_window(brief)?.into_iter().partition(|offer| terms::depth(offer, model.basket) >= 1.0);
    if sound.is_empty() {
        let dear: Vec<&str> = dear.iter().map(|offer| offer.offer_id.as_str()).collect();
        let text = format!("these give away the whole purchase and cannot return it: {}", dear.join(", "));
        return Err(Error::precondition("OFFER_CANNOT_PAY", text));
    }
    Ok(sound)
}

/// Names of all audiences.
pub fn segments() -> [&'static str; 3] {
    SEGMENTS
}
