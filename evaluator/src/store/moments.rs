//! Cells kept beside the log, in the same transaction as what changes it.
//!
//! A unit's share of the sums is a function of its log alone. Whoever writes to the log takes the share of the units
//! concerned before and after, and adds the difference: exact however late or in whatever order things are told.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chassis::calendar::Calendar;
use sea_orm::sea_query::OnConflict;
use sea_orm::{
    ColumnTrait as _, Condition, ConnectionTrait, DatabaseTransaction, DbBackend, EntityTrait as _,
    IntoActiveModel as _, QueryFilter as _, QueryOrder as _, QuerySelect as _,
};

use super::entity::{assignment, cell, event, experiment};
use super::events::{Row, behaviour, fact};
use super::{STATEMENT, Store, metrics};
use crate::error::{Error, Result};
use crate::experiment::cells::{COMMON, Cells, Key, Log};
use crate::metric::fact::{Assigned, Fact};

/// Units read at once when everything is built anew.
const UNITS: u64 = 2_000;

/// Cells by experiment.
pub type ByExperiment = BTreeMap<String, Cells>;

/// The units a write concerns, with their share before it.
pub(super) struct Before {
    shop: Calendar,
    units: BTreeSet<String>,
    share: ByExperiment,
}

/// Takes the share of `units` before a write.
pub(super) async fn before(
    transaction: &DatabaseTransaction,
    shop: Calendar,
    units: BTreeSet<String>,
) -> Result<Before> {
    lock(transaction).await?;
    let share = share(transaction, shop, &units).await?;
    Ok(Before { shop, units, share })
}

/// Adds to the cells what the write since `before` changed.
pub(super) async fn settle(transaction: &DatabaseTransaction, before: Before) -> Result<()> {
    let mut change = share(transaction, before.shop, &before.units).await?;
    for (experiment, cells) in &before.share {
        change.entry(experiment.clone()).or_default().add(cells, -1);
    }
    for (experiment_id, change) in change {
        if change.is_empty() {
            continue;
        }
        let days: BTreeSet<i32> = change.iter().map(|(key, _)| key.day).collect();
        let mut kept = kept(transaction, &experiment_id, cell::Column::Day.is_in(days)).await?;
        kept.add(&change, 1);
        let (mut gone, mut present) = (Vec::new(), Vec::new());
        for (key, _) in change.iter() {
            match kept.get(key) {
                Some(sums) => present.push(row(&experiment_id, key, &sums.to_string())),
                None => gone.push(key),
            }
        }
        for key in gone {
            cell::Entity::delete_many()
                .filter(cell::Column::ExperimentId.eq(&experiment_id))
                .filter(cell::Column::Metric.eq(&key.metric))
                .filter(cell::Column::Currency.eq(&key.currency))
                .filter(cell::Column::VariantId.eq(&key.variant))
                .filter(cell::Column::Channel.eq(key.channel))
                .filter(cell::Column::Segment.eq(&key.segment))
                .filter(cell::Column::ReturningVisitor.eq(key.returning))
                .filter(cell::Column::Day.eq(key.day))
                .filter(cell::Column::Bin.eq(key.bin))
                .exec(transaction)
                .await?;
        }
        insert(transaction, present).await?;
    }
    Ok(())
}

/// `units` with those whose `decisions` are answered.
pub(super) async fn concerned_by_events(
    transaction: &DatabaseTransaction,
    mut units: BTreeSet<String>,
    decisions: &BTreeSet<String>,
) -> Result<BTreeSet<String>> {
    lock(transaction).await?;
    units.extend(assigned_by_decision(transaction, decisions).await?.into_iter().map(|row| row.unit));
    Ok(units)
}

/// `units` with those who answered `decisions`: what they did belongs to whom the decision was made for.
pub(super) async fn concerned_by_decisions(
    transaction: &DatabaseTransaction,
    shop: Calendar,
    mut units: BTreeSet<String>,
    decisions: &BTreeSet<String>,
) -> Result<BTreeSet<String>> {
    lock(transaction).await?;
    let answers =
        facts(transaction, shop, decisions, |chunk| event::Column::DecisionId.is_in(chunk).into()).await?;
    units.extend(answers.into_iter().map(|(_, fact)| fact.unit));
    Ok(units)
}

impl Store {
    /// The sums of one experiment that analyses of `metrics` need.
    pub async fn cells(&self, experiment_id: &str, metrics: &[&str]) -> Result<Cells> {
        let metrics = metrics.iter().copied().chain(COMMON);
        kept(&self.db, experiment_id, cell::Column::Metric.is_in(metrics)).await
    }

    /// Builds all cells anew from the log in one transaction; gives what was kept before and what is now.
    pub async fn rebuild_cells(&self) -> Result<(ByExperiment, ByExperiment)> {
        let _held = self.writing().await;
        let transaction = chassis::database::begin(&self.db).await?;
        lock(&transaction).await?;
        let mut old = ByExperiment::new();
        let ids: Vec<String> = cell::Entity::find()
            .select_only()
            .column(cell::Column::ExperimentId)
            .distinct()
            .into_tuple()
            .all(&transaction)
            .await?;
        for id in ids {
            let cells = kept(&transaction, &id, Condition::all()).await?;
            old.insert(id, cells);
        }
        let new = from_log(&transaction, self.calendar).await?;
        cell::Entity::delete_many().exec(&transaction).await?;
        for (experiment, cells) in &new {
            let rows = cells.iter().map(|(key, sums)| row(experiment, key, &sums.to_string())).collect();
            insert(&transaction, rows).await?;
        }
        transaction.commit().await?;
        Ok((old, new))
    }

    /// Builds the cells of a log that is older than they are.
    pub(super) async fn build_missing_cells(&self) -> Result<()> {
        let none = cell::Entity::find().one(&self.db).await?.is_none();
        if none && assignment::Entity::find().one(&self.db).await?.is_some() {
            self.rebuild_cells().await?;
        }
        Ok(())
    }
}

/// Makes the cells of a new metric from the log.
pub(super) async fn fill(transaction: &DatabaseTransaction, shop: Calendar, metric: &str) -> Result<()> {
    for (experiment, cells) in from_log(transaction, shop).await? {
        let own = cells.iter().filter(|(key, _)| key.metric == metric);
        insert(transaction, own.map(|(key, sums)| row(&experiment, key, &sums.to_string())).collect())
            .await?;
    }
    Ok(())
}

/// All cells as the log tells them.
async fn from_log(transaction: &DatabaseTransaction, shop: Calendar) -> Result<ByExperiment> {
    let mut found = ByExperiment::new();
    let mut last = String::new();
    loop {
        let units: Vec<String> = assignment::Entity::find()
            .select_only()
            .column(assignment::Column::Unit)
            .distinct()
            .filter(assignment::Column::Unit.gt(last.as_str()))
            .order_by_asc(assignment::Column::Unit)
            .limit(UNITS)
            .into_tuple()
            .all(transaction)
            .await?;
        let Some(greatest) = units.last() else { return Ok(found) };
        last.clone_from(greatest);
        for (experiment, cells) in share(transaction, shop, &units.into_iter().collect()).await? {
            found.entry(experiment).or_default().add(&cells, 1);
        }
    }
}

/// On PostgreSQL writers of cells wait for each other from here to their end, before they read anything the others may
/// change; on SQLite they do already.
pub(super) async fn lock(transaction: &DatabaseTransaction) -> Result<()> {
    if transaction.get_database_backend() == DbBackend::Postgres {
        // The number is ours alone: "cells" in ASCII.
        transaction.execute_unprepared("SELECT pg_advisory_xact_lock(427103284339)").await?;
    }
    Ok(())
}

fn row(experiment_id: &str, key: &Key, sums: &str) -> cell::ActiveModel {
    cell::Model {
        experiment_id: experiment_id.to_owned(),
        metric: key.metric.clone(),
        currency: key.currency.clone(),
        variant_id: key.variant.clone(),
        channel: key.channel,
        segment: key.segment.clone(),
        returning_visitor: key.returning,
        day: key.day,
        bin: key.bin,
        sums: sums.to_owned(),
    }
    .into_active_model()
}

async fn insert(transaction: &DatabaseTransaction, rows: Vec<cell::ActiveModel>) -> Result<()> {
    let key = [
        cell::Column::ExperimentId,
        cell::Column::Metric,
        cell::Column::Currency,
        cell::Column::VariantId,
        cell::Column::Channel,
        cell::Column::Segment,
        cell::Column::ReturningVisitor,
        cell::Column::Day,
        cell::Column::Bin,
    ];
    let replace = OnConflict::columns(key).update_column(cell::Column::Sums).to_owned();
    for chunk in rows.chunks(STATEMENT) {
        cell::Entity::insert_many(chunk.to_vec())
            .on_conflict(replace.clone())
            .exec_without_returning(transaction)
            .await?;
    }
    Ok(())
}

async fn kept(
    db: &impl ConnectionTrait,
    experiment_id: &str,
    which: impl sea_orm::sea_query::IntoCondition,
) -> Result<Cells> {
    let query = cell::Entity::find().filter(cell::Column::ExperimentId.eq(experiment_id)).filter(which);
    let mut cells = Vec::new();
    for row in query.all(db).await? {
        let sums =
            row.sums.parse().map_err(|error| Error::Internal(format!("evaluator_cell.sums: {error}")))?;
        let key = Key {
            metric: row.metric,
            currency: row.currency,
            variant: row.variant_id,
            channel: row.channel,
            segment: row.segment,
            returning: row.returning_visitor,
            day: row.day,
            bin: row.bin,
        };
        cells.push((key, sums));
    }
    Ok(Cells::kept(cells))
}

/// What `units` add to each experiment's sums.
async fn share(
    transaction: &DatabaseTransaction,
    shop: Calendar,
    units: &BTreeSet<String>,
) -> Result<ByExperiment> {
    let assigned = assigned(transaction, units, |chunk| assignment::Column::Unit.is_in(chunk)).await?;
    if assigned.is_empty() {
        return Ok(ByExperiment::new());
    }
    let theirs: BTreeSet<String> = assigned.iter().map(|row| row.unit.clone()).collect();
    let decisions: BTreeSet<String> = assigned.iter().map(|row| row.decision.clone()).collect();
    let mut found: BTreeMap<(i64, String), Fact> = BTreeMap::new();
    let about = facts(transaction, shop, &theirs, |chunk| {
        Condition::any()
            .add(event::Column::Person.is_in(chunk.clone()))
            .add(event::Column::Visitor.is_in(chunk))
    })
    .await?;
    let answers =
        facts(transaction, shop, &decisions, |chunk| event::Column::DecisionId.is_in(chunk).into()).await?;
    for (id, fact) in about.into_iter().chain(answers) {
        found.insert((fact.at, id), fact);
    }
    let facts: Vec<Fact> = found.into_values().collect();
    let elsewhere: BTreeSet<String> = facts
        .iter()
        .map(|fact| &fact.decision)
        .filter(|decision| !decision.is_empty() && !decisions.contains(*decision))
        .cloned()
        .collect();
    let others = assigned_by_decision(transaction, &elsewhere).await?;
    let mut by_experiment: BTreeMap<&str, (Vec<&Assigned>, HashMap<&str, &str>)> = BTreeMap::new();
    for row in &assigned {
        let (assigned, answered) = by_experiment.entry(&row.experiment).or_default();
        assigned.push(row);
        answered.insert(&row.decision, &row.unit);
    }
    for row in &others {
        if let Some((_, answered)) = by_experiment.get_mut(row.experiment.as_str()) {
            answered.insert(&row.decision, &row.unit);
        }
    }
    let ends: HashMap<String, Option<i64>> = experiment::Entity::find()
        .select_only()
        .columns([experiment::Column::ExperimentId, experiment::Column::StoppedAt])
        .filter(experiment::Column::ExperimentId.is_in(by_experiment.keys().copied()))
        .into_tuple::<(String, Option<i64>)>()
        .all(transaction)
        .await?
        .into_iter()
        .collect();
    let own = metrics::definitions(transaction).await?;
    let share = |(experiment, (assigned, answered)): (&str, (Vec<&Assigned>, HashMap<&str, &str>))| {
        let until = ends.get(experiment).copied().flatten();
        (experiment.to_owned(), Cells::of(&Log { assigned, answered, facts: &facts, until, own: &own }))
    };
    Ok(by_experiment.into_iter().map(share).collect())
}

async fn assigned_by_decision(
    transaction: &DatabaseTransaction,
    decisions: &BTreeSet<String>,
) -> Result<Vec<Assigned>> {
    assigned(transaction, decisions, |chunk| assignment::Column::DecisionId.is_in(chunk)).await
}

async fn assigned(
    transaction: &DatabaseTransaction,
    ids: &BTreeSet<String>,
    filter: impl Fn(Vec<&str>) -> sea_orm::sea_query::SimpleExpr,
) -> Result<Vec<Assigned>> {
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let mut found = Vec::new();
    for chunk in ids.chunks(STATEMENT) {
        let query = assignment::Entity::find()
            .filter(filter(chunk.to_vec()))
            .order_by_asc(assignment::Column::DecisionId)
            .order_by_asc(assignment::Column::ExperimentId);
        found.extend(query.all(transaction).await?.into_iter().map(row_assigned));
    }
    Ok(found)
}

pub(super) fn row_assigned(row: assignment::Model) -> Assigned {
    Assigned {
        decision: row.decision_id,
        experiment: row.experiment_id,
        variant: row.variant_id,
        unit: row.unit,
        at: row.decided_at,
        channel: row.channel,
        segment: row.segment,
    }
}

async fn facts(
    transaction: &DatabaseTransaction,
    shop: Calendar,
    ids: &BTreeSet<String>,
    filter: impl Fn(Vec<&str>) -> Condition,
) -> Result<Vec<(String, Fact)>> {
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let mut found = Vec::new();
    for chunk in ids.chunks(STATEMENT) {
        let query = behaviour().filter(filter(chunk.to_vec()));
        let rows = query.into_model::<Row>().all(transaction).await?;
        found.extend(rows.into_iter().map(|row| (row.event_id.clone(), fact(row, shop))));
    }
    Ok(found)
}
