use sea_orm::{
    ActiveModelTrait as _, ActiveValue::Set, ColumnTrait as _, Condition, EntityTrait as _,
    IntoActiveModel as _, QueryFilter as _, QueryOrder as _, QuerySelect as _,
};

use super::entity::event;
use super::entity::experiment::{Column, Entity, Model};
use super::{Store, moments, unit};
use crate::error::{Error, Result};
use crate::experiment::definition::{Experiment, Registered, State};

impl Store {
    /// Stores a new experiment, not yet assigning; one that is there already with the same design stays as it is.
    pub async fn create_experiment(&self, design: &Experiment, now: i64) -> Result<Registered> {
        let _held = self.writing().await;
        let id = &design.experiment_id;
        if let Some(known) = Entity::find_by_id(id).one(&self.db).await? {
            let known = registered(&known)?;
            if known.design == *design {
                return Ok(known);
            }
            return Err(Error::AlreadyExists { kind: "experiment", id: id.clone() });
        }
        let row = Model {
            experiment_id: id.clone(),
            state: number(State::Draft),
            created_at: now,
            started_at: None,
            stopped_at: None,
            design: serde_json::to_string(design).map_err(|error| Error::Internal(error.to_string()))?,
        };
        Entity::insert(row.clone().into_active_model()).exec_without_returning(&self.db).await?;
        registered(&row)
    }

    /// One experiment.
    pub async fn experiment(&self, id: &str) -> Result<Registered> {
        registered(&self.row(id).await?)
    }

    /// Experiments made before `after` (time and id of the last one seen), the newest first.
    pub async fn experiments(&self, after: Option<(i64, String)>, most: u64) -> Result<Vec<Registered>> {
        let mut query = Entity::find();
        if let Some((created_at, id)) = after {
            let same =
                Condition::all().add(Column::CreatedAt.eq(created_at)).add(Column::ExperimentId.lt(id));
            query = query.filter(Condition::any().add(Column::CreatedAt.lt(created_at)).add(same));
        }
        let query = query.order_by_desc(Column::CreatedAt).order_by_desc(Column::ExperimentId).limit(most);
        query.all(&self.db).await?.iter().map(registered).collect()
    }

    /// The experiments that assign, by id.
    pub async fn running_experiments(&self) -> Result<Vec<Registered>> {
        let query = Entity::find()
            .filter(Column::State.eq(number(State::Running)))
            .order_by_asc(Column::ExperimentId);
        query.all(&self.db).await?.iter().map(registered).collect()
    }

    /// Lets an experiment assign; one that does already stays as it is.
    pub async fn start_experiment(&self, id: &str, now: i64) -> Result<Registered> {
        let _held = self.writing().await;
        let row = self.row(id).await?;
        match state(row.state)? {
            State::Running => registered(&row),
            State::Draft if self.rival(&registered(&row)?.design).await?.is_some() => {
                let rival = self.rival(&registered(&row)?.design).await?.unwrap_or_default();
                Err(Error::precondition(
                    "NAMESPACE_OVERLAP",
                    format!(
                        "experiment {id:?} shares units with {rival:?} in their namespace: stop that one, or make \
                         this one anew with a range that is free"
                    ),
                ))
            }
            State::Stopped => Err(Error::precondition(
                "EXPERIMENT_STOPPED",
                format!(
                    "experiment {id:?} was stopped; a stopped experiment is not started again, make a new one"
                ),
            )),
            State::Draft => {
                let mut row = row.into_active_model();
                row.state = Set(number(State::Running));
                row.started_at = Set(Some(now));
                registered(&row.update(&self.db).await?)
            }
        }
    }

    /// Ends an experiment's assigning; one that is stopped already stays as it is.
    pub async fn stop_experiment(&self, id: &str, now: i64) -> Result<Registered> {
        let _held = self.writing().await;
        let row = self.row(id).await?;
        match state(row.state)? {
            State::Stopped => registered(&row),
            State::Draft => Err(Error::precondition(
                "EXPERIMENT_NOT_RUNNING",
                format!("experiment {id:?} was never started: there is nothing to stop"),
            )),
            State::Running => {
                let transaction = chassis::database::begin(&self.db).await?;
                // What happens after the end is no effect, though it may be told already.
                let later: Vec<(String, String)> = event::Entity::find()
                    .select_only()
                    .columns([event::Column::Person, event::Column::Visitor])
                    .filter(event::Column::OccurredAt.gte(now))
                    .into_tuple()
                    .all(&transaction)
                    .await?;
                let units = later.iter().map(|(person, visitor)| unit(person, visitor)).collect();
                let before = moments::before(&transaction, self.calendar, units).await?;
                let mut row = row.into_active_model();
                row.state = Set(number(State::Stopped));
                row.stopped_at = Set(Some(now));
                let stopped = row.update(&transaction).await?;
                moments::settle(&transaction, before).await?;
                transaction.commit().await?;
                registered(&stopped)
            }
        }
    }

    /// Id of a running experiment that takes in units `design` would take in too, though both are in one namespace.
    async fn rival(&self, design: &Experiment) -> Result<Option<String>> {
        let running = self.running_experiments().await?;
        Ok(running
            .into_iter()
            .map(|other| other.design)
            .find(|other| other.experiment_id != design.experiment_id && other.overlaps(design))
            .map(|other| other.experiment_id))
    }

    async fn row(&self, id: &str) -> Result<Model> {
        let row = Entity::find_by_id(id).one(&self.db).await?;
        row.ok_or_else(|| Error::NotFound { kind: "experiment", id: id.to_owned() })
    }
}

fn number(state: State) -> i16 {
    match state {
        State::Draft => 1,
        State::Running => 2,
        State::Stopped => 3,
    }
}

fn state(number: i16) -> Result<State> {
    match number {
        1 => Ok(State::Draft),
        2 => Ok(State::Running),
        3 => Ok(State::Stopped),
        other => {
            Err(Error::Internal(format!("evaluator_experiment.state {other} is not known to this version")))
        }
    }
}

fn registered(row: &Model) -> Result<Registered> {
    let design = serde_json::from_str(&row.design).map_err(|error| {
        Error::Internal(format!("evaluator_experiment.design of {}: {error}", row.experiment_id))
    })?;
    Ok(Registered {
        design,
        state: state(row.state)?,
        created_at: row.created_at,
        started_at: row.started_at,
        stopped_at: row.stopped_at,
    })
}
