//! Simulated worlds that do not have the effect model's form: what plans bring in them by the product's default settings.
//!
//! Each world is played from the same log of uniform offers by the product (its library: training, plan, choosing, ledger),
//! a T-learner of boosted trees under the same ledger, the best single offer known afterwards, and an oracle that knows
//! every response and prices what an offer takes from later visits. Gains are profit over no offers, days after the
//! plan's end included. One JSON object a world and seed on standard output, then a summary.

#![expect(clippy::print_stdout, reason = "a report on standard output")]

mod deals;
mod late;
mod learnt;
mod rules;
mod shop;
mod simple;
mod stockpile;
mod world;

use clap::Parser;
use serde_json::{Value, json};

use self::learnt::{Made, Product, TLearner};
use self::shop::{Book, Log, Shop};
use self::simple::{ByChance, Season};
use self::world::World;

/// Seeds that settings were chosen on while working, and seeds that were looked at only to report.
const TUNING_SEEDS: [u64; 4] = [1, 2, 3, 4];

#[derive(Parser)]
#[command(about = "Plans in simulated worlds of foreign form")]
struct Arguments {
    /// Worlds: rules, stockpile, late.
    #[arg(long, value_delimiter = ',', default_value = "rules,stockpile,late")]
    worlds: Vec<String>,
    /// Seeds; 1 to 4 are the tuning seeds.
    #[arg(long, value_delimiter = ',', default_value = "101,102,103,104")]
    seeds: Vec<u64>,
    /// People.
    #[arg(long, default_value_t = 8_000)]
    people: usize,
    /// Days of uniform offers that are learnt from.
    #[arg(long, default_value_t = 20)]
    explore_days: u32,
    /// Days the plan decides.
    #[arg(long, default_value_t = 20)]
    plan_days: u32,
    /// The budget, as a share of what the oracle would spend without one.
    #[arg(long, default_value_t = 0.6)]
    budget_share: f64,
}

/// Days before anything is logged: few offers, by chance.
const WARM_UP: u32 = 60;
/// Share of visits with an offer in them.
const WARM_UP_SHARE: f64 = 0.15;
/// Days without offers after the plan.
const AFTER: u32 = 10;

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let all: [&dyn World; 3] = [&rules::Rules, &stockpile::Stockpile, &late::Late];
    let mut found: Vec<Value> = Vec::new();
    for name in &arguments.worlds {
        let world = all.iter().find(|world| world.name() == name);
        let world =
            *world.ok_or_else(|| anyhow::anyhow!("no world {name:?}; there are rules, stockpile, late"))?;
        for &seed in &arguments.seeds {
            let score = play(world, seed, &arguments);
            println!("{score}");
            found.push(score);
        }
    }
    println!("{}", summary(&arguments, &found));
    Ok(())
}

/// One world, one seed.
fn play(world: &dyn World, seed: u64, arguments: &Arguments) -> Value {
    let Arguments { people, explore_days, plan_days, budget_share, .. } = *arguments;
    let mut shop = Shop::new(world, people, seed);
    shop.play(0..WARM_UP, &mut ByChance { share: WARM_UP_SHARE, only: None }, None);
    let mut log = Log::default();
    let begin = WARM_UP + explore_days;
    let explored = shop.play(WARM_UP..begin, &mut ByChance::uniform(), Some(&mut log));
    let season = Season { shop: &shop, days: begin..begin + plan_days, after: AFTER };
    let nothing = season.book(&mut ByChance::nothing());
    let (best, budget, oracle) = season.oracle(budget_share);
    let whole = best.profit - nothing.profit;
    let share = |book: &Book| (book.profit - nothing.profit) / whole;
    let same_visit = season.within(budget, (0.0, 0.0), false).0;
    let seen = (!world.hidden(0.0).is_empty()).then(|| season.within(budget, (0.0, 0.0), true).0);
    let (single, single_book) = season.best_single(budget);
    let span = (f64::from(begin), f64::from(begin + plan_days));
    let peer = TLearner::make(&log, budget, span, seed).map(|mut peer| season.book(&mut peer));
    let mut score = json!({
        "world": world.name(), "kind": world.is_kind(), "seed": seed,
        "seeds": if TUNING_SEEDS.contains(&seed) { "tuning" } else { "reporting" },
        "decisions": log.decisions.len(), "budget": budget.round(),
        "conversion": log.purchases.len() as f64 / explored.visits,
        "oracle_gain": whole.round(), "oracle_gain_of_profit": whole / nothing.profit,
        "oracle_price": oracle.price, "oracle_later": [oracle.later.0, oracle.later.1],
        "same_visit_oracle": share(&same_visit), "oracle_of_what_is_logged": seen.as_ref().map(share),
        "best_single": share(&single_book), "single": single.map_or("none", |offer| deals::IDS[offer]),
    });
    match peer {
        Ok(book) => {
            score["t_learner"] = share(&book).into();
            score["t_learner_spent"] = (book.booked / budget).into();
        }
        Err(why) => score["t_learner_why"] = why.into(),
    }
    match Product::make(&log, budget, span, seed) {
        Ok(Made { mut policy, seconds, promise, kept, later, metrics }) => {
            let book = season.book(&mut policy);
            let gain = book.profit - nothing.profit;
            score["product"] = share(&book).into();
            score["spent"] = (book.booked / budget).into();
            score["offered"] = (book.offered / book.visits).into();
            score["kept"] = json!([kept.0, kept.1]);
            score["later"] = later.into();
            score["training_s"] = seconds.into();
            score["promise_of_truth"] = (promise.0 / gain).into();
            score["promise_holds"] = (promise.1 <= gain && gain <= promise.2).into();
            score["promise"] = json!([promise.0.round(), promise.1.round(), promise.2.round(), gain.round()]);
            score["calibration_error"] = metrics.get("calibration_error").copied().into();
        }
        Err(why) => {
            // No plan gives no offers.
            score["product"] = 0.0.into();
            score["product_why"] = why.into();
        }
    }
    score
}

/// Mean and worst of each world.
fn summary(arguments: &Arguments, found: &[Value]) -> Value {
    let of = |world: &str, name: &str| -> Vec<f64> {
        let mine = found.iter().filter(|score| score["world"] == world);
        mine.filter_map(|score| score[name].as_f64()).collect()
    };
    let told = |values: Vec<f64>| {
        let mean = values.iter().sum::<f64>() / values.len().max(1) as f64;
        let worst = values.iter().copied().fold(f64::INFINITY, f64::min);
        let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        json!({ "mean": mean, "worst": worst, "most": most })
    };
    let held = |world: &str| {
        let mine: Vec<bool> = found
            .iter()
            .filter(|score| score["world"] == world)
            .filter_map(|score| score["promise_holds"].as_bool())
            .collect();
        json!({ "plans": mine.len(), "held": mine.iter().filter(|held| **held).count() })
    };
    let worlds = arguments.worlds.iter().map(|world| {
        let names = [
            "product",
            "t_learner",
            "best_single",
            "same_visit_oracle",
            "spent",
            "promise_of_truth",
            "training_s",
        ];
        let mut all: serde_json::Map<String, Value> =
            names.iter().map(|name| ((*name).to_owned(), told(of(world, name)))).collect();
        all.insert("promises".into(), held(world));
        (world.clone(), Value::Object(all))
    });
    json!({ "seeds": arguments.seeds, "tuning_seeds": TUNING_SEEDS, "summary": worlds.collect::<serde_json::Map<_, _>>() })
}
