//! Offers made: what an account still owes, and what is known of how they are redeemed.

use std::collections::HashSet;

use sea_orm::sea_query::{Expr, ExprTrait as _, SimpleExpr};
use sea_orm::{
    ColumnTrait as _, Condition, ConnectionTrait, EntityTrait as _, FromQueryResult, QueryFilter as _,
    QueryOrder as _, QuerySelect as _,
};

use super::entity::offer_made::{Column, Entity};
use super::entity::{decision, offer_made};
use super::{OfferMade, STATEMENT, Store};
use crate::error::Result;
use crate::strategy::owed::{BINS, Outstanding, Seen};

#[derive(FromQueryResult)]
struct Open {
    plan_id: String,
    offer_id: String,
    bin: i32,
    count: i64,
    worst: i64,
    left: i64,
}

#[derive(FromQueryResult)]
struct Ended {
    offer_id: String,
    redeemed: bool,
    bin: i32,
    count: i64,
    cost: i64,
    worst: i64,
    age: i64,
}

/// What redemptions of a plan's offers came to, whether their reports carried a decision or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RedeemedOf {
    /// How many.
    pub count: u64,
    /// What they cost, minor units.
    pub cost: i64,
    /// Of that, what was inferred.
    pub inferred: i64,
}

/// The age at the moment an offer was last looked at: when it was redeemed or ended, or `now`.
fn age(now: i64) -> SimpleExpr {
    let seen: SimpleExpr =
        Expr::case(Column::ClosesAt.lt(now), Expr::col(Column::ClosesAt)).finally(now).into();
    seen.sub(Expr::col(Column::MadeAt))
}

/// The bin of that age.
fn bin(now: i64) -> SimpleExpr {
    let age = age(now);
    let mut bins = Expr::case(age.clone().lt(BINS[1]), 0);
    for (bin, end) in BINS.iter().enumerate().skip(2) {
        bins = bins.case(age.clone().lt(*end), i32::try_from(bin - 1).unwrap_or(i32::MAX));
    }
    bins.finally(i32::try_from(BINS.len() - 1).unwrap_or(i32::MAX)).into()
}

fn sum(of: SimpleExpr) -> SimpleExpr {
    of.sum().cast_as("bigint")
}

/// Offers of an account, by plan, offer and age, that may still be redeemed at `now`.
pub(super) async fn outstanding(
    db: &impl ConnectionTrait,
    account: &str,
    now: i64,
) -> Result<Vec<Outstanding>> {
    let open = Condition::all()
        .add(Column::AccountId.eq(account))
        .add(Column::Redeemed.eq(false))
        .add(Column::ClosesAt.gt(now));
    let rows = Entity::find()
        .select_only()
        .columns([Column::PlanId, Column::OfferId])
        .expr_as(bin(now), "bin")
        .expr_as(Expr::col(Column::DecisionId).count(), "count")
        .expr_as(sum(Expr::col(Column::Worst)), "worst")
        .expr_as(sum(Expr::col(Column::ClosesAt).sub(now)), "left")
        .filter(open)
        .group_by(Expr::col(Column::PlanId))
        .group_by(Expr::col(Column::OfferId))
        .group_by(Expr::cust("bin"))
        .into_model::<Open>()
        .all(db)
        .await?;
    let read = |row: Open| Outstanding {
        plan_id: row.plan_id,
        offer_id: row.offer_id,
        bin: usize::try_from(row.bin).unwrap_or(0).min(BINS.len() - 1),
        count: row.count,
        worst: row.worst,
        left: row.left,
    };
    Ok(rows.into_iter().map(read).collect())
}

impl Store {
    /// Offers made on an account, or on all, by offer, age at the end of their observation, and whether they were redeemed.
    pub async fn offers_seen(&self, account: Option<&str>, now: i64) -> Result<Vec<Seen>> {
        let rows = Entity::find()
            .select_only()
            .columns([Column::OfferId, Column::Redeemed])
            .expr_as(bin(now), "bin")
            .expr_as(Expr::col(Column::DecisionId).count(), "count")
            .expr_as(sum(Expr::col(Column::Cost)), "cost")
            .expr_as(sum(Expr::col(Column::Worst)), "worst")
            .expr_as(sum(age(now)), "age")
            .filter(Condition::all().add_option(account.map(|account| Column::AccountId.eq(account))))
            .group_by(Expr::col(Column::OfferId))
            .group_by(Expr::col(Column::Redeemed))
            .group_by(Expr::cust("bin"))
            .into_model::<Ended>()
            .all(&self.db)
            .await?;
        let read = |row: Ended| {
            let bin = usize::try_from(row.bin).unwrap_or(0).min(BINS.len() - 1);
            Seen {
                offer_id: row.offer_id,
                bin,
                redeemed: row.redeemed,
                count: row.count,
                cost: row.cost,
                worst: row.worst,
                at_risk: row.age.saturating_sub(row.count.saturating_mul(BINS[bin])).clamp(0, i64::MAX),
            }
        };
        Ok(rows.into_iter().map(read).collect())
    }

    /// Those of `decisions` that are recorded.
    pub async fn recorded(&self, decisions: &[String]) -> Result<HashSet<String>> {
        let mut found = HashSet::new();
        for chunk in decisions.chunks(STATEMENT) {
            let known: Vec<String> = decision::Entity::find()
                .select_only()
                .column(decision::Column::DecisionId)
                .filter(decision::Column::DecisionId.is_in(chunk.iter().map(String::as_str)))
                .into_tuple()
                .all(&self.db)
                .await?;
            found.extend(known);
        }
        Ok(found)
    }

    /// The offer made to a unit that a report without a decision, told for a moment, is about: one that was redeemed at most
    /// `near` before or after that moment, else the latest that could be redeemed then.
    pub async fn offer_made_to(
        &self,
        unit: &str,
        offer_id: &str,
        at: i64,
        near: i64,
    ) -> Result<Option<OfferMade>> {
        let theirs: Vec<String> = decision::Entity::find()
            .select_only()
            .column(decision::Column::DecisionId)
            .filter(super::ledger::of_unit(unit))
            .filter(decision::Column::OfferId.eq(offer_id))
            .filter(decision::Column::DecidedAt.lte(at))
            .order_by_desc(decision::Column::DecidedAt)
            .limit(STATEMENT as u64)
            .into_tuple()
            .all(&self.db)
            .await?;
        let made = Entity::find()
            .filter(Column::DecisionId.is_in(theirs))
            .order_by_desc(Column::MadeAt)
            .all(&self.db)
            .await?;
        let same = |made: &&OfferMade| made.redeemed && (made.closes_at - at).abs() <= near;
        let open = |made: &&OfferMade| !made.redeemed && made.closes_at > at;
        Ok(made.iter().find(same).or_else(|| made.iter().find(open)).cloned())
    }

    /// What became of the offers a plan made.
    pub async fn redeemed_of(&self, plan_id: &str) -> Result<RedeemedOf> {
        let of_plan = Condition::all().add(Column::PlanId.eq(plan_id)).add(Column::Redeemed.eq(true));
        let rows = Entity::find()
            .select_only()
            .column(Column::Inferred)
            .expr_as(Expr::col(Column::DecisionId).count(), "count")
            .expr_as(sum(Expr::col(Column::Cost)), "cost")
            .filter(of_plan)
            .group_by(Expr::col(Column::Inferred))
            .into_tuple::<(bool, i64, i64)>()
            .all(&self.db)
            .await?;
        let mut found = RedeemedOf::default();
        for (inferred, count, cost) in rows {
            found.count += u64::try_from(count).unwrap_or(0);
            found.cost += cost;
            found.inferred += if inferred { cost } else { 0 };
        }
        Ok(found)
    }
}

/// Stores offers made, each once.
pub(super) async fn add(db: &impl ConnectionTrait, made: Vec<OfferMade>) -> Result<()> {
    use sea_orm::IntoActiveModel as _;
    let once = sea_orm::sea_query::OnConflict::new().do_nothing().to_owned();
    for chunk in made.chunks(STATEMENT) {
        let rows = chunk.iter().cloned().map(offer_made::Model::into_active_model);
        Entity::insert_many(rows).on_conflict(once.clone()).exec_without_returning(db).await?;
    }
    Ok(())
}
