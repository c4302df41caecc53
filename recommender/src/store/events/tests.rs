use chassis::config::Secret;
use pbjson_types::Timestamp;
use proto::common::v1::Money;
use sea_orm::{ConnectionTrait as _, DbBackend, QueryTrait as _, Statement};
use sea_orm_migration::MigratorTrait as _;

use super::*;
use crate::store::migration::Migrator;

async fn store() -> Store {
    Store::open(&Secret::new("sqlite::memory:"), std::sync::Arc::default()).await.expect("opens")
}

fn event(id: &str, kind: EventKind, item: &str, at: i64) -> Event {
    let money = || Some(Money { currency_code: "EUR".into(), minor_units: 500 });
    let purchase =
        Purchase { order_id: "order".into(), quantity: 4, revenue: money(), ..Purchase::default() };
    let returned =
        ProductReturn { order_id: "order".into(), quantity: 1, amount: money(), ..ProductReturn::default() };
    Event {
        event_id: id.into(),
        user_id: "u".into(),
        kind: kind.into(),
        item_id: item.into(),
        occurred_at: Some(Timestamp { seconds: at, nanos: 0 }),
        purchase: (kind == EventKind::Purchase).then_some(purchase),
        product_return: (kind == EventKind::Return).then_some(returned),
        rating: (kind == EventKind::Rating).then_some(4.0),
        ..Event::default()
    }
}

fn u() -> Identity {
    Identity::new("u")
}

async fn ingest(store: &Store, events: Vec<Event>) {
    let rows: Vec<EventRow> = events.into_iter().map(EventRow).collect();
    store.ingest_events(&rows, 0).await.expect("stored");
}

#[tokio::test]
async fn impressions_leave_the_history_as_it_is() {
    let store = store().await;
    ingest(&store, vec![event("bought", EventKind::Purchase, "a", 1)]).await;
    let before = store.history(Some(&u()), &[], 1000).await.expect("read");
    let shown = |n: i64| event(&format!("shown-{n}"), EventKind::Impression, "b", 10 + n);
    ingest(&store, (0..1_100).map(shown).collect()).await;
    assert_eq!(store.history(Some(&u()), &[], 1000).await.expect("read"), before);
    assert_eq!(before.len(), 1);
    assert_eq!(store.acts_of(&u()).await.expect("read").len(), 1, "impressions are no acts of a person");
}

#[tokio::test]
async fn a_visitor_whose_link_is_on_its_way_is_the_person() {
    let store = store().await;
    let of =
        |visitor: &str, event: Event| Event { user_id: String::new(), visitor_id: visitor.into(), ..event };
    let disliked = |id: &str, visitor: &str, item: &str| of(visitor, event(id, EventKind::Dislike, item, 20));
    ingest(&store, vec![disliked("d1", "phone", "a"), disliked("d2", "tablet", "b")]).await;
    ingest(&store, vec![event("d3", EventKind::Dislike, "c", 20)]).await;
    let linked = Identity { id: "u".into(), visitors: vec!["phone".into(), "tablet".into()] };
    let mut left_out = store.left_out(&linked, 10, true).await.expect("read");
    left_out.sort_unstable();
    assert_eq!(left_out, ["a", "b", "c"]);
    assert_eq!(store.left_out(&u(), 10, true).await.expect("read"), ["c"]);
    let history = store.history(Some(&linked), &[], 10).await.expect("read");
    assert!(history.len() == 3 && history.iter().all(|deed| deed.person == "u"), "{history:?}");

    // Asked for by the visitor's id once the link is stored.
    let link = Event { visitor_id: "phone".into(), ..event("l", EventKind::Link, "", 30) };
    ingest(&store, vec![link]).await;
    let mut left_out = store.left_out(&Identity::new("phone"), 10, true).await.expect("read");
    left_out.sort_unstable();
    assert_eq!(left_out, ["a", "c"]);
}

#[tokio::test]
async fn the_history_is_read_through_the_index_of_acts() {
    let store = store().await;
    let rows = Entity::find().select_only().columns(DEED).filter(u().owns()).filter(are_acts());
    let rows = rows.order_by_desc(Column::OccurredAt).order_by_desc(Column::EventId).limit(1000);
    let sql = format!("EXPLAIN QUERY PLAN {}", rows.build(DbBackend::Sqlite));
    let plan = store.db.query_all_raw(Statement::from_string(DbBackend::Sqlite, sql)).await.expect("planned");
    let plan: Vec<String> = plan.iter().map(|row| row.try_get("", "detail").expect("a plan")).collect();
    let plan = plan.join("; ");
    assert!(plan.contains("recommender_event_act") && !plan.contains("TEMP B-TREE"), "{plan}");
}

#[tokio::test]
async fn several_partial_returns_lower_the_kept_share_whatever_comes_first() {
    let store = store().await;
    let kept = async || store.history(Some(&u()), &[], 10).await.expect("read")[0].kept;
    ingest(&store, vec![event("r1", EventKind::Return, "a", 20), event("p", EventKind::Purchase, "a", 10)])
        .await;
    assert!((kept().await - 0.75).abs() < 1e-6, "one of four");
    ingest(&store, vec![event("r2", EventKind::Return, "a", 30)]).await;
    ingest(&store, vec![event("r2", EventKind::Return, "a", 30)]).await;
    assert!((kept().await - 0.5).abs() < 1e-6, "two of four, the second told twice");
    let recent = [event("r3", EventKind::Return, "a", 40), event("r2", EventKind::Return, "a", 30)];
    let history = store.history(Some(&u()), &recent, 10).await.expect("read");
    assert!(
        history.len() == 1 && (history[0].kept - 0.25).abs() < 1e-6,
        "one more that is not stored: {history:?}"
    );
}

#[tokio::test]
async fn a_wholly_returned_purchase_is_left_out_like_one_that_was_kept() {
    let store = store().await;
    let returned: Vec<Event> = (0..4).map(|n| event(&format!("r{n}"), EventKind::Return, "a", 20)).collect();
    ingest(&store, [vec![event("p", EventKind::Purchase, "a", 10)], returned].concat()).await;
    ingest(&store, vec![event("d", EventKind::Dislike, "b", 50), event("e", EventKind::Dislike, "c", 5)])
        .await;
    assert_eq!(store.left_out(&u(), 10, true).await.expect("read"), ["a", "b"]);
    assert_eq!(store.left_out(&u(), 10, false).await.expect("read"), ["b"]);
    let acts = store.acts_of(&u()).await.expect("read");
    let bought = acts.iter().find(|act| act.kind == EventKind::Purchase).expect("bought");
    assert_eq!((bought.undone_at, bought.value), (20, 500));
    assert_eq!(
        acts.iter().filter(|act| act.kind == EventKind::Return).map(|act| act.value).sum::<i64>(),
        -2_000
    );
}

#[tokio::test]
async fn events_stored_by_an_earlier_release_get_their_ratings_orders_and_popularity() {
    let folder = tempfile::tempdir().expect("a folder");
    let url = Secret::new(format!("sqlite://{}/r.db?mode=rwc", folder.path().display()));
    let db = chassis::database::open(&url).await.expect("opens");
    Migrator::up(&db, Some(4)).await.expect("migrated to the release before");
    for event in [event("p", EventKind::Purchase, "a", 1), event("q", EventKind::Rating, "b", 2)] {
        let insert = Statement::from_sql_and_values(
            DbBackend::Sqlite,
            "INSERT INTO recommender_event (event_id, person, visitor, kind, item_id, occurred_at, payload) \
             VALUES (?, ?, '', ?, ?, ?, ?)",
            [
                event.event_id.as_str().into(),
                "u".into(),
                event.kind.into(),
                event.item_id.as_str().into(),
                event.occurred_at.map_or(0, |at| at.seconds).into(),
                event.encode_to_vec().into(),
            ],
        );
        db.execute_raw(insert).await.expect("stored");
    }
    drop(db);
    let store = Store::open(&url, std::sync::Arc::default()).await.expect("migrates");
    let history = store.history(Some(&u()), &[], 10).await.expect("read");
    assert_eq!(history[1].rating, Some(4.0));
    ingest(&store, vec![event("r", EventKind::Return, "a", 3)]).await;
    let history = store.history(Some(&u()), &[], 10).await.expect("read");
    assert!((history[0].kept - 0.75).abs() < 1e-6, "{history:?}");
    assert!(store.settle_popularity().await.expect("computed"));
    let popular = store.popularity().await.expect("read");
    assert_eq!(popular.iter().map(|(id, _)| id.as_str()).collect::<Vec<_>>(), ["a", "b"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_is_being_stored_is_read_once_and_never_missed() {
    let store = store().await;
    for number in 0..300 {
        let clicked = event(&format!("c{number}"), EventKind::Click, &format!("i{number}"), 10 + number);
        let (storing, event) = (store.clone(), clicked.clone());
        let stored = tokio::spawn(async move { ingest(&storing, vec![event]).await });
        for _ in 0..4 {
            let person = u();
            let history =
                store.history(Some(&person), std::slice::from_ref(&clicked), 1000).await.expect("read");
            let times = history.iter().filter(|deed| deed.item_id == clicked.item_id).count();
            assert_eq!(times, 1, "event {number}");
        }
        stored.await.expect("stored");
    }
}
