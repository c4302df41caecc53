//! Reads and changes of single items.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use chrono::Utc;
use prost::Message as _;
use proto::common::v1::Item;
use proto::recommender::v1::{
    DeleteItemsRequest, DeleteItemsResponse, GetItemRequest, GetItemResponse, ItemUpdate, ListItemsRequest,
    ListItemsResponse, UpdateItemsRequest, UpdateItemsResponse,
};
use proto::validate::{self, Violations};
use tonic::{Code, Status};

use super::{Recommender, check, failed, refuse};
use crate::store::Updated;

/// Items of a page where the request does not say.
const PAGE: u32 = 100;
/// Prefix of this list's page tokens; the id of the last item listed follows.
const TOKEN: &str = "items-after-";

/// Copies the field `name` from `new` into `item`; false where no such field may be changed.
fn set_field(item: &mut Item, name: &str, new: &Item) -> bool {
    match name {
        "price" => item.price.clone_from(&new.price),
        "unit_cost" => item.unit_cost.clone_from(&new.unit_cost),
        "stock" => item.stock = new.stock,
        "available_from" => item.available_from.clone_from(&new.available_from),
        "available_until" => item.available_until.clone_from(&new.available_until),
        "not_recommendable" => item.not_recommendable = new.not_recommendable,
        "title" => item.title.clone_from(&new.title),
        "description" => item.description.clone_from(&new.description),
        "categories" => item.categories.clone_from(&new.categories),
        "brand" => item.brand.clone_from(&new.brand),
        "attributes" => item.attributes.clone_from(&new.attributes),
        "image_uri" => item.image_uri.clone_from(&new.image_uri),
        _ => return false,
    }
    true
}

/// Applies all updates in order to the stored `items`; the faults where one of them makes no sound item.
fn apply(updates: &[ItemUpdate], items: &mut BTreeMap<String, Item>) -> Result<(), Violations> {
    let mut found = Violations::new();
    for (index, update) in updates.iter().enumerate() {
        let new = update.item.clone().unwrap_or_default();
        let Some(item) = items.get_mut(&new.item_id) else { continue };
        for name in &update.update_mask {
            set_field(item, name, &new);
        }
        found.add_within(&format!("updates[{index}].item"), validate::item(item));
    }
    if found.is_empty() { Ok(()) } else { Err(found) }
}

fn check_updates(request: &UpdateItemsRequest) -> Result<(), Status> {
    let mut found = Violations::new();
    if request.updates.is_empty() {
        found.add("updates", "EMPTY", "must hold at least one update");
    }
    found.at_most("updates", request.updates.len(), check::MOST_ROWS);
    found.optional_id("request_id", &request.request_id);
    refuse(found)?;
    let mut found = Violations::new();
    for (index, update) in request.updates.iter().enumerate() {
        let path = format!("updates[{index}]");
        let id = update.item.as_ref().map_or("", |item| item.item_id.as_str());
        found.required_id(&format!("{path}.item.item_id"), id);
        if update.update_mask.is_empty() {
            found.add(format!("{path}.update_mask"), "EMPTY", "must name at least one field to change");
        }
        for (place, name) in update.update_mask.iter().enumerate() {
            if !set_field(&mut Item::default(), name, &Item::default()) {
                found.add(
                    format!("{path}.update_mask[{place}]"),
                    "UNKNOWN_FIELD",
                    "must be price, unit_cost, stock, available_from, available_until, not_recommendable, title, \
                     description, categories, brand, attributes or image_uri",
                );
            }
        }
    }
    refuse(found)
}

/// The key an answer is kept under: a request id that comes back with other content is another request.
fn request_key(request_id: &str, content: &[u8]) -> String {
    if request_id.is_empty() {
        return String::new();
    }
    let mut hasher = DefaultHasher::new();
    content.hash(&mut hasher);
    format!("{request_id}#{:016x}", hasher.finish())
}

impl Recommender {
    pub(super) async fn update(&self, request: &UpdateItemsRequest) -> Result<UpdateItemsResponse, Status> {
        check_updates(request)?;
        let ids = request.updates.iter().filter_map(|update| Some(update.item.as_ref()?.item_id.clone()));
        let ids: Vec<String> = ids.collect();
        let now = Utc::now().timestamp_micros();
        let change = |items: &mut BTreeMap<String, Item>| apply(&request.updates, items);
        let key = request_key(&request.request_id, &request.encode_to_vec());
        let updated = self.store.update_items(&key, &ids, now, change).await.map_err(failed)?;
        let answer = match updated {
            Updated::All(items) => UpdateItemsResponse { updated: items, unknown_item_ids: Vec::new() },
            Updated::Unknown(ids) => UpdateItemsResponse { updated: 0, unknown_item_ids: ids },
            Updated::Refused(found) => {
                refuse(found)?;
                UpdateItemsResponse::default()
            }
        };
        self.live.follow_items().await.map_err(|cause| chassis::error::internal(&cause))?;
        Ok(answer)
    }

    pub(super) async fn drop_items(
        &self,
        request: &DeleteItemsRequest,
    ) -> Result<DeleteItemsResponse, Status> {
        check::deletion(request)?;
        let now = Utc::now().timestamp_micros();
        let key = request_key(&request.request_id, &request.encode_to_vec());
        let deleted = self.store.delete_items(&key, &request.item_ids, now).await;
        self.live.follow_items().await.map_err(|cause| chassis::error::internal(&cause))?;
        Ok(DeleteItemsResponse { deleted: deleted.map_err(failed)? })
    }

    pub(super) async fn item(&self, request: &GetItemRequest) -> Result<GetItemResponse, Status> {
        let mut found = Violations::new();
        found.required_id("item_id", &request.item_id);
        refuse(found)?;
        let item = self.store.item(&request.item_id).await.map_err(failed)?;
        let missing = || {
            chassis::error::status(
                Code::NotFound,
                "UNKNOWN_ITEM",
                "no item of this item_id is in the catalogue; ListItems lists all",
            )
        };
        Ok(GetItemResponse { item: Some(item.ok_or_else(missing)?) })
    }

    pub(super) async fn items(&self, request: &ListItemsRequest) -> Result<ListItemsResponse, Status> {
        let mut found = Violations::new();
        found.page_size(request.page_size);
        let after = match request.page_token.as_str() {
            "" => Some(""),
            token => token.strip_prefix(TOKEN),
        };
        if after.is_none() {
            found.add("page_token", "FOREIGN_TOKEN", "must be the next_page_token of an answer to this call");
        }
        refuse(found)?;
        let size = if request.page_size == 0 { PAGE } else { request.page_size };
        let page = self.store.items_after(after.unwrap_or_default(), u64::from(size) + 1).await;
        let mut items = page.map_err(failed)?;
        let more = items.len() > size as usize;
        items.truncate(size as usize);
        let last = items.last().filter(|_| more);
        let next_page_token = last.map(|item| format!("{TOKEN}{}", item.item_id)).unwrap_or_default();
        Ok(ListItemsResponse { items, next_page_token })
    }
}
