use proto::evaluator::v1 as wire;
use proto::evaluator::v1::experiment_service_server::ExperimentService;
use proto::validate::Violations;
use tonic::{Request, Response, Status};

use super::analysis;
use super::convert::timestamp;
use super::status::{refuse, refuse_domain};
use super::{Base, now, page};
use crate::error::Error;
use crate::experiment::definition::{Experiment, Guardrail, Namespace, Registered, State, Variant};
use crate::metric::Known;

/// `ExperimentService`
pub(crate) struct Experiments(pub(crate) Base);

/// Most experiments one call assigns.
const MOST_EXPERIMENTS: usize = 1_000;

#[tonic::async_trait]
impl ExperimentService for Experiments {
    async fn create_experiment(
        &self,
        request: Request<wire::CreateExperimentRequest>,
    ) -> Result<Response<wire::CreateExperimentResponse>, Status> {
        let request = request.into_inner();
        let known = self.0.store.known_metrics().await?;
        let design = design(request.experiment, &request.request_id, &known)?;
        let made = self.0.store.create_experiment(&design, now()).await?;
        Ok(Response::new(wire::CreateExperimentResponse { experiment: Some(experiment(made)) }))
    }

    async fn start_experiment(
        &self,
        request: Request<wire::StartExperimentRequest>,
    ) -> Result<Response<wire::StartExperimentResponse>, Status> {
        let request = request.into_inner();
        named(&request.experiment_id, &request.request_id)?;
        let started = self.0.store.start_experiment(&request.experiment_id, now()).await?;
        self.0.snapshots.changed();
        Ok(Response::new(wire::StartExperimentResponse { experiment: Some(experiment(started)) }))
    }

    async fn stop_experiment(
        &self,
        request: Request<wire::StopExperimentRequest>,
    ) -> Result<Response<wire::StopExperimentResponse>, Status> {
        let request = request.into_inner();
        named(&request.experiment_id, &request.request_id)?;
        let stopped = self.0.store.stop_experiment(&request.experiment_id, now()).await?;
        self.0.snapshots.changed();
        Ok(Response::new(wire::StopExperimentResponse { experiment: Some(experiment(stopped)) }))
    }

    async fn get_experiment(
        &self,
        request: Request<wire::GetExperimentRequest>,
    ) -> Result<Response<wire::GetExperimentResponse>, Status> {
        let id = request.into_inner().experiment_id;
        named(&id, "")?;
        let found = self.0.store.experiment(&id).await?;
        Ok(Response::new(wire::GetExperimentResponse { experiment: Some(experiment(found)) }))
    }

    async fn list_experiments(
        &self,
        request: Request<wire::ListExperimentsRequest>,
    ) -> Result<Response<wire::ListExperimentsResponse>, Status> {
        const LIST: &str = "experiments";
        let request = request.into_inner();
        let mut found = Violations::new();
        found.page_size(request.page_size);
        refuse(found)?;
        let after = page::place(LIST, &request.page_token)?.and_then(|place| {
            let (created_at, id) = place.split_once(' ')?;
            Some((created_at.parse().ok()?, id.to_owned()))
        });
        let size = page::size(request.page_size);
        let mut rows = self.0.store.experiments(after, size + 1).await?;
        let more = rows.len() as u64 > size;
        rows.truncate(size as usize);
        let last = rows.last().filter(|_| more);
        let next_page_token =
            last.map(|row| page::token(LIST, &format!("{} {}", row.created_at, row.design.experiment_id)));
        Ok(Response::new(wire::ListExperimentsResponse {
            experiments: rows.into_iter().map(experiment).collect(),
            next_page_token: next_page_token.unwrap_or_default(),
        }))
    }

    async fn assign(
        &self,
        request: Request<wire::AssignRequest>,
    ) -> Result<Response<wire::AssignResponse>, Status> {
        let wire::AssignRequest { unit_id, experiment_ids } = request.into_inner();
        let mut found = Violations::new();
        found.required_id("unit_id", &unit_id);
        for (index, id) in experiment_ids.iter().enumerate() {
            found.required_id(&format!("experiment_ids[{index}]"), id);
        }
        if experiment_ids.len() > MOST_EXPERIMENTS {
            found.add("experiment_ids", "TOO_MANY", format!("must be at most {MOST_EXPERIMENTS}"));
        }
        refuse(found)?;
        let unit = self.0.unit(&unit_id).await?;
        let moment = self.0.snapshots.moment(&self.0.store).await?;
        let mut assignments = Vec::new();
        if experiment_ids.is_empty() {
            assignments.extend(moment.experiments.iter().map(|running| assignment(&running.design, &unit)));
        }
        for id in &experiment_ids {
            let kept = moment.experiments.iter().find(|running| running.design.experiment_id == *id);
            if let Some(running) = kept {
                assignments.push(assignment(&running.design, &unit));
                continue;
            }
            let known = self.0.store.experiment(id).await?;
            if known.state != State::Running {
                let text = format!("experiment {id:?} does not run: start it before assigning");
                return Err(Error::precondition("EXPERIMENT_NOT_RUNNING", text).into());
            }
            assignments.push(assignment(&known.design, &unit));
        }
        Ok(Response::new(wire::AssignResponse { assignments }))
    }

    async fn analyse_experiment(
        &self,
        request: Request<wire::AnalyseExperimentRequest>,
    ) -> Result<Response<wire::AnalyseExperimentResponse>, Status> {
        let request = request.into_inner();
        if request.experiment_id.is_empty() {
            return Ok(Response::new(self.0.pool.run(move || analysis::inline(&request)).await??));
        }
        Ok(Response::new(analysis::stored(&self.0, request).await?))
    }

    async fn plan_experiment(
        &self,
        request: Request<wire::PlanExperimentRequest>,
    ) -> Result<Response<wire::PlanExperimentResponse>, Status> {
        let request = request.into_inner();
        Ok(Response::new(self.0.pool.run(move || analysis::plan(&request)).await??))
    }
}

fn named(id: &str, request_id: &str) -> Result<(), Status> {
    let mut found = Violations::new();
    found.required_id("experiment_id", id);
    found.optional_id("request_id", request_id);
    refuse(found)
}

/// Where `unit` (a pseudonym) is. Bucketing hashes the pseudonym, since that is all Decide has: the same person is in
/// the same variant whether asked for here or through Personalise.
pub(super) fn assignment(design: &Experiment, unit: &str) -> wire::Assignment {
    let place = design.place(unit);
    let variant = place.variant.map(|index| &design.variants[index]);
    wire::Assignment {
        experiment_id: design.experiment_id.clone(),
        variant_id: variant.map(|variant| variant.variant_id.clone()).unwrap_or_default(),
        propensity: place.propensity,
        in_holdout: place.in_holdout,
        bucket: place.bucket,
        parameters: variant.map(|variant| variant.parameters.clone()).unwrap_or_default(),
    }
}

fn design(given: Option<wire::Experiment>, request_id: &str, known: &Known) -> Result<Experiment, Status> {
    let mut found = Violations::new();
    found.optional_id("request_id", request_id);
    let Some(given) = given else {
        found.add("experiment", "EMPTY", "must be given");
        refuse(found)?;
        return Err(Error::invalid("experiment", "EMPTY", "must be given").into());
    };
    found.required_id("experiment.experiment_id", &given.experiment_id);
    found.optional_id("experiment.seed", &given.seed);
    for (index, variant) in given.variants.iter().enumerate() {
        found.optional_id(&format!("experiment.variants[{index}].variant_id"), &variant.variant_id);
        for (name, value) in &variant.parameters {
            found.text(&format!("experiment.variants[{index}].parameters[{name}]"), value);
        }
    }
    let metrics = given.metrics.iter().enumerate().map(|(index, name)| (format!("metrics[{index}]"), name));
    let guardrails = given.guardrails.iter().enumerate();
    let guardrails = guardrails.map(|(index, given)| (format!("guardrails[{index}].metric"), &given.metric));
    for (field, name) in metrics.chain(guardrails) {
        if known.find(name).is_none() {
            let text = format!("must be one of {}, is {name:?}", known.names());
            found.add(format!("experiment.{field}"), "UNKNOWN_METRIC", text);
        }
    }
    if let Some(namespace) = &given.namespace {
        found.optional_id("experiment.namespace.name", &namespace.name);
    }
    refuse(found)?;
    let variant =
        |v: wire::Variant| Variant { variant_id: v.variant_id, weight: v.weight, parameters: v.parameters };
    let design = Experiment {
        seed: if given.seed.is_empty() { given.experiment_id.clone() } else { given.seed },
        experiment_id: given.experiment_id,
        variants: given.variants.into_iter().map(variant).collect(),
        hash_version: if given.hash_version == 0 { 2 } else { given.hash_version },
        coverage: given.coverage.unwrap_or(1.0),
        namespace: given.namespace.map(|n| Namespace { name: n.name, start: n.start, end: n.end }),
        metrics: given.metrics,
        guardrails: given
            .guardrails
            .into_iter()
            .map(|given| Guardrail { metric: given.metric, margin: given.margin })
            .collect(),
        holdout: given.holdout,
        planned_units_per_variant: given.planned_units_per_variant,
    };
    refuse_domain("experiment", design.check())?;
    Ok(design)
}

fn experiment(kept: Registered) -> wire::Experiment {
    let state = match kept.state {
        State::Draft => wire::ExperimentState::Draft,
        State::Running => wire::ExperimentState::Running,
        State::Stopped => wire::ExperimentState::Stopped,
    };
    let design = kept.design;
    let variant =
        |v: Variant| wire::Variant { variant_id: v.variant_id, weight: v.weight, parameters: v.parameters };
    wire::Experiment {
        experiment_id: design.experiment_id,
        variants: design.variants.into_iter().map(variant).collect(),
        hash_version: design.hash_version,
        seed: design.seed,
        coverage: Some(design.coverage),
        namespace: design.namespace.map(|n| wire::Namespace { name: n.name, start: n.start, end: n.end }),
        metrics: design.metrics,
        guardrails: design
            .guardrails
            .into_iter()
            .map(|kept| wire::Guardrail { metric: kept.metric, margin: kept.margin })
            .collect(),
        holdout: design.holdout,
        planned_units_per_variant: design.planned_units_per_variant,
        state: state.into(),
        started_at: kept.started_at.map(timestamp),
        stopped_at: kept.stopped_at.map(timestamp),
    }
}
