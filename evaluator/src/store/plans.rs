use std::collections::HashMap;

use sea_orm::sea_query::Expr;
use sea_orm::{
    ColumnTrait as _, Condition, EntityTrait as _, IntoActiveModel as _, QueryFilter as _, QueryOrder as _,
    QuerySelect as _,
};

use super::entity::{decision, event, plan};
use super::models::answer;
use super::{STATEMENT, Store};
use crate::effect::log::Answer;
use crate::error::{Error, Result};
use crate::strategy::plan::{Plan, State};

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
    /// Keeps a proposed plan.
    pub async fn keep_plan(&self, made: &Plan) -> Result<()> {
        let _held = self.writing().await;
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
        let deciding = [number(State::Active), number(State::FallenBack)];
        let query = plan::Entity::find().filter(plan::Column::State.is_in(deciding));
        query.one(&self.db).await?.map(read).transpose()
    }

    /// Moves a plan; with [`State::Active`] every other that decided ends, in the same transaction.
    pub async fn move_plan(&self, id: &str, to: State) -> Result<()> {
        let _held = self.writing().await;
        let transaction = chassis::database::begin(&self.db).await?;
        if to == State::Active {
            plan::Entity::update_many()
                .col_expr(plan::Column::State, Expr::value(number(State::Ended)))
                .filter(plan::Column::State.is_in([number(State::Active), number(State::FallenBack)]))
                .filter(plan::Column::PlanId.ne(id))
                .exec(&transaction)
                .await?;
        }
        plan::Entity::update_many()
            .col_expr(plan::Column::State, Expr::value(number(to)))
            .filter(plan::Column::PlanId.eq(id))
            .exec(&transaction)
            .await?;
        transaction.commit().await?;
        Ok(())
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
