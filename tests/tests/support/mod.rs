//! What the journeys share.
#![allow(missing_docs, unreachable_pub, clippy::unwrap_used, clippy::unnecessary_wraps)]

use std::time::{Duration, Instant};

use bespoke_tests::complete_journey::CompleteJourney;
use bespoke_tests::sandbox::Sandbox;
use chassis::client::Channel;
use chassis::deadline;
use chrono::Utc;
use pbjson_types::Timestamp;
use proto::common::v1::{
    Channel as Place, DegradationCause, DegradationStage, Event, EventKind, Item, Money, Offer, OfferKind,
    Purchase,
};
use proto::evaluator::v1::UpsertOffersRequest;
use proto::evaluator::v1::strategy_service_client::StrategyServiceClient;
use proto::gateway::v1::catalogue_service_client::CatalogueServiceClient;
use proto::gateway::v1::event_service_client::EventServiceClient;
use proto::gateway::v1::personalisation_service_client::PersonalisationServiceClient;
use proto::gateway::v1::{
    GetDeliveryStatusRequest, PersonaliseRequest, PersonaliseResponse, StreamEventsRequest,
    TrackEventsRequest, TrackEventsResponse, UpsertItemsRequest,
};
use proto::recommender::v1::recommender_service_client::RecommenderServiceClient;
use proto::recommender::v1::{Algorithm, GetProfileRequest, Model, TrainRequest};
use tonic::Status;
use tonic_types::StatusExt as _;

pub fn at(seconds: i64) -> Option<Timestamp> {
    Some(Timestamp { seconds, nanos: 0 })
}

pub fn now() -> i64 {
    Utc::now().timestamp()
}

pub fn usd(minor_units: i64) -> Option<Money> {
    Some(Money { currency_code: "USD".into(), minor_units })
}

/// A shop of ten goods of two kinds and one offer, whose people take the one kind or the other.
pub fn small_shop() -> (Vec<Item>, Vec<Event>, Vec<Offer>) {
    let item = |n: i64| Item {
        item_id: format!("item-{n}"),
        title: format!("{} number {n}", if n < 5 { "Green tea" } else { "Black coffee" }),
        categories: vec![if n < 5 { "Tea" } else { "Coffee" }.into()],
        price: usd(500 + n),
        ..Item::default()
    };
    let take = |user: i64| (0..5).filter(move |n| (user + n) % 3 != 0).map(move |n| (user, n));
    let events = (0..40).flat_map(take).map(|(user, n)| {
        let n = if user % 2 == 0 { n } else { n + 5 };
        purchase(
            &format!("e-{user}-{n}"),
            &format!("user-{user}"),
            &format!("item-{n}"),
            now() - 86_400 * (6 - n % 5),
        )
    });
    let offer = Offer {
        offer_id: "five-off".into(),
        kind: OfferKind::Coupon.into(),
        title: "$0.50 off".into(),
        amount_off: usd(50),
        ..Offer::default()
    };
    ((0..10).map(item).collect(), events.collect(), vec![offer])
}

pub fn event(id: &str, user: &str, kind: EventKind, item: &str) -> Event {
    Event {
        event_id: id.into(),
        user_id: user.into(),
        kind: kind.into(),
        item_id: item.into(),
        occurred_at: at(now()),
        channel: Place::App.into(),
        ..Event::default()
    }
}

pub fn purchase(id: &str, user: &str, item: &str, seconds: i64) -> Event {
    let purchase =
        Purchase { order_id: format!("order-{id}"), quantity: 1, revenue: usd(999), ..Purchase::default() };
    Event { purchase: Some(purchase), occurred_at: at(seconds), ..event(id, user, EventKind::Purchase, item) }
}

/// Imports through the gateway as a shop would; nothing may be refused.
pub async fn import(gateway: &Channel, items: Vec<Item>, events: Vec<Event>, offers: Vec<Offer>) {
    let mut catalogue = CatalogueServiceClient::new(gateway.clone());
    let rows = items.into_iter().map(|item| UpsertItemsRequest { item: Some(item) });
    let taken =
        catalogue.upsert_items(tokio_stream::iter(rows.collect::<Vec<_>>())).await.unwrap().into_inner();
    assert!(taken.rejected.is_empty(), "{:?}", taken.rejected);
    let rows = offers.into_iter().map(|offer| UpsertOffersRequest { offer: Some(offer) });
    let taken = StrategyServiceClient::new(gateway.clone())
        .upsert_offers(tokio_stream::iter(rows.collect::<Vec<_>>()))
        .await
        .unwrap()
        .into_inner();
    assert!(taken.rejected.is_empty(), "{:?}", taken.rejected);
    bespoke_tests::exploration::start_now(gateway.clone(), "USD", 5_000).await.expect("explores");
    let rows = events.into_iter().map(|event| StreamEventsRequest { event: Some(event) });
    let rows: Vec<_> = rows.collect();
    let taken = EventServiceClient::new(gateway.clone()).stream_events(tokio_stream::iter(rows)).await;
    let taken = taken.unwrap().into_inner();
    assert!(taken.rejected.is_empty());
    delivered(gateway, taken.log_position).await;
}

/// Waits until every consumer has what stands in the event log up to `position`.
pub async fn delivered(gateway: &Channel, position: u64) {
    let mut client = EventServiceClient::new(gateway.clone());
    let started = Instant::now();
    loop {
        let status = client.get_delivery_status(GetDeliveryStatusRequest {}).await.unwrap().into_inner();
        if status.consumers.iter().all(|consumer| consumer.position >= position) {
            return;
        }
        assert!(started.elapsed() < Duration::from_secs(120), "{status:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Waits until the recommender has what the gateway acknowledged.
pub async fn arrived(gateway: &Channel, user: &str, item: &str) {
    let started = Instant::now();
    loop {
        let request = GetProfileRequest { user_id: user.into() };
        let profile = RecommenderServiceClient::new(gateway.clone()).get_profile(request).await;
        let recent =
            profile.ok().and_then(|answer| answer.into_inner().profile).unwrap_or_default().recent_item_ids;
        if recent.iter().any(|recent| recent == item) {
            return;
        }
        assert!(started.elapsed() < Duration::from_secs(60), "{user} has {recent:?}, not {item}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

pub async fn train(gateway: &Channel) -> Model {
    let request = TrainRequest {
        algorithm: Algorithm::Svd.into(),
        // Given, not searched for: what a search finds in some seconds depends on what else the machine does.
        parameters: [("item_scale", 0.35), ("rank", 100.0), ("recency", 0.05)]
            .map(|(name, value)| (name.to_owned(), value))
            .into(),
        promote: true,
        seed: 7,
        ..TrainRequest::default()
    };
    let mut steps = RecommenderServiceClient::new(gateway.clone()).train(request).await.unwrap().into_inner();
    let (mut model, mut done) = (None, 0.0);
    while let Some(step) = steps.message().await.unwrap() {
        assert!(step.fraction >= done, "progress goes forward");
        done = step.fraction;
        model = step.model.or(model);
    }
    model.expect("the last step tells the model")
}

pub fn request(user: &str) -> PersonaliseRequest {
    PersonaliseRequest {
        user_id: user.into(),
        channel: Place::App.into(),
        placement: "home".into(),
        locale: "en".into(),
        limit: 5,
        copy_count: 2,
        seed: 7,
        ..PersonaliseRequest::default()
    }
}

pub async fn ask(gateway: &Channel, request: PersonaliseRequest) -> Result<PersonaliseResponse, Status> {
    let mut client = PersonalisationServiceClient::new(gateway.clone());
    let answer = deadline::within(Duration::from_secs(60), client.personalise(request)).await;
    Ok(answer.expect("an answer within a minute")?.into_inner())
}

pub async fn track(gateway: &Channel, events: Vec<Event>) -> Result<TrackEventsResponse, Status> {
    let mut client = EventServiceClient::new(gateway.clone());
    Ok(client.track_events(TrackEventsRequest { events }).await?.into_inner())
}

pub fn ids(answer: &PersonaliseResponse) -> Vec<&str> {
    answer.placements.iter().filter_map(|placement| Some(placement.item.as_ref()?.item_id.as_str())).collect()
}

pub fn has(answer: &PersonaliseResponse, stage: DegradationStage, cause: DegradationCause) -> bool {
    answer.degradations.iter().any(|found| found.stage() == stage && found.cause() == cause)
}

/// Fields a refusal names.
pub fn fields(refused: &Status) -> Vec<String> {
    let details = refused.get_error_details();
    let found = details.bad_request().map(|bad| bad.field_violations.clone()).unwrap_or_default();
    found.into_iter().map(|violation| violation.field).collect()
}

/// The grocer's year, imported.
pub async fn complete_journey(sandbox: &Sandbox) -> (CompleteJourney, Channel) {
    let shop = CompleteJourney::bundled(Utc::now()).unwrap();
    let gateway = sandbox.gateway().unwrap();
    import(&gateway, shop.items.clone(), shop.events.clone(), shop.offers.clone()).await;
    (shop, gateway)
}
