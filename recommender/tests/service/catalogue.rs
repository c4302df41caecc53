//! Changes of items: followed by every replica, applied by field, repeated without effect.

use std::time::{Duration, Instant};

use proto::common::v1::{Item, Money};
use proto::recommender::v1::{
    DeleteItemsRequest, GetItemRequest, ItemUpdate, ListItemsRequest, RecommendRequest, UpdateItemsRequest,
    UpdateItemsResponse, UpsertItemsRequest,
};
use recommender::store::{Changes, Updated};
use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use super::{Client, Served, ids, item, on_postgres, on_sqlite, open, recommend, replica, wanted};

async fn upsert(client: &mut Client, items: impl IntoIterator<Item = Item>) {
    let rows: Vec<_> = items.into_iter().map(|item| UpsertItemsRequest { item: Some(item) }).collect();
    let sent = rows.len() as u64;
    let taken = client.upsert_items(tokio_stream::iter(rows)).await.expect("taken").into_inner();
    assert_eq!(taken.accepted, sent, "{:?}", taken.rejected);
}

fn price(n: i64, minor_units: i64) -> ItemUpdate {
    let price = Some(Money { currency_code: "USD".into(), minor_units });
    let item = Item { item_id: format!("item-{n}"), price, ..Item::default() };
    ItemUpdate { item: Some(item), update_mask: vec!["price".into()] }
}

async fn update(client: &mut Client, request_id: &str, updates: Vec<ItemUpdate>) -> UpdateItemsResponse {
    let request = UpdateItemsRequest { updates, request_id: request_id.into() };
    client.update_items(request).await.expect("answered").into_inner()
}

async fn get(client: &mut Client, n: i64) -> Item {
    let request = GetItemRequest { item_id: format!("item-{n}") };
    client.get_item(request).await.expect("found").into_inner().item.expect("an item")
}

/// The price with which item 3 is recommended to somebody unknown, where it is.
async fn shown_price(client: &mut Client) -> Option<i64> {
    let answer = recommend(client, RecommendRequest { limit: 100, ..wanted("", 100) }).await;
    let pick = answer.recommendations.into_iter().find(|pick| pick.item_id == "item-3")?;
    Some(pick.item?.price?.minor_units)
}

/// A change of a price is in the next answer of the replica that took it, and soon in that of another; how soon is
/// measured by the bench.
async fn followed(served: &mut Served) {
    let (mut other, stop) = replica(&served.url, served.folder.path().join("models")).await;
    let client = &mut served.client;
    upsert(client, (0..10).map(item)).await;
    let mut slowest = Duration::ZERO;
    for minor_units in 1_000..1_010 {
        assert_eq!(update(client, "", vec![price(3, minor_units)]).await.updated, 1);
        let changed = Instant::now();
        assert_eq!(shown_price(client).await, Some(minor_units), "at once where it was taken");
        while shown_price(&mut other).await != Some(minor_units) {
            assert!(changed.elapsed() < Duration::from_secs(5), "never followed");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        slowest = slowest.max(changed.elapsed());
    }
    eprintln!("followed by another replica after at most {slowest:?}");
    let deletion = DeleteItemsRequest { item_ids: vec!["item-3".into()], ..Default::default() };
    assert_eq!(client.delete_items(deletion).await.expect("deleted").into_inner().deleted, 1);
    while ids(&recommend(&mut other, wanted("", 100)).await).contains(&"item-3") {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    stop.cancel();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_price_is_shown_at_once_here_and_soon_by_another_replica_on_sqlite() {
    let mut served = on_sqlite().await;
    followed(&mut served).await;
    served.stop.cancel();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_price_is_shown_at_once_here_and_soon_by_another_replica_on_postgres() {
    on_postgres(|mut served| async move {
        followed(&mut served).await;
        concurrent_writers(&served).await;
        served.stop.cancel();
    })
    .await;
}

/// Many writers at once: a follower that reads all the while has seen every change at the end.
async fn concurrent_writers(served: &Served) {
    let store = open(&served.url).await;
    let begin = store.items(&mut Vec::new()).await.expect("read");
    let writers = (0..8_i64).map(|writer| {
        let store = store.clone();
        tokio::spawn(async move {
            for n in 0..20 {
                let items = [item(100 + writer), item(1_000 + writer * 20 + n)];
                store.upsert_items(&items, n).await.expect("stored");
            }
        })
    });
    let writers: Vec<_> = writers.collect();
    let (mut revision, mut seen) = (begin, std::collections::BTreeSet::new());
    loop {
        let done = writers.iter().all(tokio::task::JoinHandle::is_finished);
        match store.item_changes(revision).await.expect("read") {
            Changes::None if done => break,
            Changes::None => tokio::task::yield_now().await,
            Changes::Forgotten => panic!("nothing was removed"),
            Changes::Some { revision: next, stored, .. } => {
                assert!(next > revision);
                revision = next;
                seen.extend(stored.into_iter().map(|item| item.item_id));
            }
        }
    }
    for writer in writers {
        writer.await.expect("wrote");
    }
    assert_eq!(seen.len(), 8 + 160, "every item written is followed");
}

#[tokio::test]
async fn items_stamped_earlier_but_committed_later_are_followed() {
    let store = open("sqlite::memory:").await;
    store.upsert_items(&[item(1), item(2)], 1_000).await.expect("stored");
    let mut all = Vec::new();
    let revision = store.items(&mut all).await.expect("read");
    assert_eq!((all.len(), store.item_changes(revision).await.expect("read")), (2, Changes::None));
    // Another replica's clock, or a transaction that began earlier: count and largest time stay what they were.
    let late = Item { title: "late".into(), ..item(1) };
    store.upsert_items(std::slice::from_ref(&late), 500).await.expect("stored");
    let Changes::Some { revision, stored, removed } = store.item_changes(revision).await.expect("read")
    else {
        panic!("a change is followed");
    };
    assert_eq!((stored, removed), (vec![late], Vec::<String>::new()));
    assert_eq!(store.delete_items("", &["item-2".into(), "never".into()], 600).await.expect("deleted"), 1);
    let changes = store.item_changes(revision).await.expect("read");
    assert!(matches!(&changes, Changes::Some { removed, .. } if removed == &["item-2"]), "{changes:?}");
}

#[tokio::test]
async fn removals_are_forgotten_after_a_day_and_a_follower_behind_them_reads_all_again() {
    let day = 24 * 3_600 * 1_000_000;
    let store = open("sqlite::memory:").await;
    store.upsert_items(&[item(1), item(2), item(3)], 0).await.expect("stored");
    let behind = store.items(&mut Vec::new()).await.expect("read");
    store.delete_items("", &["item-1".into()], 10).await.expect("deleted");
    store.delete_items("", &["item-2".into()], 20 + day).await.expect("deleted");
    assert_eq!(store.item_changes(behind).await.expect("read"), Changes::Forgotten);
    let changes = store.item_changes(behind + 1).await.expect("read");
    assert!(matches!(&changes, Changes::Some { removed, .. } if removed == &["item-2"]), "{changes:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_changes_the_named_fields_of_all_items_or_of_none() {
    let mut served = on_sqlite().await;
    let client = &mut served.client;
    upsert(client, (0..3).map(item)).await;
    let stock = Item { item_id: "item-1".into(), stock: Some(4), ..Item::default() };
    let stock = ItemUpdate { item: Some(stock), update_mask: vec!["stock".into()] };
    let answer = update(client, "", vec![price(0, 7), stock, price(1, 8)]).await;
    assert_eq!((answer.updated, answer.unknown_item_ids.len()), (2, 0), "two items");
    let (first, second) = (get(client, 0).await, get(client, 1).await);
    assert_eq!(first, Item { price: Some(Money { currency_code: "USD".into(), minor_units: 7 }), ..item(0) });
    assert_eq!((second.stock, second.title.as_str()), (Some(4), "Thing 1"), "two updates of one item");
    assert_eq!(second.price.expect("a price").minor_units, 8);

    // An unknown id: nothing is changed, and it is named.
    let answer = update(client, "", vec![price(0, 9), price(77, 9)]).await;
    assert_eq!((answer.updated, answer.unknown_item_ids), (0, vec!["item-77".to_owned()]));
    assert_eq!(get(client, 0).await.price.expect("a price").minor_units, 7);

    // A fault: nothing is changed, and its field is named.
    let untitled = ItemUpdate {
        item: Some(Item { item_id: "item-1".into(), ..Item::default() }),
        update_mask: vec!["title".into()],
    };
    let bad = vec![price(0, 9), untitled];
    let refused = client.update_items(UpdateItemsRequest { updates: bad, ..Default::default() }).await;
    let refused = refused.expect_err("a title is required");
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert!(format!("{refused:?}").contains("updates[1].item.title"), "{refused:?}");
    assert_eq!(get(client, 0).await.price.expect("a price").minor_units, 7);

    let unknown = ItemUpdate { update_mask: vec!["price".into(), "item_id".into()], ..price(0, 9) };
    let nothing = ItemUpdate { update_mask: Vec::new(), ..price(0, 9) };
    for (update, field) in [(unknown, "updates[0].update_mask[1]"), (nothing, "updates[0].update_mask")] {
        let request = UpdateItemsRequest { updates: vec![update], ..Default::default() };
        let refused = client.update_items(request).await.expect_err("refused");
        assert!(format!("{refused:?}").contains(field), "{refused:?}");
    }
    let many = UpdateItemsRequest { updates: vec![price(0, 1); 1_001], ..Default::default() };
    assert_eq!(client.update_items(many).await.expect_err("too many").code(), Code::InvalidArgument);
    served.stop.cancel();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_request_id_changes_nothing() {
    let mut served = on_sqlite().await;
    let client = &mut served.client;
    upsert(client, (0..3).map(item)).await;
    assert_eq!(update(client, "sale", vec![price(0, 50)]).await.updated, 1);
    assert_eq!(update(client, "", vec![price(0, 60)]).await.updated, 1);
    assert_eq!(update(client, "sale", vec![price(0, 50)]).await.updated, 1, "the first answer");
    assert_eq!(get(client, 0).await.price.expect("a price").minor_units, 60);

    let deletion = DeleteItemsRequest { item_ids: vec!["item-1".into()], request_id: "gone".into() };
    assert_eq!(client.delete_items(deletion.clone()).await.expect("deleted").into_inner().deleted, 1);
    upsert(client, [item(1)]).await;
    assert_eq!(client.delete_items(deletion).await.expect("answered").into_inner().deleted, 1);
    assert_eq!(get(client, 1).await, item(1), "stored again since");
    served.stop.cancel();
}

#[tokio::test(flavor = "multi_thread")]
async fn items_are_listed_in_pages_by_id_and_an_unknown_one_is_not_found() {
    let mut served = on_sqlite().await;
    let client = &mut served.client;
    upsert(client, (0..7).map(item)).await;
    let (mut pages, mut found, mut page_token) = (0, Vec::new(), String::new());
    loop {
        let request = ListItemsRequest { page_size: 3, page_token };
        let page = client.list_items(request).await.expect("answered").into_inner();
        (pages, page_token) = (pages + 1, page.next_page_token);
        found.extend(page.items);
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!((pages, found), (3, (0..7).map(item).collect::<Vec<_>>()));
    let foreign = ListItemsRequest { page_token: "elsewhere".into(), ..Default::default() };
    assert_eq!(client.list_items(foreign).await.expect_err("refused").code(), Code::InvalidArgument);
    let unknown = client.get_item(GetItemRequest { item_id: "x".into() }).await.expect_err("not there");
    assert_eq!(unknown.code(), Code::NotFound);
    let empty = client.get_item(GetItemRequest::default()).await.expect_err("refused");
    assert_eq!(empty.code(), Code::InvalidArgument);
    served.stop.cancel();
}

#[tokio::test]
async fn an_update_of_the_store_refused_by_its_caller_changes_nothing() {
    let store = open("sqlite::memory:").await;
    store.upsert_items(&[item(1)], 0).await.expect("stored");
    let ids = ["item-1".to_owned()];
    let refused = store.update_items("r", &ids, 1, |items| {
        for item in items.values_mut() {
            item.title.clear();
        }
        Err("no")
    });
    assert_eq!(refused.await.expect("answered"), Updated::Refused("no"));
    assert_eq!(store.item("item-1").await.expect("read"), Some(item(1)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_answers_probes_and_turns_to_serving_once_the_catalogue_is_loaded() {
    let mut served = on_sqlite().await;
    upsert(&mut served.client, (0..10).map(item)).await;
    let (mut client, channel, stop) =
        super::replica_on(&served.url, served.folder.path().join("models")).await;
    // Answered while the catalogue may still be loading: after it, never from an empty shop.
    assert_eq!(recommend(&mut client, wanted("", 10)).await.recommendations.len(), 10);
    let mut health = HealthClient::new(channel);
    let mut status = health.watch(HealthCheckRequest::default()).await.expect("answered").into_inner();
    while status.message().await.expect("goes on").expect("a status").status() != ServingStatus::Serving {}
    stop.cancel();
    served.stop.cancel();
}
