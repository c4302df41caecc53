//! Order lines, deleted offers, positions of the event log and answers to repeated requests.

use prost::Message as _;
use proto::common::v1::{Event, EventKind};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait as _, EntityTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _};
use sea_orm_migration::prelude::*;

use super::{column, key, number, optional_number, table, text};
use crate::store::entity::event;

/// Events whose lines are read at once.
const BATCH: u64 = 1_000;

pub(super) struct OrderLines;

impl MigrationName for OrderLines {
    fn name(&self) -> &'static str {
        "m0009_order_lines"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for OrderLines {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for column in [
            column("item_id").string().not_null().default("").take(),
            column("quantity").big_integer().not_null().default(0).take(),
        ] {
            let event = Table::alter().table(Alias::new("evaluator_event")).add_column(column).take();
            manager.alter_table(event).await?;
        }
        fill_lines(manager).await
    }
}

/// Reads item and quantity of the purchases that are stored already from their payloads.
async fn fill_lines(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let db = manager.get_connection();
    let mut last = String::new();
    loop {
        let rows: Vec<(String, Vec<u8>)> = event::Entity::find()
            .select_only()
            .columns([event::Column::EventId, event::Column::Payload])
            .filter(event::Column::Kind.eq(EventKind::Purchase as i16))
            .filter(event::Column::EventId.gt(last.as_str()))
            .order_by_asc(event::Column::EventId)
            .limit(BATCH)
            .into_tuple()
            .all(db)
            .await?;
        let Some((id, _)) = rows.last() else { return Ok(()) };
        last.clone_from(id);
        for (id, payload) in rows {
            let event =
                Event::decode(payload.as_slice()).map_err(|error| DbErr::Custom(error.to_string()))?;
            let quantity =
                event.purchase.map_or(1, |purchase| i64::from(purchase.quantity).clamp(1, i64::MAX));
            event::Entity::update_many()
                .col_expr(event::Column::ItemId, Expr::value(event.item_id))
                .col_expr(event::Column::Quantity, Expr::value(quantity))
                .filter(event::Column::EventId.eq(id))
                .exec(db)
                .await?;
        }
    }
}

pub(super) struct Requests;

impl MigrationName for Requests {
    fn name(&self) -> &'static str {
        "m0010_requests_positions_deleted_offers"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Requests {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let deleted = optional_number("deleted_at");
        let offer = Table::alter().table(Alias::new("evaluator_offer")).add_column(deleted).take();
        manager.alter_table(offer).await?;
        manager.create_table(table("evaluator_position", [key("log"), number("position")])).await?;
        let answer = column("answer").text().not_null().take();
        let columns = [text("method"), text("request_id"), number("answered_at"), answer];
        let mut both = Index::create();
        both.col(Alias::new("method")).col(Alias::new("request_id"));
        manager.create_table(table("evaluator_request", columns).primary_key(&mut both).take()).await
    }
}
