//! Visitors and users: linked explicitly, one person from then on.

use proto::common::v1::{Event, EventKind};
use proto::recommender::v1::{
    Algorithm, EraseUserRequest, ExportUserRequest, GetProfileRequest, IngestEventsRequest,
    ListSegmentsRequest, RecommendRequest, Rules, TrainRequest,
};
use recommender::store::EventRow;
use tonic::Code;

use super::{Client, Served, event, fill, ids, ingest, on_postgres, on_sqlite, open, recommend, train};

/// An event of somebody who is not known.
fn anonymous(id: &str, visitor: &str, kind: EventKind, item: i64) -> Event {
    let now = chrono::Utc::now().timestamp();
    Event { visitor_id: visitor.into(), ..event(id, "", kind, item, now) }
}

fn link(id: &str, visitor: &str, user: &str) -> Event {
    Event { item_id: String::new(), ..anonymous(id, visitor, EventKind::Link, 0) }.of(user)
}

trait Of {
    fn of(self, user: &str) -> Self;
}

impl Of for Event {
    fn of(self, user: &str) -> Self {
        Self { user_id: user.into(), ..self }
    }
}

async fn profile(client: &mut Client, user: &str) -> Vec<String> {
    let answer = client.get_profile(GetProfileRequest { user_id: user.into() }).await.expect("answered");
    let mut items = answer.into_inner().profile.expect("a profile").recent_item_ids;
    items.sort_unstable();
    items
}

/// Items that are left out as bought when this person asks.
async fn bought(client: &mut Client, user: &str, visitor: &str) -> Vec<String> {
    let rules = Rules { exclude_purchased: true, ..Rules::default() };
    let request = RecommendRequest {
        user_id: user.into(),
        visitor_id: visitor.into(),
        limit: 100,
        rules: Some(rules),
        ..RecommendRequest::default()
    };
    let answer = recommend(client, request).await;
    let shown = ids(&answer);
    let all = (0..10).map(|n| format!("item-{n}"));
    all.filter(|id| !shown.contains(&id.as_str())).collect()
}

async fn identity(served: &mut Served) {
    let client = &mut served.client;
    fill(client).await;
    let buy = |id: &str, visitor: &str, item| anonymous(id, visitor, EventKind::Purchase, item);

    // The link may come after, before and between the events it concerns, and twice.
    ingest(client, vec![buy("a1", "tablet", 1)]).await;
    assert_eq!(profile(client, "ann").await, Vec::<String>::new());
    assert_eq!(bought(client, "", "tablet").await, ["item-1"]);
    ingest(client, vec![link("l1", "tablet", "ann"), buy("a2", "tablet", 2)]).await;
    ingest(client, vec![buy("a3", "phone", 3), link("l2", "phone", "ann"), buy("a4", "phone", 4)]).await;
    assert_eq!(ingest(client, vec![link("l1", "tablet", "ann")]).await, 0, "known by its event_id");
    assert_eq!(ingest(client, vec![link("l3", "tablet", "ann")]).await, 1, "the same link once more");
    let all = ["item-1", "item-2", "item-3", "item-4"];
    assert_eq!(profile(client, "ann").await, all);
    for (user, visitor) in [("ann", ""), ("", "tablet"), ("", "phone"), ("ann", "elsewhere")] {
        assert_eq!(bought(client, user, visitor).await, all, "asked by {user} {visitor}");
    }

    // A shared device: what a user did there belongs to that user, and links nothing.
    ingest(client, vec![buy("b1", "kiosk", 5), buy("b2", "kiosk", 6).of("bob")]).await;
    assert_eq!(bought(client, "", "kiosk").await, ["item-5"]);
    assert_eq!(bought(client, "bob", "kiosk").await, ["item-6"]);

    // A link that is on its way counts for the question that carries it, and is not stored by it.
    ingest(client, vec![buy("c1", "laptop", 8)]).await;
    let asked = |recent_events| RecommendRequest {
        user_id: "carol".into(),
        limit: 100,
        rules: Some(Rules { exclude_purchased: true, ..Rules::default() }),
        recent_events,
        ..RecommendRequest::default()
    };
    let answer = recommend(client, asked(vec![link("l9", "laptop", "carol")])).await;
    assert!(!ids(&answer).contains(&"item-8"));
    for others in [vec![], vec![link("l9", "laptop", "dave")]] {
        assert!(ids(&recommend(client, asked(others)).await).contains(&"item-8"));
    }

    // A visitor is linked once for ever.
    let row = |event| IngestEventsRequest { event: Some(event), log_position: 0 };
    let rows = vec![row(link("l4", "tablet", "eve")), row(buy("e1", "tablet", 7))];
    let taken = client.ingest_events(tokio_stream::iter(rows)).await.expect("taken").into_inner();
    assert_eq!((taken.accepted, taken.duplicates, taken.rejected.len()), (1, 0, 1), "{taken:?}");
    assert_eq!((taken.rejected[0].id.as_str(), taken.rejected[0].field.as_str()), ("l4", "visitor_id"));
    assert!(taken.rejected[0].reason.contains("VISITOR_LINKED_ELSEWHERE"), "{taken:?}");
    assert_eq!(bought(client, "eve", "").await, Vec::<String>::new());
    assert_eq!(bought(client, "ann", "").await.len(), 5);

    // Segments count a visitor and its user once: forty buyers, Ann, Bob, and the unknown visitors of the kiosk and
    // the laptop.
    train(client, Algorithm::Popularity).await;
    let list = client.list_segments(ListSegmentsRequest::default()).await.expect("answered").into_inner();
    assert_eq!(list.segments.iter().map(|one| one.size).sum::<u64>(), 44, "{list:?}");

    let exported = client.export_user(ExportUserRequest { user_id: "ann".into() }).await;
    let page = exported.expect("answered").into_inner().message().await.expect("goes on").expect("a page");
    assert_eq!(page.events.len(), 8, "five purchases and three links");
    let erasure = EraseUserRequest { user_id: "ann".into(), ..Default::default() };
    assert_eq!(client.erase_user(erasure).await.expect("erased").into_inner().removed, 10, "with two links");
    for (user, visitor) in [("ann", ""), ("", "tablet"), ("", "phone")] {
        assert_eq!(bought(client, user, visitor).await, Vec::<String>::new());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_linked_visitor_and_its_user_are_one_person_on_sqlite() {
    let mut served = on_sqlite().await;
    identity(&mut served).await;
    served.stop.cancel();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_linked_visitor_and_its_user_are_one_person_on_postgres() {
    on_postgres(|mut served| async move {
        identity(&mut served).await;
        linked_while_events_come_in(&served).await;
        served.stop.cancel();
    })
    .await;
}

/// Events of a visitor that are stored while the visitor is linked do not stay behind.
async fn linked_while_events_come_in(served: &Served) {
    let store = open(&served.url).await;
    for round in 0..20 {
        let (visitor, user) = (format!("v{round}"), format!("u{round}"));
        let writers = (0..4).map(|writer| {
            let (store, visitor) = (store.clone(), visitor.clone());
            tokio::spawn(async move {
                for n in 0..5 {
                    let id = format!("{visitor}-{writer}-{n}");
                    let row = EventRow(anonymous(&id, &visitor, EventKind::Click, n));
                    store.ingest_events(&[row], 0).await.expect("stored");
                }
            })
        });
        let writers: Vec<_> = writers.collect();
        let linking = EventRow(link(&format!("link-{round}"), &visitor, &user));
        store.ingest_events(&[linking], 0).await.expect("stored");
        for writer in writers {
            writer.await.expect("wrote");
        }
        assert_eq!(store.events_page(&user, None, 100).await.expect("read").len(), 21, "round {round}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn training_waits_for_a_position_of_the_log_or_says_how_far_it_is() {
    let mut served = on_sqlite().await;
    let client = &mut served.client;
    fill(client).await;
    let now = chrono::Utc::now().timestamp();
    let row = |id: &str, log_position| IngestEventsRequest {
        event: Some(event(id, "user-1", EventKind::View, 1, now)),
        log_position,
    };
    let send = |rows: Vec<IngestEventsRequest>| tokio_stream::iter(rows);
    client.ingest_events(send(vec![row("p1", 6), row("p2", 7)])).await.expect("taken");
    // A duplicate and a refused row are behind us as well.
    let bad = IngestEventsRequest { event: None, log_position: 9 };
    client.ingest_events(send(vec![row("p1", 8), bad])).await.expect("taken");

    let request = |after_position| TrainRequest {
        after_position,
        algorithm: Algorithm::Popularity.into(),
        ..Default::default()
    };
    let mut steps = client.train(request(9)).await.expect("starts").into_inner();
    while steps.message().await.expect("goes on").is_some() {}

    let mut late = tonic::Request::new(request(10));
    late.set_timeout(std::time::Duration::from_millis(700));
    let mut steps = client.train(late).await.expect("starts").into_inner();
    let refused = loop {
        match steps.message().await {
            Ok(step) => assert_eq!(step.expect("not the end").stage, "read", "no work before the position"),
            Err(refused) => break refused,
        }
    };
    assert_eq!(refused.code(), Code::DeadlineExceeded);
    assert!(refused.message().contains("position 9"), "{refused}");

    // What waits goes on when the position is reached.
    let mut steps = client.train(request(10)).await.expect("starts").into_inner();
    let waits = steps.message().await.expect("goes on").expect("a step");
    assert!(waits.message.contains("position 10"), "{waits:?}");
    client.clone().ingest_events(send(vec![row("p3", 10)])).await.expect("taken");
    let mut model = None;
    while let Some(step) = steps.message().await.expect("goes on") {
        model = step.model.or(model);
    }
    assert!(model.is_some());
    served.stop.cancel();
}
