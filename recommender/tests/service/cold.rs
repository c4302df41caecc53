//! Items nobody has taken yet, ranked by their texts without an encoder.

use proto::common::v1::{EventKind, Item};
use proto::recommender::v1::{Algorithm, ReasonKind, RecommendRequest, Recommendation, UpsertItemsRequest};

use super::{event, ingest, on_sqlite, recommend, train, wanted};

const KINDS: [&str; 2] = ["绿茶茶叶", "garden hose reel"];

fn item(n: i64) -> Item {
    let title = format!("{} {}", KINDS[(n % 2) as usize], n * 7919 % 1000);
    Item { item_id: format!("item-{n}"), title, ..Item::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_item_is_ranked_by_its_title_at_once_in_a_catalogue_of_two_languages() {
    let mut served = on_sqlite().await;
    let client = &mut served.client;
    let upsert = |items: Vec<Item>| {
        tokio_stream::iter(items.into_iter().map(|item| UpsertItemsRequest { item: Some(item) }))
    };
    client.upsert_items(upsert((0..120).map(item).collect())).await.expect("taken");
    let now = chrono::Utc::now().timestamp();
    let take = |user: i64| (0..120).filter(move |n| n % 2 == user % 2 && (n * 7 + user * 13) % 5 == 0);
    let events = (0..60).flat_map(|user| {
        take(user).map(move |n| {
            let at = now - 86_400 * (30 - n % 20);
            event(&format!("{user}-{n}"), &format!("user-{user}"), EventKind::Purchase, n, at)
        })
    });
    ingest(client, events.collect()).await;
    let model = train(client, Algorithm::Svd).await;
    assert!(model.metrics["n-grams R2"] > 0.05, "{model:?}");

    let odd = Item { item_id: "odd".into(), title: "… — !".into(), ..Item::default() };
    client.upsert_items(upsert(vec![item(1_000), item(1_001), odd])).await.expect("taken");
    let mut tea = 0.0;
    for user in 0..2 {
        let answer =
            recommend(client, RecommendRequest { limit: 1_000, ..wanted(&format!("user-{user}"), 1) }).await;
        let score = |id: &str| answer.recommendations.iter().find(|pick| pick.item_id == id).expect("listed");
        let (own, other) =
            (score(&format!("item-{}", 1_000 + user)), score(&format!("item-{}", 1_001 - user)));
        assert!(own.score > 0.0 && own.score > other.score, "{own:?} {other:?}");
        assert_eq!(own.sources, ["new"]);
        tea = if user == 0 { own.score } else { tea };
        assert!(score("odd").score.abs() < 1e-9, "nothing is said of it, and it stops no other");
    }
    // Who only bought a new item is no stranger: its text says what suits.
    let bought = event("new-1", "newcomer", EventKind::Purchase, 1_000, now - 60);
    ingest(client, vec![bought]).await;
    let answer = recommend(client, RecommendRequest { explain: true, ..wanted("newcomer", 20) }).await;
    assert!(answer.degradations.is_empty(), "{:?}", answer.degradations);
    let of_the_kind =
        |pick: &&Recommendation| pick.item.as_ref().is_some_and(|item| item.title.starts_with(KINDS[0]));
    let count = answer.recommendations.iter().filter(of_the_kind).count();
    assert!(count >= 18, "{count} of 20 are of the kind that was bought");
    let reasons = answer.recommendations[0].reasons.iter();
    let because: Vec<_> = reasons.filter(|reason| reason.kind() == ReasonKind::Text).collect();
    assert!(because.iter().any(|reason| reason.because_item_id == "item-1000"), "{because:?}");

    // Another title is another item to the model, at once.
    let renamed = Item { title: format!("{} 1", KINDS[1]), ..item(1_000) };
    client.upsert_items(upsert(vec![renamed])).await.expect("taken");
    let answer = recommend(client, RecommendRequest { limit: 1_000, ..wanted("user-0", 1) }).await;
    let renamed = answer.recommendations.iter().find(|pick| pick.item_id == "item-1000").expect("listed");
    assert!(renamed.score < tea, "{renamed:?}, {tea} before");
    served.stop.cancel();
}
