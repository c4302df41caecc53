//! Answers to writes that carried a `request_id`, so that a repeated request changes nothing.

use sea_orm::{ActiveValue::Set, ColumnTrait as _, DatabaseTransaction, EntityTrait as _, QueryFilter as _};

use super::Error;
use super::entity::request::{ActiveModel, Column, Entity};

/// Microseconds for which an answer is kept.
const KEPT: i64 = 24 * 3_600 * 1_000_000;

/// The answer given before to this request; nothing without a `request_id`.
pub(super) async fn answered(
    transaction: &DatabaseTransaction,
    method: &str,
    request_id: &str,
) -> Result<Option<Vec<u8>>, Error> {
    if request_id.is_empty() {
        return Ok(None);
    }
    let key = (method.to_owned(), request_id.to_owned());
    Ok(Entity::find_by_id(key).one(transaction).await?.map(|row| row.answer))
}

/// Keeps the answer to a request, and forgets those given more than 24 hours before `now`, in microseconds.
pub(super) async fn keep_answer(
    transaction: &DatabaseTransaction,
    (method, request_id): (&str, &str),
    answer: Vec<u8>,
    now: i64,
) -> Result<(), Error> {
    if request_id.is_empty() {
        return Ok(());
    }
    let old = Column::AnsweredAt.lt(now - KEPT);
    Entity::delete_many().filter(old).exec(transaction).await?;
    let row = ActiveModel {
        method: Set(method.to_owned()),
        request_id: Set(request_id.to_owned()),
        answer: Set(answer),
        answered_at: Set(now),
    };
    Entity::insert(row).exec_without_returning(transaction).await?;
    Ok(())
}
