//! Training, and which model serves.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use chrono::Utc;
use pbjson_types::Timestamp;
use proto::recommender::v1::{
    Algorithm, ListModelsRequest, ListModelsResponse, Model, TrainRequest, TrainResponse,
};
use proto::validate::Violations;
use tokio::sync::mpsc;
use tonic::{Code, Status};

use super::{Recommender, failed, refuse};
use crate::algorithm::{Algorithm as Kind, FitError};
use crate::signals::Signals;
use crate::store::Card;
use crate::train::{self, Numbered, Order};

/// Where the progress goes.
pub(super) type Steps = mpsc::Sender<Result<TrainResponse, Status>>;

/// What page tokens of this list begin with.
const TOKEN: &str = "models-after-";

pub(crate) fn wire(card: Card) -> Model {
    Model {
        model_id: card.model_id,
        algorithm: card.algorithm.into(),
        parameters: card.parameters,
        metrics: card.metrics,
        created_at: Some(Timestamp { seconds: card.created_at, nanos: 0 }),
        promoted: card.promoted,
    }
}

/// What a request asks for.
fn order(request: &TrainRequest) -> Result<Order, FitError> {
    let algorithm = match request.algorithm() {
        Algorithm::Unspecified | Algorithm::Auto => None,
        Algorithm::Svd => Some(Kind::Svd),
        Algorithm::Als => Some(Kind::Als),
        Algorithm::Ease => Some(Kind::Ease),
        Algorithm::ItemKnn => Some(Kind::ItemKnn),
        Algorithm::Transition => Some(Kind::Transition),
        Algorithm::Popularity => Some(Kind::Popularity),
        Algorithm::Blend => Some(Kind::Blend),
    };
    Order::of(algorithm, request.parameters.clone(), request.seed)
}

fn told(algorithm: Kind) -> Algorithm {
    match algorithm {
        Kind::Svd => Algorithm::Svd,
        Kind::Als => Algorithm::Als,
        Kind::Ease => Algorithm::Ease,
        Kind::ItemKnn => Algorithm::ItemKnn,
        Kind::Transition => Algorithm::Transition,
        Kind::Popularity => Algorithm::Popularity,
        Kind::Blend => Algorithm::Blend,
    }
}

fn not_trained(cause: FitError) -> Status {
    let (code, reason) = match cause {
        FitError::Cancelled => (Code::Cancelled, "CANCELLED"),
        FitError::TooManyItems { .. } => (Code::FailedPrecondition, "TOO_MANY_ITEMS"),
        _ => (Code::FailedPrecondition, "NOT_TRAINED"),
    };
    chassis::error::status(code, reason, cause.to_string())
}

/// Cancels the run when its caller has gone.
struct Cancel(Arc<AtomicBool>);

impl Drop for Cancel {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Recommender {
    /// Refuses at once what cannot be trained; the run itself is told through `steps`.
    pub(super) fn check_training(request: &TrainRequest) -> Result<(), Status> {
        let mut found = Violations::new();
        found.known_enum::<Algorithm>("algorithm", request.algorithm, false);
        found.optional_id("request_id", &request.request_id);
        if let Err(cause) = order(request) {
            let (field, reason) = match &cause {
                FitError::Unknown { field, .. } => (format!("parameters[{field}]"), "UNKNOWN_PARAMETER"),
                FitError::Setting { field, .. } => (format!("parameters[{field}]"), "OUT_OF_RANGE"),
                _ => ("parameters".to_owned(), "REFUSED"),
            };
            found.add(field, reason, cause.to_string());
        }
        refuse(found)
    }

    pub(crate) async fn fit(&self, request: TrainRequest, steps: &Steps) -> Result<(), Status> {
        let Ok(_one) = self.training.try_acquire() else {
            return Err(chassis::error::overloaded(std::time::Duration::from_secs(10)));
        };
        if !request.request_id.is_empty()
            && let Some(card) = self.store.model_asked_by(&request.request_id).await.map_err(failed)?
        {
            let _ = steps.send(Ok(last("trained before for this request_id", card))).await;
            return Ok(());
        }
        let order = order(&request).map_err(not_trained)?;
        self.wait_for_position(request.after_position, steps).await?;
        let mut deeds = Numbered::new(self.signals.as_ref().clone());
        self.store.deeds(&mut deeds).await.map_err(failed)?;
        if deeds.deeds() == 0 {
            return Err(chassis::error::status(
                Code::FailedPrecondition,
                "NO_EVENTS",
                "there are no events to learn from; import some first",
            ));
        }
        let serving = self.live.shelf().serving.as_ref().map(|serving| serving.artefact.model.settings());
        let stop = Arc::new(AtomicBool::new(false));
        let cancel = Cancel(stop.clone());
        let tell = steps.clone();
        let run = tokio::task::spawn_blocking(move || {
            let seen = stop.clone();
            let progress: train::Progress = Arc::new(move |stage, fraction, message| {
                let step = TrainResponse { stage: stage.to_owned(), fraction, message, model: None };
                // A reader that is slow misses a step; one that has gone ends the run.
                if let Err(mpsc::error::TrySendError::Closed(_)) = tell.try_send(Ok(step)) {
                    seen.store(true, Ordering::Relaxed);
                }
            });
            train::run(deeds, &order, serving.as_ref(), &progress, &stop)
        });
        let trained = run.await.map_err(|cause| chassis::error::internal(&cause))?;
        let trained = trained.map_err(not_trained)?;
        let (mut worse, mut metrics) = (Vec::from_iter(trained.worse()), trained.metrics());
        let algorithm = trained.artefact.model.algorithm();
        let model_id = format!("{algorithm}-{}", uuid::Uuid::now_v7().simple());
        let mut artefact = self.learn_texts(trained.artefact, steps).await?;
        let (people, compared) = self.learn_people(&model_id, request.seed, steps).await?;
        drop(cancel);
        worse.extend(compared.worse);
        metrics.extend(compared.metrics);
        metrics.extend(people.metrics.clone());
        artefact.people = Some(Arc::new(people));
        metrics.extend(artefact.ngrams.as_ref().map(|map| ("n-grams R2".to_owned(), map.explained())));
        metrics.extend(artefact.texts.as_ref().map(|map| ("texts R2".to_owned(), map.explained)));
        let settings = artefact.model.settings();
        let mut parameters = settings.parameters();
        let learnt = artefact.signals.iter().flat_map(Signals::weights);
        parameters.extend(learnt.map(|(name, weight)| (name.to_owned(), f64::from(weight))));
        let mut card = Card {
            model_id,
            request_id: request.request_id,
            algorithm: told(settings.algorithm()),
            parameters,
            metrics,
            created_at: Utc::now().timestamp(),
            promoted: false,
        };
        self.artefacts.put(&card, artefact).await.map_err(|cause| chassis::error::internal(&cause))?;
        self.store.add_model(&card).await.map_err(failed)?;
        let message = if !request.promote {
            "stored".to_owned()
        } else if worse.is_empty() {
            self.serve(&card.model_id).await?;
            card.promoted = true;
            "serves now".to_owned()
        } else {
            format!("stored, but not promoted: {}; PromoteModel promotes it all the same", worse.join("; "))
        };
        let _ = steps.send(Ok(last(&message, card))).await;
        Ok(())
    }

    async fn serve(&self, model_id: &str) -> Result<(), Status> {
        if !self.store.promote(model_id).await.map_err(failed)? {
            return Err(chassis::error::status(
                Code::NotFound,
                "UNKNOWN_MODEL",
                "there is no such model_id; ListModels names all",
            ));
        }
        self.live.refresh_model().await.map_err(|cause| chassis::error::internal(&cause))
    }

    pub(super) async fn promote(&self, model_id: &str) -> Result<Model, Status> {
        let mut found = Violations::new();
        found.required_id("model_id", model_id);
        refuse(found)?;
        self.serve(model_id).await?;
        let card = self.store.model(model_id).await.map_err(failed)?;
        Ok(card.map(wire).unwrap_or_default())
    }

    pub(super) async fn list(&self, request: &ListModelsRequest) -> Result<ListModelsResponse, Status> {
        let mut found = Violations::new();
        found.page_size(request.page_size);
        let offset = match request.page_token.as_str() {
            "" => Some(0),
            token => token.strip_prefix(TOKEN).and_then(|number| number.parse::<u32>().ok()).map(u64::from),
        };
        if offset.is_none() {
            found.add("page_token", "FOREIGN_TOKEN", "must be the next_page_token of an answer to this call");
        }
        refuse(found)?;
        let (offset, size) = (
            offset.unwrap_or_default(),
            if request.page_size == 0 { 100 } else { u64::from(request.page_size) },
        );
        let mut cards = self.store.models(offset, size + 1).await.map_err(failed)?;
        let more = cards.len() as u64 > size;
        cards.truncate(size as usize);
        let next_page_token = if more { format!("{TOKEN}{}", offset + size) } else { String::new() };
        Ok(ListModelsResponse { models: cards.into_iter().map(wire).collect(), next_page_token })
    }
}

fn last(message: &str, card: Card) -> TrainResponse {
    TrainResponse { stage: "promote".into(), fraction: 1.0, message: message.into(), model: Some(wire(card)) }
}

impl Recommender {
    /// One run outside any call, promoted where it deserves to be.
    pub(crate) async fn train_once(&self) -> Result<Model, Status> {
        let (steps, mut told) = mpsc::channel::<Result<TrainResponse, Status>>(64);
        let listen = async move {
            let mut model = None;
            while let Some(Ok(step)) = told.recv().await {
                tracing::info!(stage = step.stage, fraction = step.fraction, "{}", step.message);
                model = step.model.or(model);
            }
            model
        };
        let work = async {
            let outcome = self.fit(TrainRequest { promote: true, ..TrainRequest::default() }, &steps).await;
            drop(steps);
            outcome
        };
        let (outcome, model) = tokio::join!(work, listen);
        outcome?;
        model.ok_or_else(|| Status::internal("training ended without a model"))
    }
}
