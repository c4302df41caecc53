use prost::Message as _;
use proto::common::v1::{Channel, Event, EventKind, Offer};
use proto::evaluator::v1::Decision;
use sea_orm::{
    ColumnTrait as _, Condition, EntityTrait as _, IntoActiveModel as _, QueryFilter as _, QueryOrder as _,
    QuerySelect as _,
};

use super::Store;
use super::entity::{decision, event, model};
use crate::effect::Model;
use crate::effect::log::{Answer, Decided};
use crate::error::{Error, Result};

/// Of a decision: id, person, visitor, time, offer, propensity and the whole of it.
type Logged = (String, String, String, i64, String, f64, Vec<u8>);

/// Attribute of a redemption or a purchase that tells the discount given, minor units.
const DISCOUNT: &str = "discount_minor";
/// Most offers whose terms are read.
const MOST_OFFERS: u64 = 10_000;

fn broken(error: &dyn std::fmt::Display) -> Error {
    Error::Internal(error.to_string())
}

impl Store {
    /// Logged decisions with a propensity outside hold-outs, in order of time.
    pub async fn decided(&self) -> Result<Vec<Decided>> {
        self.decided_within(None, None).await
    }

    /// The same from a moment and before another, microseconds since 1970.
    pub async fn decided_within(&self, from: Option<i64>, until: Option<i64>) -> Result<Vec<Decided>> {
        let span = Condition::all()
            .add_option(from.map(|from| decision::Column::DecidedAt.gte(from)))
            .add_option(until.map(|until| decision::Column::DecidedAt.lt(until)));
        let rows: Vec<Logged> = decision::Entity::find()
            .filter(span)
            .select_only()
            .columns([
                decision::Column::DecisionId,
                decision::Column::Person,
                decision::Column::Visitor,
                decision::Column::DecidedAt,
                decision::Column::OfferId,
                decision::Column::OfferPropensity,
                decision::Column::Payload,
            ])
            .filter(decision::Column::InHoldout.eq(false))
            .filter(decision::Column::OfferPropensity.gt(0.0))
            .order_by_asc(decision::Column::DecidedAt)
            .order_by_asc(decision::Column::DecisionId)
            .into_tuple()
            .all(&self.db)
            .await?;
        rows.into_iter()
            .map(|(decision_id, person, visitor, at, offer_id, propensity, payload)| {
                let whole = Decision::decode(payload.as_slice()).map_err(|error| broken(&error))?;
                Ok(Decided {
                    decision_id,
                    unit: if person.is_empty() { visitor } else { person },
                    at,
                    offer_id,
                    propensity,
                    channel: Channel::try_from(whole.channel).unwrap_or_default(),
                    angle: whole.angle,
                    features: whole.features.into_iter().collect(),
                    feature_version: whole.feature_version,
                    plan_id: whole.plan_id,
                    available: whole.available_offer_ids,
                })
            })
            .collect()
    }

    /// Events that may answer decisions: those of the kind `target`, purchases, redemptions and returns that carry a
    /// decision, where given from a moment on; and purchases, redemptions and returns without one since `first`, the first
    /// decision.
    pub async fn answers(&self, target: EventKind, from: Option<i64>, first: i64) -> Result<Vec<Answer>> {
        let sales = [EventKind::Purchase as i16, EventKind::OfferRedeemed as i16, EventKind::Return as i16];
        let with = Condition::all()
            .add_option(from.map(|from| event::Column::OccurredAt.gte(from)))
            .add(event::Column::DecisionId.ne(""))
            .add(
                Condition::any()
                    .add(event::Column::Kind.eq(target as i16))
                    .add(event::Column::Kind.is_in(sales)),
            );
        let without = Condition::all()
            .add(event::Column::OccurredAt.gte(first))
            .add(event::Column::DecisionId.eq(""))
            .add(event::Column::Kind.is_in(sales));
        let rows =
            event::Entity::find().filter(Condition::any().add(with).add(without)).all(&self.db).await?;
        rows.into_iter().map(answer).collect()
    }

    /// All offers that can be made, expired ones too.
    pub async fn current_offers(&self) -> Result<Vec<Offer>> {
        let rows = self.offers("", MOST_OFFERS, None).await?;
        rows.iter().map(|row| Offer::decode(row.payload.as_slice()).map_err(|error| broken(&error))).collect()
    }

    /// All offers ever stored, expired and deleted ones too: the log may hold them.
    pub async fn all_offers(&self) -> Result<Vec<Offer>> {
        let rows = self.offers_ever(MOST_OFFERS).await?;
        rows.iter().map(|row| Offer::decode(row.payload.as_slice()).map_err(|error| broken(&error))).collect()
    }

    /// Keeps a trained model; the newest is the one that predicts.
    pub async fn keep_model(&self, id: &str, trained: &Model, now: i64) -> Result<()> {
        let _held = self.writing().await;
        let payload = serde_json::to_string(trained).map_err(|error| broken(&error))?;
        let row = model::Model { model_id: id.to_owned(), created_at: now, payload };
        model::Entity::insert(row.into_active_model()).exec_without_returning(&self.db).await?;
        Ok(())
    }

    /// Id of the newest model.
    pub async fn newest_model(&self) -> Result<Option<String>> {
        let query = model::Entity::find()
            .select_only()
            .column(model::Column::ModelId)
            .order_by_desc(model::Column::CreatedAt)
            .order_by_desc(model::Column::ModelId);
        Ok(query.into_tuple().one(&self.db).await?)
    }

    /// The model of that id.
    pub async fn model(&self, id: &str) -> Result<Option<Model>> {
        let Some(row) = model::Entity::find_by_id(id).one(&self.db).await? else { return Ok(None) };
        let trained = serde_json::from_str(&row.payload).map_err(|error| {
            let text =
                format!("{id} was stored by another version ({error}): TrainEffectModel makes it anew");
            Error::precondition("EFFECT_MODEL_NOT_READABLE", text)
        })?;
        Ok(Some(trained))
    }
}

/// An event as an answer.
pub(super) fn answer(row: event::Model) -> Result<Answer> {
    let kind = EventKind::try_from(i32::from(row.kind)).unwrap_or_default();
    let discount = if kind == EventKind::OfferRedeemed || !row.offer_id.is_empty() {
        let whole = Event::decode(row.payload.as_slice()).map_err(|error| broken(&error))?;
        let told = whole.attributes.get(DISCOUNT).and_then(|text| text.parse().ok());
        told.or(whole.purchase.and_then(|bought| bought.discount).map(|discount| discount.minor_units))
    } else {
        None
    };
    let unit = super::unit(&row.person, &row.visitor);
    Ok(Answer {
        decision_id: row.decision_id,
        line: (unit, row.order_id, row.item_id),
        kind,
        at: row.occurred_at,
        sale: row.revenue.map(|revenue| (revenue, row.cost, row.tax.unwrap_or(0))),
        currency: row.currency,
        discount: discount.filter(|discount| *discount >= 0),
        offer_id: row.offer_id,
    })
}
