//! What is spent and owed on accounts, and what each replica may offer beyond it.

use std::collections::HashMap;

use prost::Message as _;
use proto::common::v1::Channel;
use proto::evaluator::v1::Decision;
use sea_orm::sea_query::{Expr, ExprTrait as _, OnConflict};
use sea_orm::{
    ColumnTrait as _, Condition, ConnectionTrait, DatabaseTransaction, DbBackend, EntityTrait as _,
    FromQueryResult, IntoActiveModel as _, QueryFilter as _, QuerySelect as _,
};

use super::entity::{cost, decision, grant, offer_made};
use super::owed::outstanding;
use super::{STATEMENT, Store};
use crate::error::{Error, Result};
use crate::strategy::ledger::{Ask, Grant, granted};
use crate::strategy::limit::Counts;
use crate::strategy::owed::Redemptions;

/// A sum, which is nothing of no rows.
#[derive(FromQueryResult)]
struct Total {
    total: Option<i64>,
}

/// What a replica asks for of one account.
#[derive(Debug, Clone)]
pub struct Request {
    /// The account.
    pub account: String,
    /// What may be booked on it at most.
    pub bound: i64,
    /// What is counted there.
    pub counts: Counts,
    /// The question.
    pub ask: Ask,
}

/// A booking: what a decision has cost an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Booking {
    /// A name that is the decision's for that account alone.
    pub id: String,
    /// The account.
    pub account: String,
    /// Minor units, or a count.
    pub cost: i64,
    /// When the decision's offer was redeemed, and whether that was inferred; `None` where this is a limit's count.
    pub redeemed: Option<(i64, bool)>,
}

/// What stands on an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AccountState {
    /// Redeemed, minor units.
    pub spent: i64,
    /// What recorded offers may still cost.
    pub owed: i64,
    /// Granted to replicas.
    pub reserved: i64,
}

impl Store {
    /// Books what decisions have cost, by account; a decision's last word holds. An offer whose redemption is booked is owed
    /// no longer. Says what is spent on each account.
    pub async fn settle(&self, bookings: &[Booking]) -> Result<HashMap<String, i64>> {
        let _held = self.writing().await;
        let transaction = chassis::database::begin(&self.db).await?;
        lock(&transaction).await?;
        let last_word =
            OnConflict::column(cost::Column::DecisionId).update_column(cost::Column::Cost).to_owned();
        for chunk in bookings.chunks(STATEMENT) {
            let row = |booking: &Booking| {
                let (decision_id, plan_id) = (booking.id.clone(), booking.account.clone());
                cost::Model { decision_id, plan_id, cost: booking.cost }.into_active_model()
            };
            cost::Entity::insert_many(chunk.iter().map(row))
                .on_conflict(last_word.clone())
                .exec_without_returning(&transaction)
                .await?;
        }
        for booking in bookings {
            let Some((at, inferred)) = booking.redeemed else { continue };
            offer_made::Entity::update_many()
                .col_expr(offer_made::Column::Redeemed, Expr::value(true))
                .col_expr(offer_made::Column::ClosesAt, Expr::value(at))
                .col_expr(offer_made::Column::Cost, Expr::value(booking.cost))
                .col_expr(offer_made::Column::Inferred, Expr::value(inferred))
                .filter(offer_made::Column::DecisionId.eq(&booking.id))
                .exec(&transaction)
                .await?;
        }
        let mut spent = HashMap::new();
        for Booking { account, .. } in bookings {
            if !spent.contains_key(account) {
                spent.insert(account.clone(), spent_by(&transaction, account).await?);
            }
        }
        transaction.commit().await?;
        Ok(spent)
    }

    /// What is booked on an account: money spent, or what is used of a limit.
    pub async fn used(&self, account: &str) -> Result<u64> {
        Ok(u64::try_from(spent_by(&self.db, account).await?).unwrap_or(0))
    }

    /// What stands on a budget account at `now`; grants that the server's `clock` is past count no longer.
    pub async fn account(
        &self,
        account: &str,
        redemptions: &Redemptions,
        now: i64,
        clock: i64,
    ) -> Result<AccountState> {
        let spent = spent_by(&self.db, account).await?;
        let owed = redemptions.owed(outstanding(&self.db, account, now).await?.iter()).amount().ceil();
        let reserved = grants(&self.db, account, clock).await?.iter().map(|(_, amount)| amount).sum();
        Ok(AccountState { spent, owed: owed as i64, reserved })
    }

    /// Grants the replica `holder` shares of a plan's accounts, all in one transaction, one replica after the other.
    /// `money` is the plan's budget account; what offers still owe there at `now` is judged by `redemptions`. Grants end by
    /// the servers' clocks.
    pub async fn grant(
        &self,
        (plan_id, money): (&str, &str),
        requests: Vec<Request>,
        holder: &str,
        redemptions: &Redemptions,
        now: i64,
    ) -> Result<Vec<Grant>> {
        let _held = self.writing().await;
        let transaction = chassis::database::begin(&self.db).await?;
        lock(&transaction).await?;
        let open = outstanding(&transaction, money, now).await?;
        let mut granted_all = Vec::with_capacity(requests.len());
        for Request { account, bound, counts, ask } in requests {
            let spent = spent_by(&transaction, &account).await?;
            let owed = match counts {
                Counts::Money => redemptions.owed(open.iter()).amount(),
                Counts::Redemptions(offer) => {
                    let of_limit = open.iter().filter(|one| one.plan_id == plan_id && one.offer_id == offer);
                    redemptions.redeemable(of_limit).amount()
                }
                Counts::Offers => 0.0,
            };
            let owed = owed.ceil() as i64;
            // Grants that are over cover nothing any more: whoever held them decides no longer.
            grant::Entity::delete_many()
                .filter(grant::Column::PlanId.eq(&account))
                .filter(grant::Column::Until.lt(ask.at))
                .exec(&transaction)
                .await?;
            let others = grants(&transaction, &account, ask.at).await?;
            let others = others.iter().filter(|(of, _)| of != holder).map(|(_, amount)| amount).sum();
            let amount = granted(bound, spent.saturating_add(owed), others, ask);
            let row = grant::Model { plan_id: account, holder: holder.to_owned(), amount, until: ask.until };
            let newest = OnConflict::columns([grant::Column::PlanId, grant::Column::Holder])
                .update_columns([grant::Column::Amount, grant::Column::Until])
                .to_owned();
            grant::Entity::insert(row.into_active_model())
                .on_conflict(newest)
                .exec_without_returning(&transaction)
                .await?;
            granted_all.push(Grant { amount, spent, owed });
        }
        transaction.commit().await?;
        Ok(granted_all)
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

/// Holders and amounts of the grants on an account that are not over by the server's `clock`.
async fn grants(db: &impl ConnectionTrait, account: &str, clock: i64) -> Result<Vec<(String, i64)>> {
    let query = grant::Entity::find()
        .select_only()
        .columns([grant::Column::Holder, grant::Column::Amount])
        .filter(grant::Column::PlanId.eq(account))
        .filter(grant::Column::Until.gte(clock));
    Ok(query.into_tuple().all(db).await?)
}

/// Restricts decisions to those of a unit: a user, or a visitor who is not linked to one.
pub(super) fn of_unit(unit: &str) -> Condition {
    Condition::any()
        .add(decision::Column::Person.eq(unit))
        .add(decision::Column::Person.eq("").and(decision::Column::Visitor.eq(unit)))
}

/// One at a time: two that read the same sums would both give what only one can have.
pub(super) async fn lock(transaction: &DatabaseTransaction) -> Result<()> {
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
