use std::collections::{BTreeSet, HashMap, HashSet};

use proto::common::v1::EventKind;
use sea_orm::{
    ColumnTrait as _, EntityTrait as _, IntoActiveModel as _, QueryFilter as _, QueryOrder as _,
    QuerySelect as _,
};

use super::Store;
use super::entity::{decision, event, model};
use crate::effect::{Model, NONE, Outcome};
use crate::error::{Error, Result};

/// Of an event: its decision, kind, revenue, cost, tax and currency.
type Answer = (String, i16, Option<i64>, Option<i64>, Option<i64>, String);

impl Store {
    /// Logged decisions outside hold-outs with what answered them, in order of time, and the currencies of their
    /// profit. `target` is the kind of event that counts as a hit.
    pub async fn outcomes(&self, target: EventKind) -> Result<(Vec<Outcome>, BTreeSet<String>)> {
        let answers: Vec<Answer> = event::Entity::find()
            .select_only()
            .columns([
                event::Column::DecisionId,
                event::Column::Kind,
                event::Column::Revenue,
                event::Column::Cost,
                event::Column::Tax,
                event::Column::Currency,
            ])
            .filter(event::Column::DecisionId.ne(""))
            .filter(event::Column::Kind.is_in([target as i16, EventKind::Purchase as i16]))
            .into_tuple()
            .all(&self.db)
            .await?;
        let (mut hits, mut profits, mut currencies) = (HashSet::new(), HashMap::new(), BTreeSet::new());
        for (decision, kind, revenue, cost, tax, currency) in answers {
            if let (Some(revenue), Some(cost)) = (revenue, cost) {
                *profits.entry(decision.clone()).or_insert(0.0) += (revenue - cost - tax.unwrap_or(0)) as f64;
                currencies.insert(currency);
            }
            if kind == target as i16 {
                hits.insert(decision);
            }
        }
        let rows: Vec<(String, String, f64)> = decision::Entity::find()
            .select_only()
            .columns([
                decision::Column::DecisionId,
                decision::Column::OfferId,
                decision::Column::OfferPropensity,
            ])
            .filter(decision::Column::InHoldout.eq(false))
            .filter(decision::Column::OfferPropensity.gt(0.0))
            .order_by_asc(decision::Column::DecidedAt)
            .order_by_asc(decision::Column::DecisionId)
            .into_tuple()
            .all(&self.db)
            .await?;
        let outcome = |(id, offer, propensity): (String, String, f64)| Outcome {
            hit: f64::from(u8::from(hits.contains(&id))),
            profit: profits.get(&id).copied().unwrap_or(0.0),
            action: if offer.is_empty() { NONE.to_owned() } else { offer },
            propensity,
        };
        Ok((rows.into_iter().map(outcome).collect(), currencies))
    }

    /// Keeps a trained model; the newest is the one that predicts.
    pub async fn keep_model(&self, id: &str, trained: &Model, now: i64) -> Result<()> {
        let _held = self.writing().await;
        let payload = serde_json::to_string(trained).map_err(|error| Error::Internal(error.to_string()))?;
        let row = model::Model { model_id: id.to_owned(), created_at: now, payload };
        model::Entity::insert(row.into_active_model()).exec_without_returning(&self.db).await?;
        Ok(())
    }

    /// The newest model and its id.
    pub async fn newest_model(&self) -> Result<Option<(String, Model)>> {
        let query = model::Entity::find()
            .order_by_desc(model::Column::CreatedAt)
            .order_by_desc(model::Column::ModelId);
        let Some(row) = query.one(&self.db).await? else { return Ok(None) };
        let trained = serde_json::from_str(&row.payload)
            .map_err(|error| Error::Internal(format!("evaluator_effect_model {}: {error}", row.model_id)))?;
        Ok(Some((row.model_id, trained)))
    }
}
