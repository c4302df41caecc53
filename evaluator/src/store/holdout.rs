//! The people a plan decided for, and all they bought.

use std::collections::HashMap;

use futures::TryStreamExt as _;
use prost::Message as _;
use proto::common::v1::EventKind;
use proto::evaluator::v1::Decision;
use sea_orm::{
    ColumnTrait as _, Condition, EntityTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _,
};

use super::entity::{decision, event};
use super::{Store, unit};
use crate::error::{Error, Result};
use crate::strategy::holdout::{Met, Sales};

/// Of a decision: person, visitor, time, whether held out, and the whole of it.
type Row = (String, String, i64, bool, Vec<u8>);
/// Of an order line: person, visitor, kind, order, item, currency, revenue, cost, tax.
type Line = (String, String, i16, String, String, String, Option<i64>, Option<i64>, Option<i64>);

impl Store {
    /// The people `plan` decided for from a moment on, those it held out included.
    pub async fn met_by(&self, plan: &str, from: i64) -> Result<Met> {
        let query = decision::Entity::find()
            .select_only()
            .columns([
                decision::Column::Person,
                decision::Column::Visitor,
                decision::Column::DecidedAt,
                decision::Column::InHoldout,
                decision::Column::Payload,
            ])
            .filter(decision::Column::DecidedAt.gte(from));
        let mut rows = query.into_tuple::<Row>().stream(&self.db).await?;
        let mut met = Met::default();
        while let Some((person, visitor, at, in_holdout, payload)) = rows.try_next().await? {
            let whole =
                Decision::decode(payload.as_slice()).map_err(|error| Error::Internal(error.to_string()))?;
            if whole.plan_id != plan {
                continue;
            }
            let exposure = met.people.entry(unit(&person, &visitor)).or_default();
            exposure.held_out |= in_holdout;
            exposure.treated |= !in_holdout;
            let (first, last) = met.span.unwrap_or((at, at));
            met.span = Some((first.min(at), last.max(at)));
        }
        Ok(met)
    }

    /// What everybody bought from a moment on and before another, with or without a decision, less what of it was returned
    /// since.
    pub async fn sales_between(&self, from: i64, until: i64) -> Result<Sales> {
        let (bought, returned) = (EventKind::Purchase as i16, EventKind::Return as i16);
        let query = event::Entity::find()
            .select_only()
            .columns([
                event::Column::Person,
                event::Column::Visitor,
                event::Column::Kind,
                event::Column::OrderId,
                event::Column::ItemId,
                event::Column::Currency,
                event::Column::Revenue,
                event::Column::Cost,
                event::Column::Tax,
            ])
            .filter(event::Column::OccurredAt.gte(from))
            .filter(Condition::any().add(event::Column::Kind.eq(returned)).add(
                Condition::all().add(event::Column::Kind.eq(bought)).add(event::Column::OccurredAt.lt(until)),
            ))
            // Purchases first: a return counts where it takes back one of them.
            .order_by_asc(event::Column::Kind);
        let mut rows = query.into_tuple::<Line>().stream(&self.db).await?;
        let mut sales = Sales::new();
        // Whether the cost of a line is known.
        let mut lines: HashMap<(String, String, String), bool> = HashMap::new();
        while let Some((person, visitor, kind, order, item, currency, revenue, cost, tax)) =
            rows.try_next().await?
        {
            let unit = unit(&person, &visitor);
            let line = (unit.clone(), order, item);
            if kind == bought {
                *lines.entry(line).or_insert(true) &= cost.is_some();
            } else if line.1.is_empty() || !lines.contains_key(&line) {
                continue;
            }
            let revenue = revenue.unwrap_or(0);
            let of_currency = sales.entry(unit).or_default().entry(currency).or_default();
            of_currency.revenue = of_currency.revenue.saturating_add(revenue);
            // A return that does not state the cost recovered recovers none.
            let profit = revenue - tax.unwrap_or(0) - cost.unwrap_or(0);
            of_currency.profit = of_currency.profit.saturating_add(profit);
            of_currency.cost_unknown |= kind == bought && cost.is_none();
        }
        Ok(sales)
    }
}
