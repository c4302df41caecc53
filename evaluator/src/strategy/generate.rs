//! From a model and the people known to strategies and a plan.

use std::collections::{BTreeMap, HashMap};

use proto::common::v1::{Channel, Offer};
use rayon::prelude::*;

use super::displace;
use super::knapsack::{self, Candidate};
use super::plan::{Expected, Objective, Plan, SEGMENTS, Strategy};
use super::terms;
use crate::effect::model::{Arm, Estimate};
use crate::effect::train::Outcome;
use crate::effect::{Model, NONE, Prediction};
use crate::error::{Error, Result};
use crate::metric::fact::DAY;
use crate::stats::{Interval, normal};

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
    /// Standard errors taken off each value.
    pub risk_aversion: f64,
    /// The seed.
    pub seed: u64,
}

/// Budgets at which the frontier is told, as shares of the budget.
const FRONTIER: [f64; 6] = [0.25, 0.5, 0.75, 1.25, 1.5, 2.0];
/// Least time a redemption is given, microseconds.
const LEAST_REDEMPTION: i64 = 60_000_000;

/// A person as the log knows them.
struct Person {
    channel: Channel,
    visits: f64,
    base: f64,
    predictions: Vec<Prediction>,
}

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
    let mut chosen = Vec::with_capacity(people.len());
    let Ok(sum) = knapsack::solve(candidates.as_slice(), budget, &mut |choice| chosen.push(choice));
    plan.shadow_price = sum.shadow_price;
    plan.gap = sum.gap();
    plan.frontier = FRONTIER
        .iter()
        .map(|share| {
            let Ok(other) = knapsack::solve(candidates.as_slice(), share * budget, &mut |_| ());
            (share * brief.budget as f64, other.primal * treated)
        })
        .chain([(brief.budget as f64, sum.primal * treated)])
        .collect();
    plan.frontier.sort_by(|a, b| a.0.total_cmp(&b.0));
    describe(&mut plan, model, &people, &chosen, log, treated);
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

/// Everybody the log knows in the channels asked for, as last seen.
fn people(brief: &Brief, model: &Model, log: &[Outcome], offers: &[Offer]) -> Vec<Person> {
    let mut last: HashMap<&str, (&Outcome, f64)> = HashMap::new();
    let suits = |row: &&Outcome| {
        brief.channels.is_empty()
            || row.channel == Channel::Unspecified
            || brief.channels.contains(&row.channel)
    };
    let (mut first_at, mut last_at) = (i64::MAX, i64::MIN);
    for row in log.iter().filter(suits) {
        first_at = first_at.min(row.at);
        last_at = last_at.max(row.at);
        let entry = last.entry(&row.unit).or_insert((row, 0.0));
        entry.0 = row;
        entry.1 += 1.0;
    }
    // Traffic goes on as it was: visits a day of the log, for the days of the window.
    let days = |micros: i64| (micros as f64 / DAY as f64).max(1.0);
    let factor = match brief.window {
        Some((from, until)) if last_at > i64::MIN => days(until - from) / days(last_at - first_at),
        _ => 1.0,
    };
    let mut units: Vec<(&str, (&Outcome, f64))> = last.into_iter().collect();
    units.sort_by_key(|(unit, _)| *unit);
    let person = |(_, (row, visits)): (&str, (&Outcome, f64))| {
        let features = model.row(&row.features);
        let all = model.predict_all(&features);
        let predictions = offers.iter().map(|offer| model.among(&all, Some(offer))).collect();
        let base = model.base(&features).mean;
        Person { channel: row.channel, visits: visits * factor, base, predictions }
    };
    units.into_par_iter().map(person).collect()
}

/// Each person's offers as the knapsack takes them.
fn candidates(plan: &Plan, people: &[Person]) -> Vec<Vec<Candidate>> {
    let of = |person: &Person| {
        let outside =
            !plan.segments.is_empty() && !plan.segments.iter().any(|name| name == plan.segment(person.base));
        let value = |prediction: &Prediction| {
            let value = plan.belief(prediction, 0.0).mean;
            Candidate {
                value: if outside { -1.0 } else { value * person.visits },
                cost: prediction.spend.mean.max(0.0) * person.visits,
                ..Candidate::default()
            }
        };
        person.predictions.iter().map(value).collect()
    };
    people.iter().map(of).collect()
}

/// Sums over the audience of one strategy.
#[derive(Default)]
struct Audience {
    people: u64,
    visits: f64,
    sums: [f64; 3],
    errors: [f64; 3],
    base: f64,
    uplift: f64,
    anyway: f64,
    discount_anyway: f64,
}

fn describe(
    plan: &mut Plan,
    model: &Model,
    people: &[Person],
    chosen: &[Option<usize>],
    log: &[Outcome],
    treated: f64,
) {
    let mut audiences: BTreeMap<(usize, &'static str, i32), Audience> = BTreeMap::new();
    for (person, choice) in people.iter().zip(chosen) {
        let Some(offer) = *choice else { continue };
        let prediction = &person.predictions[offer];
        let key = (offer, plan.segment(person.base), i32::from(person.channel));
        let audience = audiences.entry(key).or_default();
        let visits = person.visits * treated;
        audience.people += 1;
        audience.visits += visits;
        for (at, estimate) in [prediction.uplift, prediction.profit, prediction.spend].iter().enumerate() {
            audience.sums[at] += visits * estimate.mean;
            // Errors of people alike are one error: they add up, they do not average out.
            audience.errors[at] += visits * estimate.error();
        }
        audience.base += visits * person.base;
        audience.uplift += visits * prediction.uplift.mean;
        // Who buys with the offer would mostly have bought without it: they get the discount all the same.
        let bought = (person.base + prediction.uplift.mean).max(1e-9);
        let anyway = (person.base / bought).clamp(0.0, 1.0);
        audience.anyway += visits * person.base.min(bought);
        audience.discount_anyway += visits * prediction.spend.mean * anyway;
    }
    let forward = displace::later_purchases(log, model);
    let hours = displace::hours(log, model, plan);
    let mut strategies: Vec<Strategy> = audiences
        .into_iter()
        .map(|((offer, segment, channel), audience)| {
            let offer_id = plan.offers[offer].offer_id.clone();
            let of = |at: usize| Estimate { mean: audience.sums[at], variance: audience.errors[at].powi(2) };
            let pulled = forward.get(&offer_id).map(|per| Estimate {
                mean: -per.mean * audience.visits,
                variance: per.variance * audience.visits.powi(2),
            });
            let channel_name = Channel::try_from(channel).unwrap_or_default();
            Strategy {
                id: format!("{}/{segment}/{}/{offer_id}", plan.id, channel_name.as_str_name()),
                segment: segment.to_owned(),
                channel,
                angle: displace::angle(log, &offer_id),
                audience: audience.people,
                expected: Expected { conversions: of(0), profit: of(1), cost: of(2) },
                reasons: reasons(plan, &audience, model.arm(&offer_id).map(|arm| &model.arms[arm])),
                full_price_buyers: audience.anyway,
                discount_to_them: audience.discount_anyway,
                pulled_forward: pulled,
                hours: hours.get(segment).cloned().unwrap_or_default(),
                offer_id,
            }
        })
        .collect();
    let objective = plan.objective;
    strategies.sort_by(|a, b| {
        let of = |strategy: &Strategy| match objective {
            Objective::Conversions => strategy.expected.conversions.mean,
            Objective::Profit | Objective::Revenue => strategy.expected.profit.mean,
        };
        of(b).total_cmp(&of(a)).then(a.id.cmp(&b.id))
    });
    let sum = |of: fn(&Expected) -> Estimate| Estimate {
        mean: strategies.iter().map(|s| of(&s.expected).mean).sum(),
        variance: strategies.iter().map(|s| of(&s.expected).variance).sum(),
    };
    plan.expected =
        Expected { conversions: sum(|e| e.conversions), profit: sum(|e| e.profit), cost: sum(|e| e.cost) };
    plan.strategies = strategies;
}

fn reasons(plan: &Plan, audience: &Audience, arm: Option<&Arm>) -> Vec<String> {
    let (base, uplift) = (audience.base / audience.visits, audience.uplift / audience.visits);
    let percent = |share: f64| format!("{:.2} %", 100.0 * share);
    let mut reasons = vec![format!(
        "without an offer {} of these {} people's visits end in a purchase or click, with it {}",
        percent(base),
        audience.people,
        percent((base + uplift).max(0.0)),
    )];
    let [_, profit, cost] = audience.sums;
    if cost > 0.0 {
        reasons.push(format!("every {} of discount brings {:.2} of profit", plan.currency, profit / cost));
    }
    let interval: Interval = Estimate { mean: profit, variance: audience.errors[1].powi(2) }.interval();
    if interval.lower > 0.0 {
        reasons.push("the whole interval of its profit lies above 0".to_owned());
    } else {
        let chance = normal::cdf(profit / audience.errors[1].max(f64::MIN_POSITIVE));
        reasons.push(format!("it brings a profit with a probability of {}", percent(chance)));
    }
    if plan.shadow_price > 0.0 {
        reasons.push(format!("money is short: a unit of budget is worth {:.2}", plan.shadow_price));
    }
    match arm {
        Some(arm) => reasons.push(format!("learnt from {} decisions with this offer", arm.rows)),
        None => reasons.push("never tried: judged by offers of its kind".to_owned()),
    }
    reasons
}

/// Names of all audiences.
pub fn segments() -> [&'static str; 3] {
    SEGMENTS
}

/// Name of the control in logs.
pub const CONTROL: &str = NONE;
