use chassis::config::Secret;
use pbjson_types::Timestamp;
use proto::common::v1::{Money, ProductReturn, Purchase};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use sea_orm::{ConnectionTrait as _, Database};

use super::*;
use crate::store::EventRow;

const DAY: i64 = 86_400;
const SERVER: &str = "postgres://postgres@127.0.0.1:5432";

async fn on_sqlite() -> Store {
    let url = Secret::new("sqlite::memory:");
    Store::open(&url, std::sync::Arc::default()).await.expect("opens")
}

fn event(id: &str, kind: EventKind, item: &str, at: i64) -> Event {
    let money = || Some(Money { currency_code: "EUR".into(), minor_units: 500 });
    let purchase =
        Purchase { order_id: format!("o-{item}"), quantity: 2, revenue: money(), ..Purchase::default() };
    let returned = ProductReturn {
        order_id: format!("o-{item}"),
        quantity: 1,
        amount: money(),
        ..ProductReturn::default()
    };
    Event {
        event_id: id.into(),
        kind: kind.into(),
        item_id: item.into(),
        occurred_at: Some(Timestamp { seconds: at, nanos: 0 }),
        purchase: (kind == EventKind::Purchase).then_some(purchase),
        product_return: (kind == EventKind::Return).then_some(returned),
        ..Event::default()
    }
}

async fn ingest(store: &Store, events: Vec<Event>) {
    let rows: Vec<EventRow> = events.into_iter().map(EventRow).collect();
    store.ingest_events(&rows, 0).await.expect("stored");
}

/// Fifty users each do `kind` with `item`.
fn by_fifty(kind: EventKind, item: &str, at: i64, rating: Option<f64>) -> Vec<Event> {
    let one = |n: i32| Event {
        user_id: format!("user-{n}"),
        rating,
        ..event(&format!("{item}-{n}"), kind, item, at)
    };
    (0..50).map(one).collect()
}

#[tokio::test]
async fn only_interest_counts_and_purchases_of_long_ago_fade() {
    let store = on_sqlite().await;
    let now = 1_500 * DAY;
    ingest(&store, by_fifty(EventKind::Dislike, "disliked", now, None)).await;
    ingest(&store, by_fifty(EventKind::Impression, "shown", now, None)).await;
    ingest(&store, by_fifty(EventKind::Rating, "one-star", now, Some(1.0))).await;
    ingest(&store, by_fifty(EventKind::Purchase, "four-years-ago", now - 1_460 * DAY, None)).await;
    ingest(&store, by_fifty(EventKind::Rating, "five-stars", now, Some(5.0))).await;
    let one = Event { user_id: "u".into(), ..event("one", EventKind::Purchase, "bought-once-today", now) };
    ingest(&store, vec![one]).await;
    let popular = store.popularity().await.expect("read");
    let ids: Vec<&str> = popular.iter().map(|(id, _)| id.as_str()).collect();
    assert_eq!(ids, ["five-stars", "bought-once-today", "four-years-ago"]);
    assert!((popular[0].1 - 25.0).abs() < 1e-9 && (popular[1].1 - 1.0).abs() < 1e-9, "{popular:?}");
    assert!(popular[2].1 < 1e-6, "{popular:?}");
}

#[tokio::test]
async fn each_visitor_counts_as_a_person_and_once() {
    let store = on_sqlite().await;
    let visit = |n: i32, id: &str| Event {
        visitor_id: format!("visitor-{n}"),
        ..event(&format!("{id}-{n}"), EventKind::Purchase, "a", 0)
    };
    ingest(&store, (0..200).map(|n| visit(n, "first")).collect()).await;
    ingest(&store, (0..200).map(|n| visit(n, "again")).collect()).await;
    let bought =
        |n: i32| Event { user_id: "one".into(), ..event(&format!("many-{n}"), EventKind::Purchase, "b", 0) };
    ingest(&store, (0..400).map(bought).collect()).await;
    let popular = store.popularity().await.expect("read");
    assert_eq!(popular, [("a".to_owned(), 200.0), ("b".to_owned(), 1.0)]);
}

/// Random events of people and visitors, links, erasures, events that come late and twice.
async fn random_changes(store: &Store) {
    const KINDS: [EventKind; 7] = [
        EventKind::Purchase,
        EventKind::Click,
        EventKind::View,
        EventKind::Rating,
        EventKind::Dislike,
        EventKind::Return,
        EventKind::Impression,
    ];
    let mut random = StdRng::seed_from_u64(11);
    for batch in 0..40 {
        let mut events = Vec::new();
        for n in 0..random.random_range(1..30) {
            let kind = KINDS[random.random_range(0..KINDS.len())];
            let at = random.random_range(0..100) * DAY;
            let item = format!("item-{}", random.random_range(0..6));
            let person = random.random_range(0..5);
            let mut one = event(&format!("{batch}-{n}"), kind, &item, at);
            one.rating = (kind == EventKind::Rating).then(|| f64::from(random.random_range(1..=5)));
            if random.random_bool(0.5) {
                one.user_id = format!("user-{person}");
            } else {
                one.visitor_id = format!("visitor-{person}");
            }
            events.push(one);
        }
        if batch % 10 == 5 {
            let (user_id, visitor_id) = ("user-1".to_owned(), format!("visitor-{}", batch / 10));
            events.push(Event {
                user_id,
                visitor_id,
                ..event(&format!("link-{batch}"), EventKind::Link, "", 0)
            });
        }
        ingest(store, events.clone()).await;
        ingest(store, events).await;
        if batch == 30 {
            store.erase("user-2").await.expect("erased");
        }
    }
}

async fn kept_up_to_date_equals_computed_anew(store: Store) {
    store.settle_popularity().await.expect("computed");
    random_changes(&store).await;
    let mut kept = store.popularity().await.expect("read");
    assert!(!store.settle_popularity().await.expect("looked"), "the settings are the same");
    popularity_basis::Entity::delete_many().exec(&store.db).await.expect("forgotten");
    assert!(store.settle_popularity().await.expect("computed"));
    let mut anew = store.popularity().await.expect("read");
    // Equal scores may be a rounding apart.
    kept.sort_by(|a, b| a.0.cmp(&b.0));
    anew.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(kept.len(), anew.len(), "{kept:?} {anew:?}");
    for ((item, score), (other, right)) in kept.iter().zip(&anew) {
        assert_eq!(item, other);
        assert!((score - right).abs() < 1e-9 * f64::max(*right, 1.0), "{item}: {score}, not {right}");
    }
}

#[tokio::test]
async fn popularity_kept_up_to_date_equals_that_computed_anew_on_sqlite() {
    kept_up_to_date_equals_computed_anew(on_sqlite().await).await;
}

#[tokio::test]
async fn pairs_are_looked_up_by_index() {
    let store = on_sqlite().await;
    let pairs = [("u".to_owned(), "a".to_owned()), ("v".to_owned(), "b".to_owned())];
    let mut plan = store.db.get_database_backend().build(&of_pairs(&pairs.iter().collect::<Vec<_>>()));
    plan.sql.insert_str(0, "EXPLAIN QUERY PLAN ");
    let plan = store.db.query_all_raw(plan).await.expect("planned");
    let plan: Vec<String> = plan.iter().map(|row| row.try_get("", "detail").expect("a plan")).collect();
    let plan = plan.join("; ");
    assert!(plan.contains("recommender_event_pair (person=? AND item_id=?)"), "{plan}");
}

/// A PostgreSQL database of its own.
async fn on_postgres<F: Future<Output = ()>>(test: impl FnOnce(Store) -> F) {
    let name = format!("recommender_popularity_{}", uuid::Uuid::new_v4().simple());
    let admin = Database::connect(format!("{SERVER}/postgres")).await.expect("PostgreSQL at 127.0.0.1:5432");
    admin.execute_unprepared(&format!("CREATE DATABASE {name}")).await.expect("a database");
    let url = Secret::new(format!("{SERVER}/{name}"));
    test(Store::open(&url, std::sync::Arc::default()).await.expect("opens")).await;
    admin.execute_unprepared(&format!("DROP DATABASE {name} WITH (FORCE)")).await.expect("dropped");
}

#[tokio::test]
async fn popularity_kept_up_to_date_equals_that_computed_anew_on_postgres() {
    on_postgres(kept_up_to_date_equals_computed_anew).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_writers_of_one_pair_count_the_person_once() {
    on_postgres(|store| async move {
        let rounds = (0..20).map(|round| {
            let write = |writer: i32| {
                let store = store.clone();
                let one = Event {
                    user_id: "u".into(),
                    ..event(&format!("{round}-{writer}"), EventKind::Purchase, "a", 0)
                };
                async move { ingest(&store, vec![one]).await }
            };
            futures::future::join(write(0), write(1))
        });
        futures::future::join_all(rounds).await;
        assert_eq!(store.popularity().await.expect("read"), [("a".to_owned(), 1.0)]);
    })
    .await;
}
