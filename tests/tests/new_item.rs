//! An item nobody has taken yet is ranked by what is said of it.

use std::time::{Duration, Instant};

use bespoke_tests::sandbox::{Sandbox, Words};
use chassis::client::Channel;
use proto::common::v1::{Event, Item};
use proto::recommender::v1::recommender_service_client::RecommenderServiceClient;
use proto::recommender::v1::{
    IngestEventsRequest, RecommendRequest, Recommendation, Rules, UpsertItemsRequest,
};

use crate::support::{now, purchase, train, usd};

const TEAS: [&str; 6] = ["green", "black", "white", "jasmine", "oolong", "mint"];
const TEA_KINDS: [&str; 5] = ["loose leaf tea", "tea bags", "iced tea", "tea sampler", "organic tea"];
const TOOLS: [&str; 6] = ["steel", "cordless", "heavy duty", "compact", "insulated", "folding"];
const TOOL_KINDS: [&str; 5] = ["hammer", "screwdriver", "wrench", "drill", "pliers"];

fn item(id: &str, title: String) -> Item {
    Item { item_id: id.into(), title, price: usd(900), ..Item::default() }
}

/// Thirty teas, thirty tools, and eighty people who take a dozen of the one or of the other.
fn shop() -> (Vec<Item>, Vec<Event>) {
    let titled = |n: usize| {
        let (kind, n) = (n / 30, n % 30);
        let (first, second) = if kind == 0 { (TEAS, TEA_KINDS) } else { (TOOLS, TOOL_KINDS) };
        format!("{} {}", first[n / 5], second[n % 5])
    };
    let items = (0..60).map(|n| item(&format!("item-{n:02}"), titled(n))).collect();
    let take = |user: usize| (0..12).map(move |n| (user, n, user % 2 * 30 + (user * 7 + n * 11) % 30));
    let events = (0..80).flat_map(take).map(|(user, n, item)| {
        let at = now() - 86_400 * (40 - 3 * n as i64);
        purchase(&format!("e-{user}-{n}"), &format!("user-{user}"), &format!("item-{item:02}"), at)
    });
    (items, events.collect())
}

async fn stored(gateway: &Channel, items: Vec<Item>) {
    let rows = items.into_iter().map(|item| UpsertItemsRequest { item: Some(item) });
    let rows: Vec<_> = rows.collect();
    let sent = rows.len() as u64;
    let mut client = RecommenderServiceClient::new(gateway.clone());
    assert_eq!(
        client.upsert_items(tokio_stream::iter(rows)).await.expect("taken").into_inner().accepted,
        sent
    );
}

async fn of_the_new(gateway: &Channel, user: &str) -> Vec<Recommendation> {
    let only_item_ids = vec!["new-tea".into(), "new-tool".into()];
    let rules = Some(Rules { only_item_ids, ..Rules::default() });
    let user_id = user.into();
    let request = RecommendRequest { user_id, limit: 2, rules, explain: true, ..RecommendRequest::default() };
    let answer = RecommenderServiceClient::new(gateway.clone()).recommend(request).await;
    answer.expect("answered").into_inner().recommendations
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_item_is_ranked_by_its_text_before_its_first_click() {
    let sandbox = Sandbox::start(Words::Embedded).await.expect("starts");
    let gateway = sandbox.gateway().expect("a channel");
    let (items, events) = shop();
    stored(&gateway, items).await;
    let rows: Vec<_> =
        events.into_iter().map(|event| IngestEventsRequest { event: Some(event), log_position: 0 }).collect();
    let mut client = RecommenderServiceClient::new(gateway.clone());
    client.ingest_events(tokio_stream::iter(rows)).await.expect("taken");
    let model = train(&gateway).await;
    // Who takes which tea is chance; of thirty factors a text can tell the two that part teas from tools.
    assert!(model.promoted && model.metrics["texts R2"] > 0.0, "{model:?}");

    let new = [item("new-tea", "darjeeling first flush tea".into()), item("new-tool", "claw hammer".into())];
    stored(&gateway, new.to_vec()).await;
    let started = Instant::now();
    let (of_tea, of_tools) = loop {
        let (of_tea, of_tools) = (of_the_new(&gateway, "user-0").await, of_the_new(&gateway, "user-1").await);
        let known = |picks: &[Recommendation]| picks.len() == 2 && picks[0].score > picks[1].score;
        if known(&of_tea) && known(&of_tools) {
            break (of_tea, of_tools);
        }
        assert!(started.elapsed() < Duration::from_secs(60), "{of_tea:?} {of_tools:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert_eq!((of_tea[0].item_id.as_str(), of_tools[0].item_id.as_str()), ("new-tea", "new-tool"));
    assert_eq!(of_tea[0].sources, ["new"]);
    assert!(!of_tea[0].reasons.is_empty(), "the teas that carried it");
}
