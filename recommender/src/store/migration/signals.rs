//! Columns and indexes that tell what an event weighs, and the popularity of items.

use prost::Message as _;
use proto::common::v1::{Event as EventMessage, EventKind};
use sea_orm::{ConnectionTrait, ExprTrait as _, FromQueryResult, Statement};
use sea_orm_migration::prelude::*;

use super::Event;
use crate::store::events::Line;

pub(super) struct Signals;

/// Rows whose new columns are filled in one step.
const BACKFILLED: u64 = 500;

impl MigrationName for Signals {
    fn name(&self) -> &'static str {
        "m0005_signals"
    }
}

#[derive(DeriveIden)]
enum Added {
    Rating,
    OrderId,
    Quantity,
}

#[derive(DeriveIden)]
enum Popularity {
    #[sea_orm(iden = "recommender_popularity")]
    Table,
    ItemId,
    Score,
    At,
}

#[derive(DeriveIden)]
enum Basis {
    #[sea_orm(iden = "recommender_popularity_basis")]
    Table,
    Id,
    Basis,
}

#[derive(Debug, FromQueryResult)]
struct Stored {
    event_id: String,
    payload: Vec<u8>,
}

#[async_trait::async_trait]
impl MigrationTrait for Signals {
    // The updates of a backfill are written to the disk once.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for mut column in [
            ColumnDef::new(Added::Rating).double().null().to_owned(),
            ColumnDef::new(Added::OrderId).string().not_null().default("").to_owned(),
            ColumnDef::new(Added::Quantity).big_integer().not_null().default(0).to_owned(),
        ] {
            manager
                .alter_table(Table::alter().table(Event::Table).add_column(&mut column).to_owned())
                .await?;
        }
        backfill(manager.get_connection()).await?;
        // Impressions, offers shown or withheld and links are no acts of a person, and most of all rows.
        let acts = "kind NOT IN (1, 12, 13, 16)";
        for (name, columns, rows) in [
            ("recommender_event_act", "person, occurred_at, event_id", acts),
            ("recommender_event_pair", "person, item_id, occurred_at, event_id", acts),
            ("recommender_event_verdict", "person, kind, item_id, occurred_at", "kind IN (6, 8, 15)"),
        ] {
            let index = format!("CREATE INDEX {name} ON recommender_event ({columns}) WHERE {rows}");
            manager.get_connection().execute_unprepared(&index).await?;
        }
        let popularity = Table::create()
            .table(Popularity::Table)
            .col(ColumnDef::new(Popularity::ItemId).string().not_null().primary_key())
            .col(ColumnDef::new(Popularity::Score).double().not_null())
            .col(ColumnDef::new(Popularity::At).big_integer().not_null())
            .to_owned();
        manager.create_table(popularity).await?;
        let basis = Table::create()
            .table(Basis::Table)
            .col(ColumnDef::new(Basis::Id).integer().not_null().primary_key())
            .col(ColumnDef::new(Basis::Basis).text().not_null())
            .to_owned();
        manager.create_table(basis).await
    }
}

/// Fills the new columns of events stored before, from their payloads.
async fn backfill(db: &impl ConnectionTrait) -> Result<(), DbErr> {
    let mut after = String::new();
    loop {
        let kinds = [EventKind::Purchase, EventKind::Rating, EventKind::Return].map(|kind| kind as i32);
        let mut select = Query::select();
        select
            .columns([Event::EventId, Event::Payload])
            .from(Event::Table)
            .and_where(Expr::col(Event::Kind).is_in(kinds))
            .and_where(Expr::col(Event::EventId).gt(after.as_str()))
            .order_by(Event::EventId, Order::Asc)
            .limit(BACKFILLED);
        let statement: Statement = db.get_database_backend().build(&select);
        let rows = db.query_all_raw(statement).await?;
        let rows =
            rows.iter().map(|row| Stored::from_query_result(row, "")).collect::<Result<Vec<_>, _>>()?;
        let Some(last) = rows.last() else { return Ok(()) };
        after.clone_from(&last.event_id);
        for Stored { event_id, payload } in &rows {
            let event = EventMessage::decode(payload.as_slice());
            let event = event.map_err(|cause| DbErr::Custom(format!("a stored event: {cause}")))?;
            let Line { rating, order_id, quantity } = Line::of(&event);
            let mut update = Query::update();
            update
                .table(Event::Table)
                .value(Added::Rating, rating)
                .value(Added::OrderId, order_id)
                .value(Added::Quantity, quantity)
                .and_where(Expr::col(Event::EventId).eq(event_id.as_str()));
            db.execute(&update).await?;
        }
    }
}
