//! A shop of any size: items of power-law popularity in categories, people who keep to a few of these.

use chrono::Utc;
use futures::StreamExt as _;
use pbjson_types::Timestamp;
use proto::common::v1::{Event, EventKind, Item, Money, Purchase};
use proto::recommender::v1::{IngestEventsRequest, TrainRequest, UpsertItemsRequest};

use super::{Arguments, Client};

const CATEGORIES: u64 = 100;
const DAY: i64 = 86_400;

/// SplitMix64: the same shop for the same seed, without keeping it.
pub(super) fn chance(seed: u64, n: u64) -> u64 {
    let mut z = seed.wrapping_add(n.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

pub(super) fn person(n: u32) -> String {
    format!("person-{n}")
}

pub(super) fn event(id: &str, person: &str, kind: EventKind, item: &str) -> Event {
    Event {
        event_id: id.into(),
        user_id: person.into(),
        kind: kind.into(),
        item_id: item.into(),
        occurred_at: Some(Timestamp { seconds: Utc::now().timestamp(), nanos: 0 }),
        ..Event::default()
    }
}

fn item(n: u64, seed: u64) -> Item {
    Item {
        item_id: format!("item-{n}"),
        title: format!("Thing {n}"),
        categories: vec![format!("category-{}", n % CATEGORIES)],
        brand: format!("brand-{}", chance(seed, n) % 500),
        price: Some(Money {
            currency_code: "EUR".into(),
            minor_units: 100 + (chance(seed, n) % 20_000) as i64,
        }),
        stock: Some((chance(seed, n) % 50) as i64),
        ..Item::default()
    }
}

/// The `n`-th thing a person buys: of one of the person's own four categories, the popular ones more often.
fn bought(seed: u64, person: u64, n: u64, items: u64) -> u64 {
    let category = chance(seed, person * 4 + chance(seed, person * 1000 + n) % 4) % CATEGORIES;
    let share = (chance(seed ^ 7, person * 1000 + n) % 1_000_000) as f64 / 1e6;
    let rank = (share.powi(3) * (items / CATEGORIES).max(1) as f64) as u64;
    (rank * CATEGORIES + category).min(items - 1)
}

pub(super) async fn fill(client: &mut Client, how: &Arguments) -> anyhow::Result<()> {
    let (seed, items) = (how.seed, u64::from(how.items));
    let rows = futures::stream::iter(0..items).map(move |n| UpsertItemsRequest { item: Some(item(n, seed)) });
    let taken = client.upsert_items(rows).await?.into_inner();
    anyhow::ensure!(taken.accepted == items, "items refused: {:?}", taken.rejected.first());
    let (people, each, now) = (u64::from(how.people), u64::from(how.events), Utc::now().timestamp());
    let rows = futures::stream::iter(0..people * each).map(move |place| {
        let (of, n) = (place / each, place % each);
        let item = bought(seed, of, n, items);
        let back = (chance(seed ^ 3, place) % 120) as i64;
        let revenue = Some(Money { currency_code: "EUR".into(), minor_units: 100 + (item % 977) as i64 });
        let event_id = format!("{of}-{n}");
        let purchase = Purchase { order_id: event_id.clone(), quantity: 1, revenue, ..Purchase::default() };
        let event = Event {
            event_id,
            user_id: person(of as u32),
            kind: EventKind::Purchase.into(),
            item_id: format!("item-{item}"),
            occurred_at: Some(Timestamp { seconds: now - DAY - back * DAY, nanos: 0 }),
            purchase: Some(purchase),
            ..Event::default()
        };
        IngestEventsRequest { event: Some(event), log_position: 0 }
    });
    let taken = client.ingest_events(rows).await?.into_inner();
    anyhow::ensure!(taken.accepted == people * each, "events refused: {:?}", taken.rejected.first());
    Ok(())
}

pub(super) async fn train(client: &mut Client, seed: u64) -> anyhow::Result<String> {
    let parameters = [("budget_seconds".to_owned(), 20.0)].into();
    let request = TrainRequest { parameters, promote: true, seed, ..TrainRequest::default() };
    let mut steps = client.train(request).await?.into_inner();
    let mut model = None;
    while let Some(step) = steps.message().await? {
        model = step.model.or(model);
    }
    let model = model.ok_or_else(|| anyhow::anyhow!("training ended without a model"))?;
    anyhow::ensure!(model.promoted, "{} does not serve: {:?}", model.model_id, model.metrics);
    Ok(model.model_id)
}
