//! The month judged: against doing nothing, one offer for all, chance, and the best there is.

use std::time::Instant;

use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use serde::Serialize;

use super::Settings;
use super::book::Book;
use super::oracle::{Best, Month};
use super::play::Played;
use super::speak::Line;
use super::world::{ARMS, World};

/// Predictions are gathered into so many groups, as many in each.
const GROUPS: usize = 10;
/// Shoppers whose predictions are judged.
const JUDGED: usize = 1_000;
/// Decisions that are timed, one after the other.
const TIMED: usize = 2_000;

/// The figures; money in minor units.
#[derive(Debug, Serialize)]
pub struct Score {
    /// Gain of the product over no offers, as a share of the best policy's; on average, chance taken out.
    pub profit_share_of_oracle: f64,
    /// What each day lost of it, discounts paid at the best policy's price; with that price of what was left of the budget
    /// they sum to what is missing of 1.
    pub lost_by_day: Vec<f64>,
    /// The gain as it came and as the evaluator measured it.
    pub measured_share_of_oracle: f64,
    /// Profit the evaluator measured ÷ profit in the shop's own book.
    pub measured_of_booked: f64,
    /// Expected profit by policy.
    pub profit: Profits,
    /// The budget.
    pub budget: i64,
    /// What the product spent of it.
    pub spent: i64,
    /// Mean distance between predicted and true probability to buy, over groups of like prediction.
    pub calibration_error: f64,
    /// Share of visits held out.
    pub held_out: f64,
    /// Share of visits that got an offer.
    pub offered: f64,
    /// Profit one more unit of budget would have brought the best policy.
    pub shadow_price: f64,
    /// Milliseconds of a decision by the last plan, asked for one at a time through the gateway: median.
    pub decide_ms_p50: f64,
    /// The same: 99th percentile.
    pub decide_ms_p99: f64,
    /// The plan that decided last.
    pub plan_id: String,
    /// Seed of all chance.
    pub seed: u64,
}

/// Expected profit of each policy.
#[derive(Debug, Serialize)]
pub struct Profits {
    /// No offers.
    pub none: f64,
    /// The best single offer for everybody, until the budget is spent.
    pub best_single: f64,
    /// Offers by chance, until the budget is spent.
    pub random: f64,
    /// The product.
    pub product: f64,
    /// The best policy.
    pub oracle: f64,
    /// What no policy can exceed.
    pub bound: f64,
}

/// Judges what was played.
pub async fn score(
    world: &World,
    settings: &Settings,
    month: &Month<'_>,
    budget: i64,
    played: &Played,
    line: &Line,
) -> anyhow::Result<Score> {
    let limit = budget as f64;
    let none = month.everybody(None, limit);
    let Best { book: oracle, bound, shadow_price } = month.best(limit);
    let measured = line.measured_profit(played.span.0, played.span.1).await?;
    let Book { visits, offered, expected_profit, profit, .. } = played.book;
    let (decide_ms_p50, decide_ms_p99) = decide_ms(world, played.span.1 - 1, line).await?;
    let best_by_day = month.best_by_day(shadow_price);
    let lost_by_day = best_by_day
        .iter()
        .zip(&played.days)
        .map(|(best, day)| best - (day.expected_profit - shadow_price * day.expected_discount))
        .map(|lost| lost / (bound - none.expected_profit))
        .collect();
    let share = |ours: f64, nothing: f64, best: f64| (ours - nothing) / (best - nothing);
    Ok(Score {
        profit_share_of_oracle: share(expected_profit, none.expected_profit, bound),
        lost_by_day,
        measured_share_of_oracle: share(measured, none.profit as f64, oracle.profit as f64),
        measured_of_booked: measured / profit as f64,
        profit: Profits {
            none: none.expected_profit,
            best_single: month.best_single(limit).1.expected_profit,
            random: month.by_chance(settings, limit).expected_profit,
            product: expected_profit,
            oracle: oracle.expected_profit,
            bound,
        },
        budget,
        spent: played.spent,
        calibration_error: calibration_error(world, settings.days - 1, played.span.1 - 1, line).await?,
        held_out: played.held_out as f64 / visits as f64,
        offered: offered as f64 / visits as f64,
        shadow_price,
        decide_ms_p50,
        decide_ms_p99,
        plan_id: played.plan_id.clone(),
        seed: settings.seed,
    })
}

/// Median and 99th percentile of how long a decision takes.
async fn decide_ms(world: &World, at: i64, line: &Line) -> anyhow::Result<(f64, f64)> {
    let mut took = Vec::with_capacity(TIMED);
    for (number, shopper) in world.shoppers.iter().cycle().take(TIMED).enumerate() {
        let features = shopper.features();
        let asked = Instant::now();
        line.decide(&format!("timed-{number}"), &shopper.id, at, &features, number as u64 + 1).await?;
        took.push(asked.elapsed().as_secs_f64() * 1e3);
    }
    took.sort_unstable_by(f64::total_cmp);
    Ok((took[TIMED / 2], took[TIMED * 99 / 100]))
}

/// Expected calibration error of the probabilities the product predicts on `day`, at `at`, against the true ones.
async fn calibration_error(world: &World, day: u32, at: i64, line: &Line) -> anyhow::Result<f64> {
    let visits: Vec<_> = world.visits(day).into_iter().take(JUDGED).collect();
    let pairs: Vec<Vec<(f64, f64)>> = stream::iter(visits)
        .map(|visit| async move {
            let shopper = &world.shoppers[visit.shopper];
            let answer = line.predict(&shopper.id, at, &shopper.features()).await?;
            let pair = |(arm, effect): (&_, &proto::evaluator::v1::Effect)| {
                let part =
                    |interval: Option<&proto::common::v1::Interval>| interval.map_or(0.0, |i| i.estimate);
                let predicted = part(effect.base_rate.as_ref()) + part(effect.uplift.as_ref());
                (predicted, world.mean(&visit, *arm).buys)
            };
            anyhow::Ok(ARMS.iter().zip(&answer.effects).map(pair).collect())
        })
        .buffered(16)
        .try_collect()
        .await?;
    let mut pairs: Vec<(f64, f64)> = pairs.into_iter().flatten().collect();
    pairs.sort_by(|a, b| a.0.total_cmp(&b.0));
    let size = pairs.len().div_ceil(GROUPS).max(1);
    let error: f64 = pairs
        .chunks(size)
        .map(|group| group.iter().map(|(predicted, truth)| predicted - truth).sum::<f64>().abs())
        .sum();
    Ok(error / pairs.len() as f64)
}
