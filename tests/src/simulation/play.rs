//! The month as the product decides it.

use std::collections::BTreeMap;

use anyhow::Context as _;
use chrono::Utc;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use proto::evaluator::v1::Strategy;

use super::Settings;
use super::book::Book;
use super::offers::OFFERS;
use super::speak::{Line, Told};
use super::world::{Arm, Visit, World};

/// Seconds in a day.
const DAY: i64 = 86_400;
/// Visits whose outcome is told together: the product hears of its spend several times an hour.
const TOGETHER: usize = 250;
/// Least time between two plans, days.
const SOONEST: f64 = 0.1;
/// Decisions asked for at once.
const AT_ONCE: usize = 32;

/// What the product made of the month.
pub struct Played {
    /// The whole month.
    pub book: Book,
    /// Each of its days.
    pub days: Vec<Book>,
    /// Visits of shoppers held out.
    pub held_out: u64,
    /// Most that was spent at any time, of the budget.
    pub spent: i64,
    /// Begin and end of the month, seconds since 1970.
    pub span: (i64, i64),
    /// The last plan.
    pub plan_id: String,
    /// Its strategies.
    pub strategies: Vec<Strategy>,
}

/// Plays the month through `line` under `budget`. `say` is told how it goes.
pub async fn play(
    world: &World,
    settings: &Settings,
    budget: i64,
    line: &Line,
    say: &(dyn Fn(String) + Sync),
) -> anyhow::Result<Played> {
    // The last day was yesterday: nothing the product is told lies in the future.
    let begin = Utc::now().timestamp().div_euclid(DAY) * DAY - (i64::from(settings.days) + 1) * DAY;
    let end = begin + i64::from(settings.days) * DAY;
    // Plans may go on after the days that are played.
    let ends_at = end + i64::from(settings.days_left) * DAY;
    line.tell_offers().await?;
    say(format!("exploring by plan {}", line.explore(budget, settings.holdout, (begin, ends_at)).await?));
    let mut played = Played {
        book: Book::default(),
        days: Vec::new(),
        held_out: 0,
        spent: 0,
        span: (begin, end),
        plan_id: String::new(),
        strategies: Vec::new(),
    };
    let mut planned = settings.explore_days;
    for day in 0..settings.days {
        let morning = begin + i64::from(day) * DAY;
        let visits = world.visits(day);
        let pause = DAY as f64 / visits.len().max(1) as f64;
        let mut today = Book::default();
        for (part, together) in visits.chunks(TOGETHER).enumerate() {
            let moment = f64::from(day) + (part * TOGETHER) as f64 / visits.len() as f64;
            if moment >= planned {
                let at = morning + ((part * TOGETHER) as f64 * pause) as i64;
                let shares = (settings.holdout, settings.exploration);
                let made =
                    match line.train(settings.seed + u64::from(day)).await.context("training failed")? {
                        Ok(trained) => {
                            say(format!("day {moment:.2}: trained {trained:?}"));
                            line.plan(budget, shares, (at, ends_at)).await?
                        }
                        Err(why) => Err(why),
                    };
                match made {
                    Ok(plan) => {
                        say(format!("day {moment:.2}: {} of {}", plan.plan_id, plan.strategies.len()));
                        (played.plan_id, played.strategies) = (plan.plan_id, plan.strategies);
                        // Again when there is half as much again to learn from.
                        planned = moment + (moment / 2.0).clamp(SOONEST, settings.replan_days.max(SOONEST));
                    }
                    Err(why) => {
                        say(format!("day {moment:.2}: no plan yet, {why}"));
                        planned = moment + SOONEST;
                    }
                }
            }
            let numbered: Vec<(usize, Visit)> =
                together.iter().enumerate().map(|(place, visit)| (part * TOGETHER + place, *visit)).collect();
            let told: Vec<Told> = stream::iter(numbered)
                .map(|(place, visit)| {
                    decide((world, settings), line, visit, place, morning + (place as f64 * pause) as i64)
                })
                .buffered(AT_ONCE)
                .try_collect()
                .await?;
            for (visit, told) in together.iter().zip(&told) {
                let arm = arm(told)?;
                played.book.enter(world, visit, arm);
                today.enter(world, visit, arm);
                played.held_out += u64::from(told.made.in_holdout);
            }
            line.record(&told).await?;
        }
        played.spent = played.book.discount;
        played.days.push(today);
        say(format!("day {day}: profit {} spent {} of {budget}", played.book.profit, played.spent));
    }
    Ok(played)
}

async fn decide(
    (world, settings): (&World, &Settings),
    line: &Line,
    visit: Visit,
    place: usize,
    at: i64,
) -> anyhow::Result<Told> {
    let shopper = &world.shoppers[visit.shopper];
    let features = if settings.without_features { BTreeMap::new() } else { shopper.features() };
    // A seed of its own for every visit: 0 would mean none.
    let seed = u64::from(visit.day) * 1_000_000 + place as u64 + 1;
    let id = format!("visit-{}-{place}", visit.day);
    let made = line.decide(&id, &shopper.id, at, &features, seed).await?;
    let mut told = Told { id, user: shopper.id.clone(), at, made, sale: None };
    told.sale = world.outcome(&visit, arm(&told)?);
    Ok(told)
}

fn arm(told: &Told) -> anyhow::Result<Arm> {
    let Some(offer) = &told.made.offer else { return Ok(None) };
    let place = OFFERS.iter().position(|known| *known == offer.offer_id);
    place
        .map(Some)
        .with_context(|| format!("the product decided on {}, which this shop does not have", offer.offer_id))
}
