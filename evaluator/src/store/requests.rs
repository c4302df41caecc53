use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{
    ColumnTrait as _, ConnectionTrait, DatabaseTransaction, EntityTrait as _, IntoActiveModel as _,
    QueryFilter as _,
};

use super::Store;
use super::entity::{position, request};
use crate::error::Result;

/// Name of the gateway's log of events and decisions.
const EVENTS: &str = "events";

impl Store {
    /// Returns the answer stored for a request; `None` where there is none, and always for an empty id.
    pub async fn answer_to(&self, method: &str, request_id: &str) -> Result<Option<String>> {
        if request_id.is_empty() {
            return Ok(None);
        }
        let key = (method.to_owned(), request_id.to_owned());
        Ok(request::Entity::find_by_id(key).one(&self.db).await?.map(|row| row.answer))
    }

    /// Stores the answer to a request; the first one stays. An empty id stores nothing.
    pub async fn keep_answer(&self, method: &str, request_id: &str, answer: &str, now: i64) -> Result<()> {
        let _held = self.writing().await;
        keep_answer(&self.db, method, request_id, answer, now).await
    }

    /// Returns the largest position of the sender's log that is stored; 0 where none was sent.
    pub async fn position(&self) -> Result<u64> {
        let found = position::Entity::find_by_id(EVENTS).one(&self.db).await?;
        Ok(found.map_or(0, |row| u64::try_from(row.position).unwrap_or(0)))
    }
}

pub(super) async fn keep_answer(
    db: &impl ConnectionTrait,
    method: &str,
    request_id: &str,
    answer: &str,
    now: i64,
) -> Result<()> {
    if request_id.is_empty() {
        return Ok(());
    }
    let row = request::Model {
        method: method.to_owned(),
        request_id: request_id.to_owned(),
        answered_at: now,
        answer: answer.to_owned(),
    };
    request::Entity::insert(row.into_active_model())
        .on_conflict(OnConflict::new().do_nothing().to_owned())
        .exec_without_returning(db)
        .await?;
    Ok(())
}

/// Raises the stored position of the log to `position` in the transaction that stores its rows.
pub(super) async fn advance(transaction: &DatabaseTransaction, position: u64) -> Result<()> {
    let position = i64::try_from(position).unwrap_or(i64::MAX);
    if position == 0 {
        return Ok(());
    }
    let raised = position::Entity::update_many()
        .col_expr(position::Column::Position, Expr::value(position))
        .filter(position::Column::Log.eq(EVENTS))
        .filter(position::Column::Position.lt(position))
        .exec(transaction)
        .await?;
    if raised.rows_affected == 0 {
        let row = position::Model { log: EVENTS.to_owned(), position };
        position::Entity::insert(row.into_active_model())
            .on_conflict(OnConflict::new().do_nothing().to_owned())
            .exec_without_returning(transaction)
            .await?;
    }
    Ok(())
}
