//! What a plan is made of, told to people: whom it offers what, what that should bring, and why.

use std::collections::BTreeMap;

use proto::common::v1::Channel;

use super::displace;
use super::people::Person;
use super::plan::{Expected, Objective, Plan, Strategy};
use crate::effect::Model;
use crate::effect::model::{Arm, Estimate};
use crate::effect::train::Outcome;
use crate::stats::{Interval, normal};

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

/// Puts the strategies, and what they promise together, into the plan: `chosen` holds the offer of each of `people`, `kept`
/// the share of such promises that is kept.
pub(super) fn describe(
    plan: &mut Plan,
    model: &Model,
    people: &[Person],
    chosen: &[Option<usize>],
    log: &[Outcome],
    treated: f64,
    kept: Estimate,
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
    let promised: Vec<f64> = audiences.values().map(|audience| audience.sums[1]).collect();
    let forward = displace::later_purchases(log, model);
    let hours = displace::hours(log, model, plan);
    let mut strategies: Vec<Strategy> = audiences
        .into_iter()
        .map(|((offer, segment, channel), audience)| {
            let offer_id = plan.offers[offer].offer_id.clone();
            let of = |at: usize| Estimate { mean: audience.sums[at], variance: audience.errors[at].powi(2) };
            let profit = of(1);
            let profit = Estimate {
                mean: profit.mean * kept.mean,
                variance: profit.variance * kept.mean.powi(2) + profit.mean.powi(2) * kept.variance,
            };
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
                expected: Expected { conversions: of(0), profit, cost: of(2) },
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
    let mut profit = sum(|e| e.profit);
    // The share kept is one number for all strategies: its error does not average out between them.
    let own: f64 = promised.iter().map(|mean| mean * mean).sum();
    profit.variance += (promised.iter().sum::<f64>().powi(2) - own).max(0.0) * kept.variance;
    plan.expected = Expected { conversions: sum(|e| e.conversions), profit, cost: sum(|e| e.cost) };
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
