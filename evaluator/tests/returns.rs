//! Returns: net of what was bought in every metric, whatever the order of arrival, and the same when built anew.

use std::collections::{BTreeMap, HashMap};

use crate::support::*;
use chassis::config::Secret;
use evaluator::cli::digest;
use evaluator::store::Store;
use proto::common::v1::{Channel, Event, EventKind, Money, ProductReturn, Purchase};
use proto::evaluator::v1::*;
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{Rng as _, SeedableRng as _};

const DAY: i64 = 86_400;

fn usd(minor_units: i64) -> Money {
    Money { currency_code: "USD".into(), minor_units }
}

fn line(id: &str, user: &str, order: &str, item: &str, quantity: u32, price: i64, seconds: i64) -> Event {
    let amount = price * i64::from(quantity);
    Event {
        item_id: item.into(),
        purchase: Some(Purchase {
            order_id: order.into(),
            quantity,
            revenue: Some(usd(amount)),
            cost: Some(usd(amount / 2)),
            tax: None,
            discount: None,
        }),
        occurred_at: at(THEN + seconds),
        ..event(id.into(), user, EventKind::Purchase, "")
    }
}

fn back(id: &str, user: &str, order: &str, item: &str, quantity: u32, price: i64, seconds: i64) -> Event {
    let amount = price * i64::from(quantity);
    Event {
        item_id: item.into(),
        channel: Channel::Unspecified.into(),
        product_return: Some(ProductReturn {
            order_id: order.into(),
            quantity,
            amount: Some(usd(amount)),
            cost: Some(usd(amount / 2)),
            tax: None,
        }),
        occurred_at: at(THEN + seconds),
        ..event(id.into(), user, EventKind::Return, "")
    }
}

async fn metrics(
    served: &mut Served,
    names: &[&str],
    dimensions: &[&str],
    granularity: Granularity,
) -> Vec<MetricRow> {
    let query = QueryMetricsRequest {
        metrics: names.iter().map(ToString::to_string).collect(),
        dimensions: dimensions.iter().map(ToString::to_string).collect(),
        granularity: granularity.into(),
        ..QueryMetricsRequest::default()
    };
    served.metrics.query_metrics(query).await.expect("rows").into_inner().rows
}

fn value(rows: &[MetricRow], metric: &str) -> f64 {
    let row = rows.iter().find(|row| row.metric == metric).expect("a row");
    row.value.as_ref().expect("a value").estimate
}

/// A value in whole minor units.
fn minor(rows: &[MetricRow], metric: &str) -> i64 {
    let value = value(rows, metric);
    assert!(value.fract() == 0.0, "{metric}: {value}");
    value as i64
}

#[tokio::test]
async fn a_return_reduces_revenue_profit_and_orders_on_its_own_day() {
    let mut served = served().await;
    let events = vec![
        line("p1", "ann", "o1", "shoe", 2, 1_000, 0),
        line("p2", "bob", "o2", "hat", 1, 500, 0),
        back("r2", "bob", "o2", "hat", 1, 500, 3 * DAY),
        back("r1", "ann", "o1", "shoe", 1, 1_000, 3 * DAY),
    ];
    assert_eq!(ingest(&mut served, events.clone()).await.accepted, 4);
    assert_eq!(ingest(&mut served, events).await.duplicates, 4, "told twice");
    let rows = metrics(&mut served, &["REVENUE", "PROFIT", "AOV"], &[], Granularity::Unspecified).await;
    assert_eq!(minor(&rows, "REVENUE"), 1_000);
    assert_eq!(minor(&rows, "PROFIT"), 500);
    assert_eq!(minor(&rows, "AOV"), 1_000, "bob's order was wholly returned");
    let rows = metrics(&mut served, &["REVENUE"], &[], Granularity::Day).await;
    let days: Vec<f64> = rows.iter().map(|row| row.value.as_ref().expect("a value").estimate).collect();
    assert_eq!(days, [2_500.0, -1_500.0], "the sign is kept");
    let rows = metrics(&mut served, &["REVENUE"], &["channel"], Granularity::Unspecified).await;
    assert_eq!(rows.len(), 1, "a return without a channel counts under its purchase's");
    assert_eq!(rows[0].dimensions["channel"], "CHANNEL_WEB");
}

#[tokio::test]
async fn a_line_without_a_known_cost_never_counts_as_profit_not_even_returned_on_a_later_day() {
    let mut served = served().await;
    let uncosted = |mut event: Event| {
        event.purchase.iter_mut().for_each(|purchase| purchase.cost = None);
        event.product_return.iter_mut().for_each(|returned| returned.cost = None);
        event
    };
    let events = vec![
        line("p1", "ann", "o1", "shoe", 1, 1_000, 0),
        uncosted(line("p2", "bob", "o2", "hat", 2, 500, 0)),
        uncosted(back("r2", "bob", "o2", "hat", 1, 500, 3 * DAY)),
    ];
    assert_eq!(ingest(&mut served, events).await.accepted, 3);
    let whole = metrics(&mut served, &["PROFIT"], &[], Granularity::Unspecified).await;
    assert_eq!(minor(&whole, "PROFIT"), 500);
    let days = metrics(&mut served, &["PROFIT"], &[], Granularity::Day).await;
    let days: Vec<f64> = days.iter().map(|row| row.value.as_ref().expect("a value").estimate).collect();
    assert_eq!(days, [500.0, 0.0], "days add up to the span");
}

#[tokio::test]
async fn returns_that_exceed_what_was_bought_or_know_no_order_never_count_orders_below_zero() {
    let mut served = served().await;
    let events = vec![
        back("r0", "ann", "unknown", "shoe", 3, 100, 10),
        line("p1", "ann", "o1", "shoe", 1, 1_000, 0),
        back("r1", "ann", "o1", "shoe", 5, 200, 20),
        line("p2", "ann", "o2", "shoe", 1, 1_000, 30),
    ];
    ingest(&mut served, events).await;
    let rows = metrics(&mut served, &["REVENUE", "AOV"], &[], Granularity::Unspecified).await;
    assert_eq!(minor(&rows, "REVENUE"), 700);
    assert_eq!(minor(&rows, "AOV"), 700, "one order is left");
}

/// A shop's own book: amounts and pieces by order line, added up as they happened.
#[derive(Default)]
struct Book {
    revenue: i64,
    profit: i64,
    lines: HashMap<(String, String, String), i64>,
}

impl Book {
    fn enter(&mut self, event: &Event) {
        let (order, pieces, amount, cost) = match (&event.purchase, &event.product_return) {
            (Some(p), _) => (&p.order_id, i64::from(p.quantity), &p.revenue, &p.cost),
            (_, Some(r)) => (&r.order_id, -i64::from(r.quantity), &r.amount, &r.cost),
            _ => return,
        };
        let minor = |money: &Option<Money>| money.as_ref().map_or(0, |money| money.minor_units);
        self.revenue += pieces.signum() * minor(amount);
        self.profit += pieces.signum() * (minor(amount) - minor(cost));
        *self.lines.entry((event.user_id.clone(), order.clone(), event.item_id.clone())).or_default() +=
            pieces;
    }

    fn orders(&self) -> usize {
        let mut open: BTreeMap<(&str, &str), bool> = BTreeMap::new();
        for ((user, order, _), pieces) in &self.lines {
            *open.entry((user, order)).or_default() |= *pieces > 0;
        }
        open.values().filter(|open| **open).count()
    }
}

/// Purchases and returns of `people`, partial and whole, in any order of arrival, some of them twice.
fn history(random: &mut StdRng, people: usize) -> (Vec<Event>, Book) {
    let (mut events, mut book) = (Vec::new(), Book::default());
    for person in 0..people {
        let user = format!("u{person}");
        for order in 0..random.random_range(0..4) {
            let id = format!("{user}-o{order}");
            for item in 0..random.random_range(1..4) {
                let (item, quantity) = (format!("i{item}"), random.random_range(1..5_u32));
                let price = random.random_range(1..50) * 100;
                let bought = random.random_range(0..20 * DAY);
                events.push(line(&format!("{id}-{item}"), &user, &id, &item, quantity, price, bought));
                let mut left = quantity;
                while left > 0 && random.random_bool(0.4) {
                    let pieces = random.random_range(1..=left);
                    left -= pieces;
                    let when = bought + random.random_range(0..20 * DAY);
                    let name = format!("{id}-{item}-r{left}");
                    events.push(back(&name, &user, &id, &item, pieces, price, when));
                }
            }
        }
    }
    for event in &events {
        book.enter(event);
    }
    let again: Vec<Event> = events.iter().filter(|_| random.random_bool(0.2)).cloned().collect();
    events.extend(again);
    events.shuffle(random);
    (events, book)
}

fn exposed(user: &str, variant: &str) -> Decision {
    let assignment = Assignment {
        experiment_id: "ctr".into(),
        variant_id: variant.into(),
        propensity: 0.5,
        ..Assignment::default()
    };
    Decision {
        decision_id: format!("d-{user}"),
        user_id: user.into(),
        decided_at: at(THEN - 10),
        channel: Channel::Web.into(),
        assignments: vec![assignment],
        offer_propensity: 1.0,
        ..Decision::default()
    }
}

/// Tells a random history to replicas in turn and compares metrics, arms and rebuilt sums with the book.
async fn books_agree(mut replicas: Vec<Served>, url: &str, seed: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    let (events, book) = history(&mut random, 60);
    let create = CreateExperimentRequest { experiment: Some(halves("ctr")), request_id: String::new() };
    replicas[0].experiments.create_experiment(create).await.expect("made");
    let start = StartExperimentRequest { experiment_id: "ctr".into(), request_id: String::new() };
    replicas[0].experiments.start_experiment(start).await.expect("started");
    let variant = |person: usize| if person.is_multiple_of(2) { "control" } else { "treatment" };
    let decisions: Vec<Decision> =
        (0..60).map(|person| exposed(&format!("u{person}"), variant(person))).collect();
    let (early, late) = decisions.split_at(30);
    record(&mut replicas[0], early.to_vec()).await;
    let count = replicas.len();
    for (index, batch) in events.chunks(17).enumerate() {
        ingest(&mut replicas[index % count], batch.to_vec()).await;
    }
    record(&mut replicas[count - 1], late.to_vec()).await;

    let rows = metrics(&mut replicas[0], &["REVENUE", "PROFIT", "AOV"], &[], Granularity::Unspecified).await;
    assert_eq!(minor(&rows, "REVENUE"), book.revenue, "seed {seed}");
    assert_eq!(minor(&rows, "PROFIT"), book.profit, "seed {seed}");
    let aov = book.revenue as f64 / book.orders() as f64;
    assert!((value(&rows, "AOV") - aov).abs() < 1e-6, "seed {seed}");
    let days = metrics(&mut replicas[0], &["REVENUE"], &[], Granularity::Day).await;
    let sum: f64 = days.iter().filter_map(|row| row.value.as_ref()).map(|value| value.estimate).sum();
    assert_eq!(sum as i64, book.revenue, "days add up to the whole");

    let found = analysed(&mut replicas[0], "ctr", &["REVENUE", "PROFIT"]).await;
    for (metric, total) in [("REVENUE", book.revenue), ("PROFIT", book.profit)] {
        let result = found.results.iter().find(|result| result.metric == metric).expect("told");
        let sum = 30.0 * (result.control_value + result.variant_value);
        assert!((sum - total as f64).abs() < 1e-6, "{metric}, seed {seed}: {sum} of {total}");
    }
    let store = Store::open(&Secret::new(url)).await.expect("opens");
    let (kept, rebuilt) = store.rebuild_cells().await.expect("rebuilt");
    assert_eq!(digest(&kept), digest(&rebuilt), "seed {seed}");
}

#[tokio::test]
async fn metrics_and_arms_equal_a_naive_book_in_any_order_of_arrival() {
    for seed in 0..4 {
        let folder = tempfile::tempdir().expect("a folder");
        let url = format!("sqlite://{}/e.db?mode=rwc", folder.path().display());
        let served = served_on(&url, folder).await;
        books_agree(vec![served], &url, seed).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_replicas_on_postgres_agree_with_the_book() {
    with_postgres(async |url| {
        // Migrated before the replicas start, as a deployment does.
        Store::open(&Secret::new(&*url)).await.expect("migrated");
        let folder = || tempfile::tempdir().expect("a folder");
        let replicas = vec![served_on(&url, folder()).await, served_on(&url, folder()).await];
        books_agree(replicas, &url, 9).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_return_in_a_span_belongs_to_what_was_bought_before_it() {
    let mut served = served().await;
    let uncosted = |mut event: Event| {
        event.purchase.as_mut().expect("a purchase").cost = None;
        event
    };
    let stays_unknown = |mut event: Event| {
        event.product_return.as_mut().expect("a return").cost = None;
        event
    };
    let bought = Event { campaign_id: "spring".into(), ..line("b1", "u1", "o1", "tea", 1, 1_000, 0) };
    let events = vec![
        bought,
        uncosted(line("b2", "u2", "o2", "pot", 1, 3_000, 0)),
        back("r1", "u1", "o1", "tea", 1, 1_000, 3 * DAY),
        stays_unknown(back("r2", "u2", "o2", "pot", 1, 3_000, 3 * DAY)),
        line("b3", "u1", "o3", "cup", 1, 500, 3 * DAY),
    ];
    ingest(&mut served, events).await;
    let query = QueryMetricsRequest {
        metrics: ["REVENUE", "PROFIT", "CR"].map(String::from).to_vec(),
        dimensions: vec!["campaign".into()],
        from: at(THEN + DAY),
        ..QueryMetricsRequest::default()
    };
    let rows = served.metrics.query_metrics(query).await.expect("rows").into_inner().rows;
    let of = |campaign: &str, metric: &str| {
        let found = rows.iter().find(|row| {
            row.dimensions.get("campaign").is_some_and(|value| value == campaign) && row.metric == metric
        });
        found.and_then(|row| row.value.as_ref()).map(|value| value.estimate)
    };
    assert_eq!(of("spring", "REVENUE"), Some(-1_000.0), "{rows:#?}");
    let spring = rows
        .iter()
        .find(|row| row.metric == "REVENUE" && row.units > 0 && row.value.is_some_and(|v| v.estimate < 0.0));
    let spring = spring.and_then(|row| row.value).expect("a value");
    assert!(spring.lower < spring.estimate && spring.estimate < spring.upper, "{spring:?}");
    assert_eq!(of("spring", "PROFIT"), Some(-500.0));
    assert_eq!(of("none", "REVENUE"), Some(500.0 - 3_000.0));
    // The pot's cost was never known, so its profit was never counted and is not taken off.
    assert_eq!(of("none", "PROFIT"), Some(250.0));
}
