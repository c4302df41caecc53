//! The popularity list, which answers while the recommender is away.

use std::time::{Duration, Instant};

use bespoke_tests::sandbox::Service;
use chassis::client::Channel;
use proto::common::v1::{DegradationStage, Item, Substitute};
use proto::gateway::v1::catalogue_service_client::CatalogueServiceClient;
use proto::gateway::v1::{DeleteItemsRequest, ItemUpdate, UpdateItemsRequest};
use proto::recommender::v1::recommender_service_client::RecommenderServiceClient;
use proto::recommender::v1::{RecommendRequest, UpsertItemsRequest};

use super::moved_in;
use crate::support::{ask, ids, request};

/// Waits until the gateway's list is the recommender's: an upsert past the gateway's own service asks for it.
async fn refreshed(gateway: &Channel, folder: &std::path::Path) -> Vec<String> {
    let mut client = RecommenderServiceClient::new(gateway.clone());
    let url = format!("sqlite://{}", folder.join("gateway.db").display());
    let store = gateway::store::Store::open(&chassis::config::Secret::new(url)).await.expect("opens");
    let started = Instant::now();
    loop {
        let touched =
            Item { item_id: "item-0".into(), title: "Green tea number 0".into(), ..Item::default() };
        let row = UpsertItemsRequest { item: Some(touched) };
        client.upsert_items(tokio_stream::iter([row])).await.expect("stored");
        let request = RecommendRequest { limit: 1000, ..RecommendRequest::default() };
        let popular = client.recommend(request).await.expect("answered").into_inner().recommendations;
        let popular: Vec<_> = popular.into_iter().map(|pick| pick.item_id).collect();
        let kept: Vec<_> =
            store.popular().await.expect("read").iter().map(|payload| decoded(payload)).collect();
        if kept == popular {
            return popular;
        }
        assert!(started.elapsed() < Duration::from_secs(30), "{kept:?} is kept, {popular:?} is popular");
        tokio::time::sleep(Duration::from_millis(600)).await;
    }
}

fn decoded(payload: &[u8]) -> String {
    <Item as prost::Message>::decode(payload).expect("an item").item_id
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_gets_what_is_popular_and_may_be_listed() {
    let (mut sandbox, gateway) = moved_in().await;
    let popular = refreshed(&gateway, sandbox.folder()).await;
    let mut catalogue = CatalogueServiceClient::new(gateway.clone());
    let sold_out = ItemUpdate {
        item: Some(Item { item_id: popular[1].clone(), stock: Some(0), ..Item::default() }),
        update_mask: vec!["stock".into()],
    };
    let update = UpdateItemsRequest { updates: vec![sold_out], ..UpdateItemsRequest::default() };
    catalogue.update_items(update).await.expect("updated");
    let delete = DeleteItemsRequest { item_ids: vec![popular[0].clone()], ..DeleteItemsRequest::default() };
    catalogue.delete_items(delete).await.expect("deleted");
    sandbox.stop(Service::Recommender).await.expect("stops");

    let expected: Vec<_> = popular[2..7].iter().map(String::as_str).collect();
    for user in ["user-2", "user-3", "nobody-knows-me"] {
        let answer = ask(&gateway, request(user)).await.expect("answered");
        assert_eq!(ids(&answer), expected, "{user}");
        let degraded = answer.degradations.iter().find(|found| found.stage() == DegradationStage::Recommend);
        assert_eq!(degraded.map(proto::common::v1::Degradation::substitute), Some(Substitute::Popularity));
    }
}
