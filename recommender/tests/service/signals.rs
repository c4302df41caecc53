//! What events weigh: dislikes, ratings, returns, impressions; which items may be listed; reasons and profiles.

use proto::common::v1::ProductReturn;
use proto::recommender::v1::{PredictPreferenceRequest, Profile};
use recommender::config::ItemRule;

use super::*;

const DAY: i64 = 86_400;

fn now() -> i64 {
    chrono::Utc::now().timestamp()
}

async fn with(change: impl FnOnce(&mut Config)) -> Served {
    let folder = tempfile::tempdir().expect("a folder");
    let url = format!("sqlite://{}?mode=rwc", folder.path().join("r.db").display());
    let mut config = Config::default();
    config.store.url = Secret::new(&url);
    config.models.folder = folder.path().join("models");
    config.models.watch_ms = 50;
    change(&mut config);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let stop = CancellationToken::new();
    tokio::spawn(recommender::run(config, listener, stop.clone()));
    let channel = connect(&ClientConfig::to(format!("http://{address}"))).expect("a channel");
    Served { client: Client::new(channel), stop, folder, url }
}

/// Three clicks of a user or visitor nobody knows yet.
fn clicks(user: &str) -> Vec<Event> {
    (0..3).map(|n| event(&format!("{user}-click-{n}"), user, EventKind::Click, n, now() - 60 + n)).collect()
}

async fn profile(client: &mut Client, user: &str) -> Profile {
    let answer = client.get_profile(GetProfileRequest { user_id: user.into() }).await.expect("answered");
    answer.into_inner().profile.expect("a profile")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disliked_item_is_gone_from_every_list_whatever_the_model() {
    let mut served = on_sqlite().await;
    let client = &mut served.client;
    fill(client).await;
    for algorithm in [
        Algorithm::Svd,
        Algorithm::Als,
        Algorithm::Ease,
        Algorithm::ItemKnn,
        Algorithm::Transition,
        Algorithm::Popularity,
        Algorithm::Blend,
    ] {
        let model_id = train(client, algorithm).await.model_id;
        let promotion = PromoteModelRequest { model_id, ..Default::default() };
        client.promote_model(promotion).await.expect("serves");
        let user = format!("newcomer-{algorithm:?}");
        ingest(client, clicks(&user)).await;
        let first = ids(&recommend(client, wanted(&user, 10)).await)[0].to_owned();
        let number: i64 = first.trim_start_matches("item-").parse().expect("a number");
        let dislike = event(&format!("{user}-dislike"), &user, EventKind::Dislike, number, now());

        let recent_events = vec![dislike.clone()];
        let told = recommend(client, RecommendRequest { recent_events, ..wanted(&user, 10) }).await;
        assert!(!ids(&told).contains(&first.as_str()), "{algorithm:?}: told with the request");
        ingest(client, vec![dislike]).await;
        let stored = recommend(client, wanted(&user, 10)).await;
        assert!(!ids(&stored).contains(&first.as_str()), "{algorithm:?}: stored");
        assert_eq!(ids(&stored).len(), 9, "nothing else is gone");
    }
    // A visitor who did nothing else, and so gets what is popular.
    let dislike = event("visitor-dislike", "", EventKind::Dislike, 0, now());
    let dislike = Event { visitor_id: "visitor".into(), ..dislike };
    let expired =
        Event { visitor_id: "visitor".into(), ..event("old", "", EventKind::Dislike, 1, now() - 181 * DAY) };
    ingest(client, vec![dislike, expired]).await;
    let visitor = RecommendRequest { visitor_id: "visitor".into(), ..wanted("", 10) };
    let answer = recommend(client, visitor).await;
    assert!(!ids(&answer).contains(&"item-0") && ids(&answer).contains(&"item-1"), "{:?}", ids(&answer));
    served.stop.cancel();
}

#[tokio::test(flavor = "multi_thread")]
async fn impressions_and_low_ratings_do_not_count_as_interest() {
    let mut served = on_sqlite().await;
    let client = &mut served.client;
    fill(client).await;
    train(client, Algorithm::Svd).await;
    let before = recommend(client, wanted("user-2", 10)).await;
    let shown = |n: i64| event(&format!("shown-{n}"), "user-2", EventKind::Impression, n % 10, now() - n);
    ingest(client, (0..1_100).map(shown).collect()).await;
    let after = recommend(client, wanted("user-2", 10)).await;
    assert_eq!(ids(&after), ids(&before));
    assert!(after.degradations.is_empty(), "a buyer is not cold");

    let place =
        |answer: &RecommendResponse| ids(answer).iter().position(|id| *id == "item-2").expect("listed");
    let rate = |user: &str, rating: f64| {
        let kind = EventKind::Rating;
        Event { rating: Some(rating), ..event(&format!("{user}-rates"), user, kind, 2, now()) }
    };
    for (user, rating) in [("five", 5.0), ("one", 1.0)] {
        ingest(client, vec![event(&format!("{user}-click"), user, EventKind::Click, 1, now() - 60)]).await;
        ingest(client, vec![event(&format!("{user}-click-0"), user, EventKind::Click, 0, now() - 50)]).await;
        let unrated = recommend(client, wanted(user, 10)).await;
        ingest(client, vec![rate(user, rating)]).await;
        let rated = recommend(client, wanted(user, 10)).await;
        let score = |answer: &RecommendResponse| answer.recommendations[place(answer)].score;
        assert_eq!(
            score(&rated) > score(&unrated),
            rating > 3.0,
            "{user}: {} to {}",
            score(&unrated),
            score(&rated)
        );
        assert!(rating > 3.0 || place(&rated) >= place(&unrated), "{user}");
    }
    let rows =
        [rate("eleven", 11.0)].map(|event| IngestEventsRequest { event: Some(event), log_position: 0 });
    let taken = client.ingest_events(tokio_stream::iter(rows)).await.expect("answered").into_inner();
    assert!(taken.accepted == 0 && taken.rejected[0].field == "rating", "{taken:?}");
    assert!(taken.rejected[0].reason.contains("1 to 5"), "{taken:?}");
    let recent_events = vec![rate("user-2", 0.0)];
    let refused = client.recommend(RecommendRequest { recent_events, ..wanted("user-2", 5) }).await;
    assert!(format!("{:?}", refused.expect_err("refused")).contains("recent_events[0].rating"));
    served.stop.cancel();
}

#[tokio::test(flavor = "multi_thread")]
async fn items_that_may_not_be_listed_are_absent_and_refused_by_name() {
    let postage = ItemRule { attribute: "category".into(), value: "Postage".into() };
    let mut served = with(|config| config.catalogue.not_recommendable = vec![postage]).await;
    let client = &mut served.client;
    fill(client).await;
    train(client, Algorithm::Svd).await;
    let over = Timestamp { seconds: now() - 1, nanos: 0 };
    let changed = [
        Item { stock: Some(0), ..item(1) },
        Item { available_until: Some(over), ..item(2) },
        Item { not_recommendable: true, ..item(3) },
        Item { categories: vec!["Postage".into()], ..item(4) },
    ];
    let rows = changed.map(|item| UpsertItemsRequest { item: Some(item) });
    client.upsert_items(tokio_stream::iter(rows)).await.expect("taken");
    let deletion = DeleteItemsRequest { item_ids: vec!["item-5".into()], ..Default::default() };
    client.delete_items(deletion).await.expect("deleted");

    let alike = client.similar_items(SimilarItemsRequest { item_id: "item-0".into(), limit: 10 }).await;
    let alike = alike.expect("answered").into_inner().recommendations;
    let found: Vec<&str> = alike.iter().map(|pick| pick.item_id.as_str()).collect();
    assert!(!found.is_empty() && alike.iter().all(|pick| pick.item.is_some()), "{found:?}");
    for n in 1..6 {
        let id = format!("item-{n}");
        assert!(!found.contains(&id.as_str()), "{id} among {found:?}");
        let rules = Some(Rules { include_sold_out: true, ..Rules::default() });
        let all = recommend(client, RecommendRequest { rules, ..wanted("user-2", 10) }).await;
        assert_eq!(ids(&all).contains(&id.as_str()), n == 1, "{id} where sold-out items are asked for");
        let plain = recommend(client, wanted("user-2", 10)).await;
        assert!(!ids(&plain).contains(&id.as_str()), "{id} is recommended");
        let item_ids = vec!["item-0".to_owned(), id.clone()];
        let asked = PredictPreferenceRequest { user_id: "user-2".into(), item_ids };
        let refused = client.predict_preference(asked).await.expect_err("refused");
        assert!(
            refused.code() == Code::InvalidArgument && format!("{refused:?}").contains("item_ids[1]"),
            "{refused:?}"
        );
    }
    let deleted = client.similar_items(SimilarItemsRequest { item_id: "item-5".into(), limit: 3 }).await;
    assert_eq!(deleted.expect_err("not in the catalogue").code(), Code::NotFound);
    client
        .similar_items(SimilarItemsRequest { item_id: "item-1".into(), limit: 3 })
        .await
        .expect("like a sold-out one");
    served.stop.cancel();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_who_only_dislikes_and_unsubscribes_does_not_stop_training() {
    for others in [0, 25] {
        let mut served = on_sqlite().await;
        let client = &mut served.client;
        fill(client).await;
        let dislikes = |user: String| {
            let unsubscribe = event(&format!("{user}-u"), &user, EventKind::Unsubscribe, 0, now());
            let unsubscribe = Event { item_id: String::new(), ..unsubscribe };
            [event(&format!("{user}-d"), &user, EventKind::Dislike, 1, now() - 10 * DAY), unsubscribe]
        };
        let events = (0..=others).flat_map(|n| dislikes(format!("hater-{n}"))).collect();
        ingest(client, events).await;
        train(client, Algorithm::Svd).await;
        profile(client, "hater-0").await;
        served.stop.cancel();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeat_purchase_is_named_and_no_item_is_its_own_reason() {
    let mut served = on_sqlite().await;
    let client = &mut served.client;
    fill(client).await;
    for algorithm in [Algorithm::Svd, Algorithm::Als, Algorithm::Blend] {
        let model_id = train(client, algorithm).await.model_id;
        client.promote_model(PromoteModelRequest { model_id, ..Default::default() }).await.expect("serves");
        ingest(client, vec![event("looks", "user-2", EventKind::View, 9, now())]).await;
        let answer = recommend(client, wanted("user-2", 10)).await;
        let mut repeated = 0;
        for pick in &answer.recommendations {
            for reason in &pick.reasons {
                let own = reason.because_item_id == pick.item_id;
                assert_eq!(
                    own,
                    matches!(reason.kind(), ReasonKind::RepeatPurchase | ReasonKind::SameItem),
                    "{pick:?}"
                );
                let bought = reason.because_kind() == EventKind::Purchase;
                assert!(!own || bought == (reason.kind() == ReasonKind::RepeatPurchase), "{pick:?}");
                repeated += u32::from(reason.kind() == ReasonKind::RepeatPurchase);
            }
        }
        // The blend of this shop is one of transitions, which say nothing of an item from itself.
        assert!(repeated > 0 || algorithm == Algorithm::Blend, "{algorithm:?}: {answer:?}");
    }
    served.stop.cancel();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_profile_keeps_currencies_apart_takes_returns_off_and_tells_hours_of_the_shop() {
    let mut served = with(|config| config.shop.time_zone = "Asia/Tokyo".into()).await;
    let client = &mut served.client;
    let rows: Vec<_> = (0..10).map(|n| UpsertItemsRequest { item: Some(item(n)) }).collect();
    client.upsert_items(tokio_stream::iter(rows)).await.expect("taken");
    let day = now() / DAY * DAY - 20 * DAY;
    let order = |id: &str, currency: &str, minor_units, quantity, n, at| {
        let revenue = Some(Money { currency_code: currency.into(), minor_units });
        let purchase = Some(Purchase { order_id: id.into(), quantity, revenue, ..Purchase::default() });
        Event { purchase, ..event(id, "u", EventKind::Purchase, n, at) }
    };
    let give_back = |id: &str, order: &str, currency: &str, minor_units, quantity, n| {
        let amount = Some(Money { currency_code: currency.into(), minor_units });
        let product_return =
            Some(ProductReturn { order_id: order.into(), quantity, amount, ..ProductReturn::default() });
        Event { product_return, ..event(id, "u", EventKind::Return, n, day + 5 * DAY) }
    };
    // Orders at 20:00 UTC are at five in the morning of Tokyo.
    let at = day + 20 * 3600;
    ingest(
        client,
        vec![
            give_back("back-1", "eur-2", "EUR", 300, 1, 6),
            order("eur-1", "EUR", 1_000, 1, 0, at),
            order("eur-2", "EUR", 600, 2, 6, at + DAY),
            order("usd-1", "USD", 500, 1, 1, at + 2 * DAY),
            give_back("back-2", "eur-2", "EUR", 300, 1, 6),
        ],
    )
    .await;
    let profile = profile(client, "u").await;
    let monetary: Vec<(&str, i64)> =
        profile.monetary.iter().map(|money| (money.currency_code.as_str(), money.minor_units)).collect();
    assert_eq!(monetary, [("EUR", 1_000), ("USD", 500)]);
    assert_eq!(profile.frequency, 2, "an order that was wholly returned does not count");
    assert!(
        (profile.recency_days.expect("bought") - (now() - at - 2 * DAY) as f64 / DAY as f64).abs() < 0.01
    );
    assert_eq!(profile.active_hours[0], 5);
    let coffee = profile.affinities.iter().any(|one| one.value == "Coffee");
    assert!(!coffee, "the only coffee was returned: {:?}", profile.affinities);
    served.stop.cancel();
}
