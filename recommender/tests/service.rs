//! The service over a socket, on SQLite and on PostgreSQL at 127.0.0.1:5432; fails where there is no PostgreSQL.

#[path = "service/artefact.rs"]
mod artefact;
#[path = "service/catalogue.rs"]
mod catalogue;
#[path = "service/cold.rs"]
mod cold;
#[path = "service/identity.rs"]
mod identity;
#[path = "service/signals.rs"]
mod signals;

use std::time::Duration;

use chassis::client::{Channel, ClientConfig, connect};
use chassis::config::Secret;
use pbjson_types::Timestamp;
use proto::common::v1::{Event, EventKind, Item, Money, Purchase};
use proto::recommender::v1::recommender_service_client::RecommenderServiceClient;
use proto::recommender::v1::{
    Algorithm, Boost, DeleteItemsRequest, EraseUserRequest, ExportUserRequest, GetProfileRequest,
    IngestEventsRequest, ListModelsRequest, ListSegmentsRequest, Model, PredictIntentRequest,
    PromoteModelRequest, ReasonKind, RecommendRequest, RecommendResponse, Rules, SimilarItemsRequest,
    TrainRequest, UpsertItemsRequest,
};
use recommender::Config;
use recommender::store::Store;
use sea_orm::{ConnectionTrait as _, Database};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::Code;

const SERVER: &str = "postgres://postgres@127.0.0.1:5432";

type Client = RecommenderServiceClient<Channel>;

struct Served {
    client: Client,
    stop: CancellationToken,
    folder: tempfile::TempDir,
    url: String,
}

async fn served(url: String, folder: tempfile::TempDir) -> Served {
    let client = replica(&url, folder.path().join("models")).await;
    Served { client: client.0, stop: client.1, folder, url }
}

/// One process's worth of the service.
async fn replica(url: &str, models: std::path::PathBuf) -> (Client, CancellationToken) {
    let (client, _, stop) = replica_on(url, models).await;
    (client, stop)
}

/// The same with the channel to it.
async fn replica_on(url: &str, models: std::path::PathBuf) -> (Client, Channel, CancellationToken) {
    let mut config = Config::default();
    config.store.url = Secret::new(url);
    config.models.folder = models;
    config.models.watch_ms = 50;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let stop = CancellationToken::new();
    tokio::spawn(recommender::run(config, listener, stop.clone()));
    let channel = connect(&ClientConfig::to(format!("http://{address}"))).expect("a channel");
    (Client::new(channel.clone()), channel, stop)
}

/// The database at `url`, beside the service.
async fn open(url: &str) -> Store {
    Store::open(&Secret::new(url), std::sync::Arc::default()).await.expect("opens")
}

async fn on_sqlite() -> Served {
    let folder = tempfile::tempdir().expect("a folder");
    let url = format!("sqlite://{}?mode=rwc", folder.path().join("r.db").display());
    served(url, folder).await
}

fn item(n: i64) -> Item {
    Item {
        item_id: format!("item-{n}"),
        title: format!("Thing {n}"),
        categories: vec![if n < 5 { "Tea" } else { "Coffee" }.into()],
        price: Some(Money { currency_code: "USD".into(), minor_units: 100 + n }),
        ..Item::default()
    }
}

fn event(id: &str, user: &str, kind: EventKind, item: i64, seconds: i64) -> Event {
    let revenue = Some(Money { currency_code: "USD".into(), minor_units: 100 });
    let bought = Purchase { order_id: id.into(), quantity: 1, revenue, ..Purchase::default() };
    Event {
        event_id: id.into(),
        user_id: user.into(),
        kind: kind.into(),
        item_id: format!("item-{item}"),
        occurred_at: Some(Timestamp { seconds, nanos: 0 }),
        purchase: (kind == EventKind::Purchase).then_some(bought),
        ..Event::default()
    }
}

async fn ingest(client: &mut Client, events: Vec<Event>) -> u64 {
    let rows = events.into_iter().map(|event| IngestEventsRequest { event: Some(event), log_position: 0 });
    let rows: Vec<_> = rows.collect();
    let taken = client.ingest_events(tokio_stream::iter(rows)).await.expect("taken").into_inner();
    assert!(taken.rejected.is_empty(), "{:?}", taken.rejected);
    taken.accepted
}

/// Twenty tea drinkers and twenty coffee drinkers, each of whom takes most of the five goods of their kind.
async fn fill(client: &mut Client) {
    let rows: Vec<_> = (0..10).map(|n| UpsertItemsRequest { item: Some(item(n)) }).collect();
    assert_eq!(client.upsert_items(tokio_stream::iter(rows)).await.expect("taken").into_inner().accepted, 10);
    let now = chrono::Utc::now().timestamp();
    let take = |user: i64| (0..5).filter(move |n| (user + n) % 4 != 0).map(move |n| (user, n));
    let events: Vec<_> = (0..40)
        .flat_map(take)
        .map(|(user, n)| {
            let n_of = if user % 2 == 0 { n } else { n + 5 };
            let at = now - 86_400 * (40 - 9 * n);
            event(&format!("{user}-{n_of}"), &format!("user-{user}"), EventKind::Purchase, n_of, at)
        })
        .collect();
    let sent = events.len() as u64;
    assert_eq!(ingest(client, events.clone()).await, sent);
    assert_eq!(ingest(client, events).await, 0, "each once");
}

async fn train(client: &mut Client, algorithm: Algorithm) -> Model {
    let request = TrainRequest { algorithm: algorithm.into(), promote: true, ..TrainRequest::default() };
    let mut steps = client.train(request).await.expect("starts").into_inner();
    let (mut model, mut tried, mut done) = (None, 0, 0.0);
    while let Some(step) = steps.message().await.expect("goes on") {
        assert!(step.fraction >= done, "progress goes forward: {step:?}");
        done = step.fraction;
        tried += u32::from(step.stage == "search");
        model = step.model.or(model);
    }
    assert!(tried > 0, "each settings tried is told");
    model.expect("told at the end")
}

/// Every algorithm trains, is stored, served with reasons, and comes back in another process's answers.
async fn algorithms(served: &mut Served) {
    for algorithm in [
        Algorithm::Svd,
        Algorithm::Als,
        Algorithm::Ease,
        Algorithm::ItemKnn,
        Algorithm::Transition,
        Algorithm::Popularity,
        Algorithm::Blend,
    ] {
        let client = &mut served.client;
        let model = train(client, algorithm).await;
        assert_eq!(model.algorithm(), algorithm);
        assert!(model.metrics.contains_key("NDCG@10"), "{model:?}");
        let promotion = PromoteModelRequest { model_id: model.model_id.clone(), ..Default::default() };
        assert!(
            client.promote_model(promotion).await.expect("serves").into_inner().model.expect("it").promoted
        );
        let answer = recommend(client, wanted("user-4", 10)).await;
        assert_eq!(answer.model_version, model.model_id);
        assert!(
            answer.degradations.is_empty() && !answer.recommendations[0].reasons.is_empty(),
            "{answer:?}"
        );
        let (mut other, stop) = replica(&served.url, served.folder.path().join("models")).await;
        assert_eq!(recommend(&mut other, wanted("user-4", 10)).await, answer, "{algorithm:?} from its bytes");
        stop.cancel();
    }
}

fn wanted(user: &str, limit: u32) -> RecommendRequest {
    RecommendRequest { user_id: user.into(), limit, explain: true, ..RecommendRequest::default() }
}

async fn recommend(client: &mut Client, request: RecommendRequest) -> RecommendResponse {
    client.recommend(request).await.expect("answered").into_inner()
}

fn ids(answer: &RecommendResponse) -> Vec<&str> {
    answer.recommendations.iter().map(|pick| pick.item_id.as_str()).collect()
}

/// Segments and intent of forty people who bought every nine days.
async fn people(client: &mut Client, model: &str) {
    let list = client.list_segments(ListSegmentsRequest::default()).await.expect("answered").into_inner();
    assert!(list.version == model && list.segments.len() >= 2, "{list:?}");
    assert_eq!(list.segments.iter().map(|one| one.size).sum::<u64>(), 40);
    let first = ListSegmentsRequest { page_size: 1, ..ListSegmentsRequest::default() };
    let page = client.list_segments(first).await.expect("answered").into_inner();
    assert_eq!(page.segments, list.segments[..1]);
    let rest = ListSegmentsRequest { page_token: page.next_page_token, ..ListSegmentsRequest::default() };
    assert_eq!(client.list_segments(rest).await.expect("answered").into_inner().segments, list.segments[1..]);
    let profile = client.get_profile(GetProfileRequest { user_id: "user-2".into() }).await;
    let profile = profile.expect("answered").into_inner();
    assert_eq!(profile.segments_version, list.version);
    let segment = profile.profile.expect("a profile").segment;
    assert!(list.segments.iter().any(|one| one.name == segment), "{segment} of {list:?}");
    assert_eq!(recommend(client, wanted("user-2", 3)).await.segment, segment);
    assert_eq!(recommend(client, wanted("nobody", 3)).await.segment, "");

    let user_ids = vec!["user-2".to_owned(), "nobody".to_owned()];
    let asked = PredictIntentRequest { user_ids: user_ids.clone(), horizon_days: 2 };
    let told = client.predict_intent(asked).await.expect("answered").into_inner();
    assert_eq!(told.model_version, list.version);
    assert_eq!(told.predictions.iter().map(|one| one.user_id.clone()).collect::<Vec<_>>(), user_ids);
    assert!(told.predictions.iter().all(|one| (0.0..=1.0).contains(&one.probability)), "{told:?}");
    assert!(!told.predictions[0].cold && !told.predictions[0].drivers.is_empty());
    assert!(told.predictions[1].cold && told.predictions[1].drivers.is_empty());
    let far = PredictIntentRequest { user_ids, horizon_days: 365 };
    let refused = client.predict_intent(far).await.expect_err("forty days show no year");
    assert_eq!(refused.code(), Code::InvalidArgument);
}

/// A boost raises what it names, says so among the reasons, and these still sum to the score.
async fn boosted(client: &mut Client) {
    let boost = Boost { attribute: "category".into(), value: "Coffee".into(), factor: 50.0 };
    let rules = Rules { boosts: vec![boost.clone()], ..Rules::default() };
    let asked = |rules| RecommendRequest { rules: Some(rules), ..wanted("user-2", 10) };
    let plain = recommend(client, asked(Rules::default())).await;
    let raised = recommend(client, asked(rules)).await;
    let coffee = |answer: &RecommendResponse, place: usize| ids(answer)[place] >= "item-5";
    assert!(!coffee(&plain, 0) && coffee(&raised, 0), "{:?}, {:?}", ids(&plain), ids(&raised));
    for pick in raised.recommendations.iter().chain(&plain.recommendations).filter(|pick| pick.score > 0.0) {
        let shares: f64 = pick.reasons.iter().map(|reason| reason.weight).sum();
        assert!((shares - 1.0).abs() < 1e-4, "{pick:?}");
    }
    let best = &raised.recommendations[0];
    let told: Vec<_> = best.reasons.iter().filter(|reason| reason.kind() == ReasonKind::Boost).collect();
    assert!(told.len() == 1 && (told[0].weight - 0.98).abs() < 1e-4, "49 of 50 parts: {:?}", best.reasons);
    let nothing = Rules { boosts: vec![Boost { factor: 0.0, ..boost }], ..Rules::default() };
    let refused = client.recommend(asked(nothing)).await.expect_err("refused");
    assert!(format!("{refused:?}").contains("rules.boosts[0].factor"), "{refused:?}");
}

/// An item whose time of sale is over is in no answer, whatever the rules; and comes back with its time.
async fn timed(client: &mut Client) {
    let over = Timestamp { seconds: chrono::Utc::now().timestamp() - 1, nanos: 0 };
    for (available_until, shown) in [(Some(over), false), (None, true)] {
        let row = UpsertItemsRequest { item: Some(Item { available_until, ..item(1) }) };
        client.upsert_items(tokio_stream::iter([row])).await.expect("taken");
        let answer = recommend(client, wanted("user-2", 10)).await;
        assert_eq!(ids(&answer).contains(&"item-1"), shown, "{answer:?}");
        assert_eq!(answer.filtered_out, u64::from(!shown));
    }
}

async fn journey(served: &mut Served) {
    let client = &mut served.client;
    fill(client).await;
    let refused = client.similar_items(SimilarItemsRequest { item_id: "item-1".into(), limit: 3 }).await;
    assert_eq!(refused.expect_err("no model yet").code(), Code::FailedPrecondition);
    let model = train(client, Algorithm::Auto).await.model_id;
    client
        .promote_model(PromoteModelRequest { model_id: model.clone(), ..Default::default() })
        .await
        .expect("serves");

    let tea = recommend(client, wanted("user-2", 5)).await;
    assert_eq!(tea.model_version, model);
    let kinds: Vec<_> =
        tea.recommendations.iter().filter_map(|pick| pick.item.as_ref()).map(|i| &i.categories[0]).collect();
    assert!(kinds[..3].iter().all(|kind| *kind == "Tea"), "{kinds:?}");
    for pick in &tea.recommendations[..3] {
        let shares: f64 = pick.reasons.iter().map(|reason| reason.weight).sum();
        assert!(!pick.reasons.is_empty() && shares > 0.0 && shares <= 1.0 + 1e-5, "{:?}", pick.reasons);
    }

    // One click of the session reaches the very next answer, without training.
    let before = recommend(client, wanted("user-2", 10)).await;
    let click = event("click", "user-2", EventKind::Click, 7, chrono::Utc::now().timestamp());
    ingest(client, vec![click]).await;
    let after = recommend(client, wanted("user-2", 10)).await;
    let score = |answer: &RecommendResponse| {
        let coffee = answer.recommendations.iter().filter(|pick| pick.item_id.as_str() >= "item-5");
        coffee.map(|pick| pick.score).fold(0.0, f64::max)
    };
    let best = before.recommendations[0].score;
    assert!(score(&after) > score(&before) + 0.2 * best, "{best}: {} to {}", score(&before), score(&after));

    let rules = Rules {
        categories: vec!["Coffee".into()],
        exclude_item_ids: vec!["item-9".into()],
        ..Rules::default()
    };
    let coffee = recommend(client, RecommendRequest { rules: Some(rules), ..wanted("user-2", 10) }).await;
    let mut found = ids(&coffee);
    found.sort_unstable();
    assert_eq!(found, ["item-5", "item-6", "item-7", "item-8"]);
    assert_eq!(coffee.filtered_out, 6);

    boosted(client).await;
    timed(client).await;

    // Another replica on the same database and the same models serves the same.
    let (mut other, stop) = replica(&served.url, served.folder.path().join("models")).await;
    let list = other.list_models(ListModelsRequest::default()).await.expect("answered").into_inner();
    assert_eq!(list.models.len(), 1);
    assert!(list.models[0].promoted);
    assert_eq!(ids(&recommend(&mut other, wanted("user-2", 10)).await), ids(&after));
    stop.cancel();

    let client = &mut served.client;
    let exported = client.export_user(ExportUserRequest { user_id: "user-2".into() }).await;
    let mut exported = exported.expect("answered").into_inner();
    let page = exported.message().await.expect("goes on").expect("a page");
    assert!(page.events.len() <= 500 && format!("{page:?}").contains("item-7"));
    assert!(exported.message().await.expect("ends").is_none(), "one page holds all");
    people(client, &model).await;
    let deletion = DeleteItemsRequest { item_ids: vec!["item-7".into()], ..Default::default() };
    assert_eq!(client.delete_items(deletion).await.expect("deleted").into_inner().deleted, 1);
    assert!(!ids(&recommend(client, wanted("user-2", 10)).await).contains(&"item-7"), "gone at once");
    let receipt = client
        .erase_user(EraseUserRequest { user_id: "user-2".into(), ..Default::default() })
        .await
        .expect("erased")
        .into_inner();
    assert_eq!(receipt.held_by_models.first(), Some(&model), "{receipt:?}");
    assert!(receipt.erased_at.is_some() && receipt.remainder.contains(&model), "{receipt:?}");
    let gone = recommend(client, wanted("user-2", 5)).await;
    assert_eq!(gone.degradations.len(), 1, "unknown again: {gone:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_bears_the_journey() {
    let mut served = on_sqlite().await;
    journey(&mut served).await;
    algorithms(&mut served).await;
    assert!(served.folder.path().join("models").read_dir().expect("models").count() > 0);
    served.stop.cancel();
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_bears_the_same_journey() {
    on_postgres(|mut served| async move {
        journey(&mut served).await;
        served.stop.cancel();
    })
    .await;
}

/// Runs `test` on a PostgreSQL database of its own, which is dropped afterwards.
async fn on_postgres<F>(test: impl FnOnce(Served) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let name = format!("recommender_test_{}", uuid::Uuid::new_v4().simple());
    let admin = Database::connect(format!("{SERVER}/postgres")).await.expect("PostgreSQL at 127.0.0.1:5432");
    admin.execute_unprepared(&format!("CREATE DATABASE {name}")).await.expect("a database");
    let url = format!("{SERVER}/{name}");
    let served = served(url, tempfile::tempdir().expect("a folder")).await;
    let outcome = tokio::spawn(test(served)).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    admin.execute_unprepared(&format!("DROP DATABASE {name} WITH (FORCE)")).await.expect("dropped");
    outcome.expect("the journey");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_or_not_built_is_said() {
    let mut served = on_sqlite().await;
    let mut codes = Vec::new();
    for limit in [0, 1001] {
        let mut client = served.client.clone();
        codes.push(client.recommend(wanted("u", limit)).await.expect_err("refused").code());
    }
    assert_eq!(codes, [Code::InvalidArgument; 2]);
    let client = &mut served.client;
    let mut steps = client.train(TrainRequest::default()).await;
    let refused = match &mut steps {
        Err(refused) => refused.clone(),
        Ok(steps) => loop {
            match steps.get_mut().message().await {
                Err(refused) => break refused,
                Ok(step) => assert!(step.is_some(), "an empty shop cannot be learnt from"),
            }
        },
    };
    assert_eq!(refused.code(), Code::FailedPrecondition, "{refused}");
    let wrong =
        TrainRequest { parameters: [("rank".to_owned(), f64::NAN)].into(), ..TrainRequest::default() };
    assert_eq!(client.train(wrong).await.expect_err("refused").code(), Code::InvalidArgument);
    let wrong = TrainRequest {
        algorithm: Algorithm::Auto.into(),
        parameters: [("rank".to_owned(), 8.0)].into(),
        ..TrainRequest::default()
    };
    let refused = client.train(wrong).await.expect_err("AUTO chooses its parameters");
    assert!(format!("{refused:?}").contains("UNKNOWN_PARAMETER"), "{refused:?}");
    let nobody = client.predict_intent(PredictIntentRequest::default()).await.expect_err("refused");
    assert_eq!(nobody.code(), Code::InvalidArgument);
    let someone = PredictIntentRequest { user_ids: vec!["u".into()], horizon_days: 7 };
    let untrained = client.predict_intent(someone).await.expect_err("not trained");
    assert_eq!(untrained.code(), Code::FailedPrecondition);
    let untrained = client.list_segments(ListSegmentsRequest::default()).await.expect_err("not trained");
    assert_eq!(chassis::error::reason(&untrained).as_deref(), Some("NOT_TRAINED"));
    served.stop.cancel();
}
