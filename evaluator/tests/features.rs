//! Features of people: from their events to decisions, training and predictions.

// Messages gain fields.
#![allow(clippy::needless_update)]

use chassis::calendar::Calendar;
use chassis::config::Secret;
use evaluator::features::{Features, vector};
use evaluator::store::Store;
use proto::common::v1::{Channel, Event, EventKind, Money, Offer, OfferKind, ProductReturn};
use proto::evaluator::v1::*;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use sea_orm::{ConnectionTrait as _, Database};

use crate::support::*;

const DAY: i64 = 86_400;

/// An order placed `days` before THEN.
fn order(user: &str, number: u32, days: i64) -> Event {
    Event { occurred_at: at(THEN - days * DAY), ..purchase(&format!("{user}-o{number}"), user, 4_000) }
}

fn orders(user: &str, count: u32) -> impl Iterator<Item = Event> {
    (0..count).map(move |number| order(user, number, 10 + 7 * i64::from(number)))
}

fn category(mut event: Event, name: &str) -> Event {
    event.attributes.insert("category".into(), name.into());
    event
}

pub(crate) fn coupon() -> Offer {
    Offer {
        offer_id: "twenty".into(),
        kind: OfferKind::Coupon.into(),
        percent_off: Some(20.0),
        ends_at: at(4_000_000_000),
        ..Offer::default()
    }
}

async fn decided(served: &mut Served, user: &str, seconds: i64) -> DecideResponse {
    let context =
        DecisionContext { channel: Channel::Web.into(), at: at(seconds), seed: 5, ..Default::default() };
    let request = DecideRequest { user_id: user.into(), context: Some(context), ..Default::default() };
    served.strategies.decide(request).await.expect("decided").into_inner()
}

async fn features(served: &mut Served, user: &str, seconds: i64) -> Features {
    let found = decided(served, user, seconds).await;
    assert_eq!(found.feature_version, evaluator::features::VERSION);
    found.features.into_iter().collect()
}

pub(crate) async fn predicted(served: &mut Served, user: &str) -> (f64, PredictEffectResponse) {
    let treatment = Treatment {
        treatment_id: "t".into(),
        offer: Some(coupon()),
        channel: Channel::Web.into(),
        ..Treatment::default()
    };
    let request = PredictEffectRequest {
        user_id: user.into(),
        treatments: vec![treatment],
        at: at(THEN + DAY),
        ..PredictEffectRequest::default()
    };
    let found = served.effects.predict_effect(request).await.expect("predicted").into_inner();
    (found.effects[0].uplift.as_ref().expect("an uplift").estimate, found)
}

/// Nine hundred people of an ordinary shop, a third each with twenty orders, with two and with none. The coupon wins over
/// strangers, and none of those who buy anyway. Decisions are recorded as a caller does who knows no features.
pub(crate) async fn shop(served: &mut Served) {
    let (log, events) = logged(THEN, true);
    let rows = [UpsertOffersRequest { offer: Some(coupon()) }];
    served.strategies.upsert_offers(tokio_stream::iter(rows)).await.expect("stored");
    assert!(record(served, log).await.rejected.is_empty());
    assert!(ingest(served, events).await.rejected.is_empty());
}

/// Its decisions from `begin` on and its events; purchases carry their decision's token where there are `tokens`.
pub(crate) fn logged(begin: i64, tokens: bool) -> (Vec<Decision>, Vec<Event>) {
    let mut random = StdRng::seed_from_u64(11);
    let (mut log, mut events) = (Vec::new(), Vec::new());
    for person in 0..900_u32 {
        let user = format!("u{person}");
        let kind = person % 3;
        events.extend(orders(&user, [20, 2, 0][kind as usize]));
        for visit in 0..4 {
            let seconds = begin + i64::from(visit) * 600 + i64::from(person % 500);
            let offer = ["", "twenty"][random.random_range(0..2)];
            let chance = match (kind, offer) {
                (0, _) => 0.5,
                (1, "twenty") => 0.25,
                (_, "twenty") => 0.45,
                (1, _) => 0.2,
                (_, _) => 0.05,
            };
            let decision_id = format!("d{person}-{visit}");
            if random.random_bool(chance) {
                let bought = purchase(&format!("{decision_id}-p"), &user, 4_000);
                events.push(Event {
                    decision_id: if tokens { decision_id.clone() } else { String::new() },
                    occurred_at: at(seconds + 30),
                    ..bought
                });
            }
            log.push(Decision {
                decision_id,
                user_id: user.clone(),
                decided_at: at(seconds),
                channel: Channel::Web.into(),
                offer_id: offer.into(),
                offer_propensity: 0.5,
                ..Decision::default()
            });
        }
    }
    (log, events)
}

pub(crate) async fn train(served: &mut Served) {
    let request = TrainEffectModelRequest { target: "purchase".into(), seed: 3, ..Default::default() };
    let mut stages = served.effects.train_effect_model(request).await.expect("trains").into_inner();
    while let Some(stage) = stages.message().await.expect("a stage") {
        if stage.stage == "done" {
            assert!(stage.metrics["promoted"] > 0.5, "{:?}", stage.metrics);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_buyer_of_twenty_orders_one_of_two_and_a_stranger_get_effects_of_their_own() {
    let mut served = served_in_simulation().await;
    shop(&mut served).await;
    train(&mut served).await;
    // Three people the model has not seen.
    let events = orders("often", 20).chain(orders("rarely", 2));
    ingest(&mut served, events.collect()).await;
    let (often, of_model) = predicted(&mut served, "often").await;
    let (rarely, _) = predicted(&mut served, "rarely").await;
    let (stranger, _) = predicted(&mut served, "stranger").await;
    assert_eq!(of_model.feature_version, evaluator::features::VERSION);
    assert!(stranger > rarely + 0.1 && rarely > often + 0.01, "{often} {rarely} {stranger}");
    assert!(often.abs() < 0.12 && (stranger - 0.4).abs() < 0.12, "{often} {stranger}");

    let mut by_person = Vec::new();
    for user in ["often", "rarely", "stranger"] {
        by_person.push(features(&mut served, user, THEN + DAY).await);
    }
    let of = |name: &str| by_person.iter().map(|found| found.get(name).copied()).collect::<Vec<_>>();
    assert_eq!(of(vector::ORDERS), [Some(20.0), Some(2.0), Some(0.0)]);
    assert_eq!(of(vector::SINCE_ORDER), [Some(11.0), Some(11.0), None]);
    assert_eq!(of("person:spend:USD"), [Some(80_000.0), Some(8_000.0), None]);
    assert_eq!(of("person:channel:web"), [Some(1.0), Some(1.0), None]);
    assert!(by_person.iter().all(|found| found["channel:web"] > 0.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_of_another_version_of_the_features_is_refused_until_it_is_trained_anew() {
    let folder = tempfile::tempdir().expect("a folder");
    let url = format!("sqlite://{}/e.db?mode=rwc", folder.path().display());
    let mut served = simulated_on(&url, folder).await;
    shop(&mut served).await;
    train(&mut served).await;
    let db = Database::connect(&url).await.expect("opens");
    let older = "UPDATE evaluator_effect_model SET model_id = 'effect-0', \
                 payload = replace(payload, '\"feature_version\":1', '\"feature_version\":0')";
    db.execute_unprepared(older).await.expect("changed");
    tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
    let request = PredictEffectRequest {
        user_id: "u1".into(),
        treatments: vec![Treatment::default()],
        ..PredictEffectRequest::default()
    };
    let status = served.effects.predict_effect(request.clone()).await.expect_err("refused");
    assert_eq!(chassis::error::reason(&status).as_deref(), Some("EFFECT_MODEL_OTHER_FEATURES"));
    train(&mut served).await;
    served.effects.predict_effect(request).await.expect("predicted again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callers_features_stand_beside_and_before_the_evaluators_own() {
    let mut served = served_in_simulation().await;
    ingest(&mut served, orders("u", 3).collect()).await;
    let given = [("person:orders".to_owned(), 9.0), ("loyal".to_owned(), 1.0)];
    let context =
        DecisionContext { features: given.into(), channel: Channel::App.into(), ..Default::default() };
    let request = DecideRequest { user_id: "u".into(), context: Some(context), ..Default::default() };
    let found = served.strategies.decide(request).await.expect("decided").into_inner().features;
    assert_eq!((found["person:orders"], found["loyal"], found["person:actions"]), (9.0, 1.0, 3.0));
}

/// What serving said at each moment is what training computes afterwards from the log, to the last bit.
#[tokio::test(flavor = "multi_thread")]
async fn training_rebuilds_exactly_what_decisions_were_made_by() {
    let folder = tempfile::tempdir().expect("a folder");
    let url = format!("sqlite://{}/e.db?mode=rwc", folder.path().display());
    let mut served = served_with(&url, folder, |config| {
        config.shop.time_zone = "America/New_York".into();
        config.strategy.simulated_clock = true;
    })
    .await;
    let mut random = StdRng::seed_from_u64(5);
    let users = ["a", "b", "c"];
    let mut made: Vec<(&str, i64, Features)> = Vec::new();
    for step in 0..120_u32 {
        let user = users[random.random_range(0..3)];
        let seconds = THEN - 100 * DAY + i64::from(step) * 15_000;
        let id = format!("e{step}");
        let event = match random.random_range(0..6) {
            0 => Event { channel: Channel::App.into(), ..event(id, user, EventKind::View, "") },
            1 => category(event(id, user, EventKind::Click, ""), "Cheese"),
            2 => event(id, user, EventKind::Impression, ""),
            3 => Event { offer_id: "ten".into(), ..purchase(&id, user, random.random_range(100..9_000)) },
            4 => returned(&id, user, &format!("e{}", step.saturating_sub(1)), 50),
            _ => category(purchase(&id, user, random.random_range(100..9_000)), "Tea"),
        };
        ingest(&mut served, vec![Event { occurred_at: at(seconds), ..event }]).await;
        let moment = seconds + 60;
        made.push((user, moment, features(&mut served, user, moment).await));
        if step % 4 == 0 {
            let decision = Decision {
                decision_id: format!("d{step}"),
                user_id: user.into(),
                decided_at: at(moment),
                offer_id: "ten".into(),
                offer_propensity: 0.5,
                ..Decision::default()
            };
            record(&mut served, vec![decision]).await;
        }
    }
    let store = Store::open(&Secret::new(&url)).await.expect("opens");
    let calendar = Calendar::new("America/New_York").expect("known");
    for user in users {
        let name = pseudonym(user);
        let mut replay = store.replays(&[&name]).await.expect("read").remove(&name).expect("a log");
        for (_, seconds, expected) in made.iter().filter(|(of, ..)| *of == user) {
            let micros = seconds * 1_000_000;
            let rebuilt =
                vector::vector(Features::new(), replay.before(micros), Channel::Web, calendar, micros);
            assert_eq!(rebuilt, *expected);
        }
    }
    kept_as_rebuilt(&url).await;
}

fn returned(id: &str, user: &str, order: &str, minor_units: i64) -> Event {
    let amount = Some(Money { currency_code: "USD".into(), minor_units });
    let back = ProductReturn { order_id: order.into(), quantity: 1, amount, ..ProductReturn::default() };
    Event { product_return: Some(back), ..event(id.into(), user, EventKind::Return, "") }
}

fn pseudonym(id: &str) -> String {
    chassis::auth::Pseudonymiser::new(&chassis::auth::PrivacyConfig::default()).pseudonym(id)
}

async fn kept_as_rebuilt(url: &str) {
    let store = Store::open(&Secret::new(url)).await.expect("opens");
    let (kept, rebuilt) = store.rebuild_histories().await.expect("rebuilt");
    assert!(!kept.is_empty());
    assert_eq!(kept, rebuilt);
}

/// Late events, repeated events, returns, links, erasure: the row is what the whole log says.
pub(crate) async fn rows_follow_the_log(served: &mut Served, url: &str) {
    let seen = async |served: &mut Served, user: &str, name: &str| {
        features(served, user, THEN + DAY).await.get(name).copied()
    };
    ingest(served, vec![order("u", 1, 5), order("u", 2, 3)]).await;
    assert_eq!(seen(served, "u", vector::SINCE_ORDER).await, Some(4.0));
    // Later told, earlier happened; and told again.
    ingest(served, vec![order("u", 3, 40), order("u", 1, 5), order("u", 3, 40)]).await;
    assert_eq!(seen(served, "u", vector::ORDERS).await, Some(3.0));
    assert_eq!(seen(served, "u", vector::TENURE).await, Some(41.0));
    assert_eq!(seen(served, "u", vector::SINCE_ORDER).await, Some(4.0), "the latest stays the latest");
    // As of a moment before the second order nothing of it is known.
    assert_eq!(features(served, "u", THEN - 4 * DAY).await.get(vector::ORDERS), Some(&2.0));

    let back = Event { occurred_at: at(THEN), ..returned("r", "u", "u-o1", 1_000) };
    ingest(served, vec![back]).await;
    assert_eq!(seen(served, "u", "person:spend:USD").await, Some(11_000.0));
    assert_eq!(seen(served, "u", vector::RETURN_SHARE).await, Some(1.0 / 3.0));

    // A visitor's past is the user's from the link on, and what comes late under the visitor too.
    let by_visitor = |event: Event| Event { user_id: String::new(), visitor_id: "v".into(), ..event };
    ingest(served, vec![by_visitor(order("v", 1, 60))]).await;
    let offered = Decision {
        decision_id: "dv".into(),
        visitor_id: "v".into(),
        decided_at: at(THEN - DAY),
        offer_id: "ten".into(),
        offer_propensity: 0.5,
        ..Decision::default()
    };
    record(served, vec![offered]).await;
    assert_eq!(seen(served, "v", vector::SINCE_OFFER).await, Some(2.0));
    let link = Event {
        visitor_id: "v".into(),
        item_id: String::new(),
        ..event("link".into(), "u", EventKind::Link, "")
    };
    ingest(served, vec![link, by_visitor(order("v", 2, 50))]).await;
    for id in ["u", "v"] {
        assert_eq!(seen(served, id, vector::ORDERS).await, Some(5.0));
        assert_eq!(seen(served, id, vector::TENURE).await, Some(61.0));
        assert_eq!(seen(served, id, vector::SINCE_OFFER).await, Some(2.0));
    }
    ingest(served, vec![order("other", 1, 1)]).await;
    kept_as_rebuilt(url).await;

    let erase = EraseUserRequest { user_id: "u".into(), ..EraseUserRequest::default() };
    served.decisions.erase_user(erase).await.expect("erased");
    for id in ["u", "v"] {
        assert_eq!(seen(served, id, vector::ORDERS).await, Some(0.0));
        assert_eq!(seen(served, id, vector::TENURE).await, None);
    }
    assert_eq!(seen(served, "other", vector::ORDERS).await, Some(1.0));
    kept_as_rebuilt(url).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn late_events_returns_links_and_erasure_change_a_person_as_the_log_says() {
    let folder = tempfile::tempdir().expect("a folder");
    let url = format!("sqlite://{}/e.db?mode=rwc", folder.path().display());
    let mut served = simulated_on(&url, folder).await;
    rows_follow_the_log(&mut served, &url).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_older_than_the_histories_gets_them_on_opening() {
    let folder = tempfile::tempdir().expect("a folder");
    let url = format!("sqlite://{}/e.db?mode=rwc", folder.path().display());
    let mut served = simulated_on(&url, folder).await;
    ingest(&mut served, orders("u", 4).collect()).await;
    let db = Database::connect(&url).await.expect("opens");
    for change in ["DELETE FROM evaluator_history", "UPDATE evaluator_history SET version = 0"] {
        db.execute_unprepared(change).await.expect("changed");
        Store::open(&Secret::new(&url)).await.expect("opens");
        assert_eq!(features(&mut served, "u", THEN).await.get(vector::ORDERS), Some(&4.0));
    }
}

/// Two replicas take events of the same people at once, in batches that overlap.
pub(crate) async fn two_replicas_keep_one_history(one: &mut Served, other: &mut Served, url: &str) {
    let batch = |of: u32| {
        let people = (0..40_u32).flat_map(move |person| {
            let user = format!("u{person}");
            (of..of + 6).map(move |number| order(&user, number, i64::from(number))).collect::<Vec<_>>()
        });
        people.collect::<Vec<_>>()
    };
    // Orders 0 to 5 and 3 to 8 of each: three are told to both.
    tokio::join!(ingest(one, batch(0)), ingest(other, batch(3)));
    for person in 0..40 {
        let user = format!("u{person}");
        let (mine, theirs) =
            tokio::join!(features(one, &user, THEN + DAY), features(other, &user, THEN + DAY));
        assert_eq!(mine, theirs);
        assert_eq!((mine[vector::ORDERS], mine["person:spend:USD"]), (9.0, 36_000.0));
    }
    kept_as_rebuilt(url).await;
}
