//! The catalogue goes to the recommender, which owns it; changes of items on the popularity list take effect there too.

use std::sync::{Arc, Mutex, PoisonError};

use futures::StreamExt as _;
use proto::common::v1::Item;
use proto::gateway::v1::catalogue_service_server::CatalogueService;
use proto::gateway::v1::{
    DeleteItemsRequest, DeleteItemsResponse, GetItemRequest, GetItemResponse, ListItemsRequest,
    ListItemsResponse, UpdateItemsRequest, UpdateItemsResponse, UpsertItemsRequest, UpsertItemsResponse,
};
use proto::recommender::v1 as recommender;
use proto::validate;
use tonic::{Request, Response, Status, Streaming};

use crate::personalise::popular::Popular;
use crate::upstream::Upstream;

/// Takes items in.
pub struct Catalogue {
    upstream: Upstream,
    popular: Popular,
}

/// What was seen of a stream that has gone on to the recommender.
#[derive(Default)]
struct Seen {
    items: Vec<Item>,
    broken: Option<Status>,
}

impl Catalogue {
    /// A catalogue that passes on to `upstream`.
    pub fn new(upstream: Upstream, popular: Popular) -> Self {
        Self { upstream, popular }
    }
}

#[tonic::async_trait]
impl CatalogueService for Catalogue {
    async fn upsert_items(
        &self,
        request: Request<Streaming<UpsertItemsRequest>>,
    ) -> Result<Response<UpsertItemsResponse>, Status> {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let rows = {
            let (seen, popular) = (seen.clone(), self.popular.clone());
            request.into_inner().scan((), move |(), row| {
                let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
                let next = row.map(|row| {
                    if let Some(item) = &row.item
                        && popular.takes(&item.item_id, seen.items.len())
                        && validate::item(item).is_empty()
                    {
                        seen.items.push(item.clone());
                    }
                    recommender::UpsertItemsRequest { item: row.item }
                });
                let ready = next.map_err(|status| seen.broken = Some(status)).ok();
                std::future::ready(ready)
            })
        };
        let stored = self.upstream.recommender().upsert_items(rows).await?.into_inner();
        let seen = std::mem::take(&mut *seen.lock().unwrap_or_else(PoisonError::into_inner));
        // The caller's stream broke off: what had come is stored, but nothing says that it was all.
        if let Some(status) = seen.broken {
            return Err(status);
        }
        self.popular.put(seen.items).await;
        let recommender::UpsertItemsResponse { accepted, rejected, rejected_count } = stored;
        Ok(Response::new(UpsertItemsResponse { accepted, rejected, rejected_count }))
    }

    async fn update_items(
        &self,
        request: Request<UpdateItemsRequest>,
    ) -> Result<Response<UpdateItemsResponse>, Status> {
        let UpdateItemsRequest { updates, request_id } = request.into_inner();
        let sent = updates
            .iter()
            .cloned()
            .map(|update| recommender::ItemUpdate { item: update.item, update_mask: update.update_mask });
        let request = recommender::UpdateItemsRequest { updates: sent.collect(), request_id };
        let changed = self.upstream.recommender().update_items(request).await?.into_inner();
        self.popular.update(updates).await;
        let (updated, unknown_item_ids) = (changed.updated, changed.unknown_item_ids);
        Ok(Response::new(UpdateItemsResponse { updated, unknown_item_ids }))
    }

    async fn get_item(&self, request: Request<GetItemRequest>) -> Result<Response<GetItemResponse>, Status> {
        let request = recommender::GetItemRequest { item_id: request.into_inner().item_id };
        let item = self.upstream.recommender().get_item(request).await?.into_inner().item;
        Ok(Response::new(GetItemResponse { item }))
    }

    async fn list_items(
        &self,
        request: Request<ListItemsRequest>,
    ) -> Result<Response<ListItemsResponse>, Status> {
        let ListItemsRequest { page_size, page_token } = request.into_inner();
        let request = recommender::ListItemsRequest { page_size, page_token };
        let page = self.upstream.recommender().list_items(request).await?.into_inner();
        Ok(Response::new(ListItemsResponse { items: page.items, next_page_token: page.next_page_token }))
    }

    async fn delete_items(
        &self,
        request: Request<DeleteItemsRequest>,
    ) -> Result<Response<DeleteItemsResponse>, Status> {
        let DeleteItemsRequest { item_ids, request_id } = request.into_inner();
        let request = recommender::DeleteItemsRequest { item_ids: item_ids.clone(), request_id };
        let removed = self.upstream.recommender().delete_items(request).await?.into_inner();
        self.popular.remove(&item_ids).await;
        Ok(Response::new(DeleteItemsResponse { deleted: removed.deleted }))
    }
}
