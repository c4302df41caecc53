//! What plans have spent, and what each replica may still have redeemed.

use std::collections::HashMap;

use prost::Message as _;
use proto::common::v1::Channel;
use proto::evaluator::v1::Decision;
use sea_orm::sea_query::{ExprTrait as _, OnConflict};
use sea_orm::{
    ColumnTrait as _, Condition, ConnectionTrait, DatabaseTransaction, DbBackend, EntityTrait as _,
    FromQueryResult, IntoActiveModel as _, QueryFilter as _, QuerySelect as _,
};

use super::entity::{cost, decision, grant};
use super::{STATEMENT, Store};
use crate::error::{Error, Result};
use crate::strategy::ledger::{Ask, Grant, granted};

/// A sum, which is nothing of no rows.
#[derive(FromQueryResult)]
struct Total {
    total: Option<i64>,
}

impl Store {
    /// Books what decisions have cost, by plan; a decision's last word holds. Says what each plan has spent in all.
    pub async fn settle(&self, costs: &[(String, String, i64)]) -> Result<HashMap<String, i64>> {
        let _held = self.writing().await;
        let transaction = chassis::database::begin(&self.db).await?;
        lock(&transaction).await?;
        let last_word =
            OnConflict::column(cost::Column::DecisionId).update_column(cost::Column::Cost).to_owned();
        for chunk in costs.chunks(STATEMENT) {
            let row = |(decision_id, plan_id, cost): &(String, String, i64)| {
                let (decision_id, plan_id) = (decision_id.clone(), plan_id.clone());
                cost::Model { decision_id, plan_id, cost: *cost }.into_active_model()
            };
            cost::Entity::insert_many(chunk.iter().map(row))
                .on_conflict(last_word.clone())
                .exec_without_returning(&transaction)
                .await?;
        }
        let mut spent = HashMap::new();
        for (_, plan_id, _) in costs {
            if !spent.contains_key(plan_id) {
                spent.insert(plan_id.clone(), spent_by(&transaction, plan_id).await?);
            }
        }
        transaction.commit().await?;
        Ok(spent)
    }

    /// What is booked on an account: a plan's spend, or what is used of a limit of it.
    pub async fn used(&self, account: &str) -> Result<u64> {
        Ok(u64::try_from(spent_by(&self.db, account).await?).unwrap_or(0))
    }

    /// Grants the replica `holder` a share of a plan's `budget`.
    pub async fn grant(&self, plan_id: &str, budget: i64, holder: &str, ask: Ask) -> Result<Grant> {
        let _held = self.writing().await;
        let transaction = chassis::database::begin(&self.db).await?;
        lock(&transaction).await?;
        let spent = spent_by(&transaction, plan_id).await?;
        // Grants that are over cover nothing any more: whoever held them decides no longer.
        grant::Entity::delete_many()
            .filter(grant::Column::PlanId.eq(plan_id))
            .filter(grant::Column::Until.lt(ask.at))
            .exec(&transaction)
            .await?;
        let others: Vec<i64> = grant::Entity::find()
            .select_only()
            .column(grant::Column::Amount)
            .filter(grant::Column::PlanId.eq(plan_id))
            .filter(grant::Column::Holder.ne(holder))
            .into_tuple()
            .all(&transaction)
            .await?;
        let amount = granted(budget, spent, others.iter().sum(), ask);
        let (plan_id, holder) = (plan_id.to_owned(), holder.to_owned());
        let row = grant::Model { plan_id, holder, amount, until: ask.until };
        let newest = OnConflict::columns([grant::Column::PlanId, grant::Column::Holder])
            .update_columns([grant::Column::Amount, grant::Column::Until])
            .to_owned();
        grant::Entity::insert(row.into_active_model())
            .on_conflict(newest)
            .exec_without_returning(&transaction)
            .await?;
        transaction.commit().await?;
        Ok(Grant { amount, spent })
    }

    /// Offers recorded as made to a unit in a channel from a moment on.
    pub async fn offers_made(&self, unit: &str, channel: Channel, from: i64) -> Result<u32> {
        let made: Vec<Vec<u8>> = decision::Entity::find()
            .select_only()
            .column(decision::Column::Payload)
            .filter(of_unit(unit))
            .filter(decision::Column::DecidedAt.gte(from))
            .filter(decision::Column::OfferId.ne(""))
            .into_tuple()
            .all(&self.db)
            .await?;
        let mut count = 0;
        for payload in made {
            let made = Decision::decode(payload.as_slice()).map_err(|e| Error::Internal(e.to_string()))?;
            count += u32::from(made.channel() == channel);
        }
        Ok(count)
    }
}

/// Restricts decisions to those of a unit: a user, or a visitor who is not linked to one.
fn of_unit(unit: &str) -> Condition {
    Condition::any()
        .add(decision::Column::Person.eq(unit))
        .add(decision::Column::Person.eq("").and(decision::Column::Visitor.eq(unit)))
}

/// One at a time: two that read the same sums would both give what only one can have.
async fn lock(transaction: &DatabaseTransaction) -> Result<()> {
    if transaction.get_database_backend() == DbBackend::Postgres {
        // The number is ours alone: "ledger" in ASCII.
        transaction.execute_unprepared("SELECT pg_advisory_xact_lock(119182851040626)").await?;
    }
    Ok(())
}

async fn spent_by(transaction: &impl ConnectionTrait, plan_id: &str) -> Result<i64> {
    let sum = cost::Entity::find()
        .select_only()
        .column_as(cost::Column::Cost.sum().cast_as("bigint"), "total")
        .filter(cost::Column::PlanId.eq(plan_id))
        .into_model::<Total>()
        .one(transaction)
        .await?;
    Ok(sum.and_then(|sum| sum.total).unwrap_or(0))
}
