use std::collections::{BTreeSet, HashMap};

use proto::common::v1::EventKind;
use sea_orm::sea_query::{Expr, ExprTrait as _, OnConflict};
use sea_orm::{
    ColumnTrait as _, Condition, EntityTrait as _, IntoActiveModel as _, PaginatorTrait as _,
    QueryFilter as _, QueryOrder as _, QuerySelect as _,
};

use super::entity::{account, decision, event, plan};
use super::ledger::lock;
use super::models::answer;
use super::{STATEMENT, Store};
use crate::effect::log::Answer;
use crate::error::{Error, Result};
use crate::strategy::plan::{Plan, State};

/// Numbers of the states of a plan that decides.
const DECIDING: [i16; 2] = [2, 4];

fn number(state: State) -> i16 {
    match state {
        State::Proposed => 1,
        State::Active => 2,
        State::Ended => 3,
        State::FallenBack => 4,
    }
}

fn named(state: i16) -> State {
    match state {
        2 => State::Active,
        3 => State::Ended,
        4 => State::FallenBack,
        _ => State::Proposed,
    }
}

fn read(row: plan::Model) -> Result<(Plan, State)> {
    let plan = serde_json::from_str(&row.payload)
        .map_err(|error| Error::Internal(format!("evaluator_plan {}: {error}", row.plan_id)))?;
    Ok((plan, named(row.state)))
}

impl Store {
    /// Keeps a proposed plan and its budget account.
    pub async fn keep_plan(&self, made: &Plan) -> Result<()> {
        let _held = self.writing().await;
        let account = account::Model {
            account_id: made.account().to_owned(),
            currency: made.currency.clone(),
            created_at: made.created_at,
        };
        account::Entity::insert(account.into_active_model())
            .on_conflict(OnConflict::new().do_nothing().to_owned())
            .exec_without_returning(&self.db)
            .await?;
        let payload = serde_json::to_string(made).map_err(|error| Error::Internal(error.to_string()))?;
        let row = plan::Model {
            plan_id: made.id.clone(),
            created_at: made.created_at,
            state: number(State::Proposed),
            payload,
        };
        plan::Entity::insert(row.into_active_model()).exec_without_returning(&self.db).await?;
        Ok(())
    }

    /// Plans made before the one of that moment and id, the newest first.
    pub async fn plans(&self, after: Option<(i64, String)>, limit: u64) -> Result<Vec<(Plan, State)>> {
        use plan::Column::{CreatedAt, PlanId};
        let mut query = plan::Entity::find();
        if let Some((at, id)) = after {
            let same = Condition::all().add(CreatedAt.eq(at)).add(PlanId.lt(id));
            query = query.filter(Condition::any().add(CreatedAt.lt(at)).add(same));
        }
        let query = query.order_by_desc(CreatedAt).order_by_desc(PlanId).limit(limit);
        query.all(&self.db).await?.into_iter().map(read).collect()
    }

    /// A plan and where it stands.
    pub async fn plan(&self, id: &str) -> Result<Option<(Plan, State)>> {
        plan::Entity::find_by_id(id).one(&self.db).await?.map(read).transpose()
    }

    /// The plan that decides: active or fallen back.
    pub async fn deciding_plan(&self) -> Result<Option<(Plan, State)>> {
        let query = plan::Entity::find().filter(plan::Column::State.is_in(DECIDING));
        query.one(&self.db).await?.map(read).transpose()
    }

    /// Makes a plan the one that decides, and ends the one that did, where that is still `before`. Returns the id of the plan
    /// that decides now.
    pub async fn activate_plan(&self, id: &str, before: Option<&str>) -> Result<Option<String>> {
        let _held = self.writing().await;
        let transaction = chassis::database::begin(&self.db).await?;
        lock(&transaction).await?;
        let deciding: Option<String> = plan::Entity::find()
            .select_only()
            .column(plan::Column::PlanId)
            .filter(plan::Column::State.is_in(DECIDING))
            .into_tuple()
            .one(&transaction)
            .await?;
        if deciding.as_deref() != before {
            transaction.rollback().await?;
            return Ok(deciding);
        }
        plan::Entity::update_many()
            .col_expr(plan::Column::State, Expr::value(number(State::Ended)))
            .filter(plan::Column::State.is_in(DECIDING))
            .filter(plan::Column::PlanId.ne(id))
            .exec(&transaction)
            .await?;
        plan::Entity::update_many()
            .col_expr(plan::Column::State, Expr::value(number(State::Active)))
            .filter(plan::Column::PlanId.eq(id))
            .exec(&transaction)
            .await?;
        transaction.commit().await?;
        Ok(Some(id.to_owned()))
    }

    /// Ends a plan that decides; any other stays as it is.
    pub async fn deactivate_plan(&self, id: &str) -> Result<()> {
        self.move_plan(id, &DECIDING, State::Ended).await
    }

    /// Suspends an active plan whose predictions failed; any other stays as it is.
    pub async fn suspend_plan(&self, id: &str) -> Result<()> {
        self.move_plan(id, &[number(State::Active)], State::FallenBack).await
    }

    async fn move_plan(&self, id: &str, from: &[i16], to: State) -> Result<()> {
        let _held = self.writing().await;
        plan::Entity::update_many()
            .col_expr(plan::Column::State, Expr::value(number(to)))
            .filter(plan::Column::PlanId.eq(id))
            .filter(plan::Column::State.is_in(from.iter().copied()))
            .exec(&self.db)
            .await?;
        Ok(())
    }

    /// The currency of a budget account; `None` where no plan was made on it.
    pub async fn account_currency(&self, account: &str) -> Result<Option<String>> {
        Ok(account::Entity::find_by_id(account).one(&self.db).await?.map(|row| row.currency))
    }

    /// Value of an ordinary order in a currency before discount, minor units: the mean of those stored. `None` where none is.
    pub async fn usual_order(&self, currency: &str) -> Result<Option<f64>> {
        use event::Column::{Currency, Kind, OrderId, Revenue};
        let bought = Condition::all().add(Kind.eq(EventKind::Purchase as i16)).add(Currency.eq(currency));
        let (revenue, orders): (Option<i64>, i64) = event::Entity::find()
            .select_only()
            .expr_as(Expr::col(Revenue).sum().cast_as("bigint"), "revenue")
            .expr_as(Expr::col(OrderId).count_distinct(), "orders")
            .filter(bought.clone())
            .into_tuple()
            .one(&self.db)
            .await?
            .unwrap_or_default();
        let single = event::Entity::find().filter(bought).filter(OrderId.eq("")).count(&self.db).await?;
        // Lines without an order stand for themselves; together they were counted as one.
        let orders = orders as f64 + (single as f64 - 1.0).max(0.0);
        Ok(revenue.filter(|revenue| *revenue > 0).map(|revenue| revenue as f64 / orders.max(1.0)))
    }

    /// Purchases and redemptions of an offer that a unit's reports in a span tell of without a decision, and those that
    /// answer the decision they are about.
    pub async fn answers_about(
        &self,
        unit: &str,
        offer_id: &str,
        decision_id: &str,
        (from, until): (i64, i64),
    ) -> Result<Vec<Answer>> {
        use event::Column::{DecisionId, OccurredAt, OfferId, Person, Visitor};
        let theirs = Condition::any()
            .add(Person.eq(unit))
            .add(Condition::all().add(Person.eq("")).add(Visitor.eq(unit)));
        let untold = Condition::all()
            .add(theirs)
            .add(OfferId.eq(offer_id))
            .add(DecisionId.eq(""))
            .add(OccurredAt.between(from, until));
        let query =
            event::Entity::find().filter(Condition::any().add(untold).add(DecisionId.eq(decision_id)));
        query.all(&self.db).await?.into_iter().map(answer).collect()
    }

    /// Unit, offer and moment of every redemption that reports of these units tell of without a decision.
    pub async fn untokened_of(&self, units: &BTreeSet<String>) -> Result<BTreeSet<(String, String, i64)>> {
        use event::Column::{DecisionId, Kind, OccurredAt, OfferId, Person, Visitor};
        let kinds = [EventKind::Purchase as i16, EventKind::OfferRedeemed as i16];
        let mut found = BTreeSet::new();
        let units: Vec<&str> = units.iter().map(String::as_str).collect();
        for chunk in units.chunks(STATEMENT) {
            let of_them = |column: event::Column| column.is_in(chunk.iter().copied());
            let anonymous = Condition::all().add(Person.eq("")).add(of_them(Visitor));
            let rows: Vec<(String, String, String, i64)> = event::Entity::find()
                .select_only()
                .columns([Person, Visitor, OfferId, OccurredAt])
                .filter(Condition::any().add(of_them(Person)).add(anonymous))
                .filter(DecisionId.eq(""))
                .filter(OfferId.ne(""))
                .filter(Kind.is_in(kinds))
                .into_tuple()
                .all(&self.db)
                .await?;
            let told = |(person, visitor, offer, at): (String, String, String, i64)| {
                (super::unit(&person, &visitor), offer, at)
            };
            found.extend(rows.into_iter().map(told));
        }
        Ok(found)
    }

    /// Every answer to these decisions, by decision, beside the offer each made.
    pub async fn answered(&self, decisions: &[String]) -> Result<HashMap<String, (Vec<u8>, Vec<Answer>)>> {
        let mut found: HashMap<String, (Vec<u8>, Vec<Answer>)> = HashMap::new();
        for chunk in decisions.chunks(STATEMENT) {
            let rows: Vec<(String, Vec<u8>)> = decision::Entity::find()
                .select_only()
                .columns([decision::Column::DecisionId, decision::Column::Payload])
                .filter(decision::Column::DecisionId.is_in(chunk.iter().map(String::as_str)))
                .filter(decision::Column::OfferId.ne(""))
                .into_tuple()
                .all(&self.db)
                .await?;
            found.extend(rows.into_iter().map(|(id, payload)| (id, (payload, Vec::new()))));
            let events = event::Entity::find()
                .filter(event::Column::DecisionId.is_in(chunk.iter().map(String::as_str)))
                .all(&self.db)
                .await?;
            for event in events {
                let answer = answer(event)?;
                if let Some((_, answers)) = found.get_mut(&answer.decision_id) {
                    answers.push(answer);
                }
            }
        }
        Ok(found)
    }
}
