//! Visitors who become users: one identity in experiments, decisions, exports and erasure.

use chassis::auth::{PrivacyConfig, Pseudonymiser};
use chassis::config::Secret;
use evaluator::store::{EventRow, Store};
use prost::Message as _;
use proto::common::v1::{Channel, Event, EventKind};
use proto::evaluator::v1::*;

use crate::support::*;

fn link(id: &str, visitor: &str, user: &str) -> Event {
    Event {
        visitor_id: visitor.into(),
        item_id: String::new(),
        ..event(id.into(), user, EventKind::Link, "")
    }
}

/// The same event by an anonymous visitor.
fn by_visitor(visitor: &str, event: Event) -> Event {
    Event { user_id: String::new(), visitor_id: visitor.into(), ..event }
}

fn decided(id: &str, (user, visitor): (&str, &str), variant: &str, seconds: i64) -> Decision {
    Decision {
        decision_id: id.into(),
        user_id: user.into(),
        visitor_id: visitor.into(),
        decided_at: at(THEN + seconds),
        channel: Channel::Web.into(),
        assignments: vec![Assignment {
            experiment_id: "e".into(),
            variant_id: variant.into(),
            propensity: 0.5,
            ..Assignment::default()
        }],
        offer_propensity: 1.0,
        ..Decision::default()
    }
}

async fn started(served: &mut Served) {
    let create = CreateExperimentRequest { experiment: Some(halves("e")), request_id: String::new() };
    served.experiments.create_experiment(create).await.expect("made");
    let start = StartExperimentRequest { experiment_id: "e".into(), request_id: String::new() };
    served.experiments.start_experiment(start).await.expect("started");
}

fn database() -> (String, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    (format!("sqlite://{}/e.db?mode=rwc", folder.path().display()), folder)
}

/// The sums kept are those that the log gives.
async fn kept_as_rebuilt(url: &str) {
    let store = Store::open(&Secret::new(url)).await.expect("opens");
    let (kept, rebuilt) = store.rebuild_cells().await.expect("rebuilt");
    assert_eq!(kept, rebuilt);
}

/// 40 people see one variant as visitors and the other as users; 1 000 stay in one (PostHog issue 29336).
pub(crate) async fn people_in_two_variants(served: &mut Served) {
    started(served).await;
    let mut decisions = Vec::new();
    for person in 0..1_000 {
        let variant = if person % 2 == 0 { "control" } else { "treatment" };
        decisions.push(decided(&format!("d{person}"), (&format!("u{person}"), ""), variant, 0));
    }
    let mut events = Vec::new();
    for person in 0..40 {
        let (visitor, user) = (format!("visitor{person}"), format!("member{person}"));
        decisions.push(decided(&format!("a{person}"), ("", &visitor), "control", 0));
        decisions.push(decided(&format!("b{person}"), (&user, &visitor), "treatment", 60));
        events.push(by_visitor(
            &visitor,
            event(format!("c{person}"), "", EventKind::Click, &format!("a{person}")),
        ));
        events.push(link(&format!("l{person}"), &visitor, &user));
    }
    record(served, decisions).await;
    let stored = ingest(served, events).await;
    assert_eq!((stored.accepted, stored.rejected.len()), (80, 0));

    let found = analysed(served, "e", &["CR"]).await;
    let health = found.health.expect("health");
    assert_eq!(health.multiple_exposures, 40, "people in two variants are reported");
    let srm = health.srm_p_value.expect("computed");
    assert!((srm - 1.0).abs() < 1e-9, "the ratio of the other 1 000 is exact: {srm}");
    let result = &found.results[0];
    assert_eq!((result.control_value, result.variant_value), (0.0, 0.0));
    let trials = |interval: &Option<proto::common::v1::Interval>| interval.as_ref().map(|i| i.upper);
    // Wilson's upper bound of 0 of 500: both arms hold 500 units, none of the 40.
    let expected = 3.841_458_820_694_124 / (500.0 + 3.841_458_820_694_124);
    for bound in [trials(&result.control_interval), trials(&result.variant_interval)] {
        assert!((bound.expect("an interval") - expected).abs() < 1e-9, "{bound:?}");
    }
}

/// 30 visitors: `one` is told their decisions and purchases one by one, `other` their links at the same time.
pub(crate) async fn visitors_on_two_replicas(one: &mut Served, other: &mut Served) {
    const VISITORS: usize = 30;
    started(one).await;
    let acts = async {
        for person in 0..VISITORS {
            let visitor = format!("v{person}");
            record(one, vec![decided(&format!("d{person}"), ("", &visitor), "control", 0)]).await;
            ingest(one, vec![by_visitor(&visitor, purchase(&format!("o{person}"), "", 100))]).await;
        }
    };
    let links = async {
        for person in 0..VISITORS {
            ingest(other, vec![link(&format!("l{person}"), &format!("v{person}"), &format!("u{person}"))])
                .await;
        }
    };
    tokio::join!(acts, links);
    for person in 0..VISITORS {
        let held = exported(one, &format!("u{person}")).await;
        assert_eq!((held.decisions.len(), held.events.len()), (1, 2), "u{person}");
        assert!(held.events.iter().all(|event| event.user_id == held.decisions[0].user_id));
    }
    let found = analysed(other, "e", &["REVENUE"]).await;
    assert_eq!((found.results[0].control_value, found.results[0].variant_value), (100.0, 0.0));
}

#[tokio::test]
async fn people_exposed_to_two_variants_through_a_link_are_in_no_arm() {
    let (url, folder) = database();
    let mut served = served_on(&url, folder).await;
    people_in_two_variants(&mut served).await;
    kept_as_rebuilt(&url).await;
}

/// Whatever the order of link, decisions and events, the visitor's purchases count for the user's variant.
#[tokio::test]
async fn a_link_may_come_before_between_or_after_what_it_concerns_and_twice() {
    for order in [[0, 1, 2], [1, 0, 2], [1, 2, 0], [2, 1, 0], [2, 0, 1], [0, 2, 1]] {
        let (url, folder) = database();
        let mut served = served_on(&url, folder).await;
        started(&mut served).await;
        for step in order {
            match step {
                0 => drop(ingest(&mut served, vec![link("l", "v", "ann")]).await),
                1 => {
                    let decisions = vec![
                        decided("d1", ("", "v"), "treatment", 0),
                        decided("d2", ("bob", ""), "control", 0),
                    ];
                    drop(record(&mut served, decisions).await);
                }
                _ => {
                    let before = by_visitor("v", purchase("o1", "", 700));
                    drop(ingest(&mut served, vec![before, purchase("o2", "ann", 300)]).await);
                }
            }
        }
        let again = ingest(&mut served, vec![link("l", "v", "ann"), link("again", "v", "ann")]).await;
        assert_eq!((again.accepted, again.duplicates, again.rejected.len()), (1, 1, 0));
        let found = analysed(&mut served, "e", &["REVENUE", "AOV"]).await;
        let of = |metric: &str| found.results.iter().find(|r| r.metric == metric).expect("listed");
        let values = (of("REVENUE").control_value, of("REVENUE").variant_value, of("AOV").variant_value);
        assert_eq!(values, (0.0, 1000.0, 500.0), "{order:?}");
        kept_as_rebuilt(&url).await;
    }
}

#[tokio::test]
async fn a_visitor_of_one_user_is_not_linked_to_another() {
    let mut served = served().await;
    let stored =
        ingest(&mut served, vec![link("1", "v", "ann"), link("2", "v", "bob"), link("3", "w", "ann")]).await;
    assert_eq!((stored.accepted, stored.duplicates, stored.rejected.len()), (2, 0, 1));
    let refused = &stored.rejected[0];
    assert_eq!((refused.id.as_str(), refused.field.as_str()), ("2", "visitor_id"));
    assert!(refused.reason.starts_with("VISITOR_LINKED_ELSEWHERE"), "{refused:?}");
    assert_eq!(ingest(&mut served, vec![link("4", "v", "bob")]).await.rejected.len(), 1, "nor later");
}

/// Two people on one device: the events of each belong to the user they name.
#[tokio::test]
async fn an_event_that_names_both_ids_links_nothing() {
    let mut served = served().await;
    let on_device = |event: Event| Event { visitor_id: "device".into(), ..event };
    ingest(
        &mut served,
        vec![
            on_device(purchase("o1", "ann", 100)),
            on_device(purchase("o2", "bob", 200)),
            by_visitor("device", purchase("o3", "", 400)),
        ],
    )
    .await;
    assert_eq!(exported(&mut served, "ann").await.events.len(), 1);
    ingest(&mut served, vec![link("l", "device", "ann")]).await;
    let held = exported(&mut served, "ann").await.events;
    let mut ids: Vec<&str> = held.iter().map(|event| event.event_id.as_str()).collect();
    ids.sort_unstable();
    assert_eq!(ids, ["l", "o1", "o3"], "what the visitor did before is Ann's, what Bob did is not");
}

#[tokio::test]
async fn a_linked_visitor_is_assigned_and_decided_as_its_user() {
    let mut served = served().await;
    started(&mut served).await;
    let assign = |unit: String| AssignRequest { unit_id: unit, experiment_ids: vec!["e".into()] };
    let mut differed = 0;
    for person in 0..20 {
        let (visitor, user) = (format!("v{person}"), format!("u{person}"));
        let alone = served.experiments.assign(assign(visitor.clone())).await.expect("assigned").into_inner();
        ingest(&mut served, vec![link(&format!("l{person}"), &visitor, &user)]).await;
        let linked = served.experiments.assign(assign(visitor.clone())).await.expect("assigned").into_inner();
        let known = served.experiments.assign(assign(user.clone())).await.expect("assigned").into_inner();
        assert_eq!(linked, known);
        differed += u32::from(alone != linked);
        let decide = |user_id: String| DecideRequest {
            user_id,
            context: None,
            decision_id: "d".into(),
            ..Default::default()
        };
        let decided = served.strategies.decide(decide(visitor)).await.expect("decided").into_inner();
        assert_eq!(decided, served.strategies.decide(decide(user)).await.expect("decided").into_inner());
    }
    assert!(differed > 0, "a visitor's own bucket is another's");
}

#[tokio::test]
async fn erasing_a_user_removes_linked_visitors_and_their_links_but_nobody_elses_rows() {
    let (url, folder) = database();
    let mut served = served_on(&url, folder).await;
    started(&mut served).await;
    record(
        &mut served,
        vec![decided("d1", ("", "v"), "treatment", 0), decided("d2", ("bob", "v"), "control", 0)],
    )
    .await;
    let bobs = Event { visitor_id: "v".into(), ..purchase("o2", "bob", 200) };
    ingest(&mut served, vec![by_visitor("v", purchase("o1", "", 100)), bobs, link("l", "v", "ann")]).await;

    let erase = EraseUserRequest { user_id: "ann".into(), request_id: String::new() };
    let removed = served.decisions.erase_user(erase).await.expect("erased").into_inner().removed;
    assert_eq!(removed, 5, "a decision, its assignment, the purchase, the LINK event and the link");
    kept_as_rebuilt(&url).await;
    for gone in ["ann", "v"] {
        assert_eq!(exported(&mut served, gone).await, ExportUserResponse::default(), "{gone}");
    }
    let bob = exported(&mut served, "bob").await;
    assert_eq!((bob.decisions.len(), bob.events.len()), (1, 1), "Bob's rows stay");
    assert!(
        bob.decisions[0].visitor_id.is_empty() && bob.events[0].visitor_id.is_empty(),
        "without the visitor"
    );
    let stored = ingest(&mut served, vec![link("new", "v", "cat")]).await;
    assert_eq!((stored.accepted, stored.rejected.len()), (1, 0), "the visitor is linked to nobody any more");
}

#[tokio::test]
async fn erasing_a_linked_visitor_erases_the_user_it_is() {
    let mut served = served().await;
    ingest(&mut served, vec![purchase("o1", "ann", 100), link("l", "v", "ann")]).await;
    let erase = EraseUserRequest { user_id: "v".into(), request_id: String::new() };
    assert_eq!(served.decisions.erase_user(erase).await.expect("erased").into_inner().removed, 3);
    assert_eq!(exported(&mut served, "ann").await, ExportUserResponse::default());
}

/// Rows of earlier versions hold the decision as the token and the offer among the attributes.
#[tokio::test]
async fn an_event_stored_by_an_earlier_version_is_exported_in_the_new_form() {
    let (url, folder) = database();
    let mut served = served_on(&url, folder).await;
    // An answer: the database is migrated.
    assert_eq!(exported(&mut served, "ann").await, ExportUserResponse::default());
    let ann = Pseudonymiser::new(&PrivacyConfig::default()).pseudonym("ann");
    let payload = Event {
        event_id: "old".into(),
        user_id: ann.clone(),
        kind: EventKind::OfferRedeemed.into(),
        occurred_at: at(THEN),
        decision_token: "d1".into(),
        attributes: [
            ("offer_id".to_owned(), "ten".to_owned()),
            ("discount_minor".to_owned(), "5".to_owned()),
        ]
        .into(),
        ..Event::default()
    };
    let row = EventRow {
        event_id: "old".into(),
        person: ann,
        visitor: String::new(),
        kind: EventKind::OfferRedeemed as i16,
        occurred_at: THEN * 1_000_000,
        channel: 0,
        campaign_id: String::new(),
        decision_id: "d1".into(),
        offer_id: "ten".into(),
        item_id: String::new(),
        quantity: 0,
        order_id: String::new(),
        currency: String::new(),
        revenue: None,
        cost: None,
        tax: None,
        rating: None,
        payload: payload.encode_to_vec(),
    };
    Store::open(&Secret::new(&*url)).await.expect("opens").ingest_events(vec![row], 0).await.expect("stored");
    let held = exported(&mut served, "ann").await.events.into_iter().next().expect("held");
    assert_eq!(
        (held.decision_id.as_str(), held.decision_token.as_str(), held.offer_id.as_str()),
        ("d1", "", "ten")
    );
    assert_eq!(held.attributes.into_iter().collect::<Vec<_>>(), [("discount_minor".into(), "5".into())]);
}

/// Exports are paged from the database: at most 500 rows a message, all rows once.
#[tokio::test]
async fn an_export_of_many_rows_comes_in_messages_of_500() {
    let mut served = served().await;
    let events = (0..1_201).map(|i| event(format!("e{i:04}"), "ann", EventKind::Click, "")).collect();
    ingest(&mut served, events).await;
    let held = exported(&mut served, "ann").await;
    let mut ids: Vec<String> = held.events.into_iter().map(|event| event.event_id).collect();
    ids.dedup();
    assert_eq!(ids.len(), 1_201);
    assert!(ids.is_sorted(), "the oldest first, then by id");
}
