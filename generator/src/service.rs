//! The generator's RPCs: from the contract to the domain and back.

mod embed;
mod models;
mod streams;
mod warming;

use std::sync::Arc;

use chassis::deadline;
use chassis::error::{FieldViolation, invalid, invalid_field};
use chrono::Utc;
use proto::generator::v1::generator_service_server::GeneratorService;
use proto::generator::v1::{
    CheckCopyRequest, CheckCopyResponse, EmbedRequest, EmbedResponse, GenerateCopiesRequest,
    GenerateCopyRequest, GenerateCopyResponse, ListModelsRequest, ListModelsResponse, StreamCopyRequest,
    WarmCopiesRequest,
};
use proto::validate::{Violation, Violations};
use tonic::{Request, Response, Status, Streaming};

use crate::Config;
use crate::brief;
use crate::embed::Embedder;
use crate::guard::Guard;
use crate::words::Predictor;
use crate::writing::{Order, Refusal, Writer};

/// `bespoke.generator.v1.GeneratorService`.
pub struct Generator {
    writer: Writer,
    embedder: Option<Embedder>,
    models: models::Names,
    stream_concurrency: usize,
}

impl Generator {
    /// The service on `writer` and, where texts are embedded, `embedder`.
    pub fn new(writer: Writer, embedder: Option<Embedder>, config: &Config) -> Self {
        let models = models::Names::of(config);
        Self { writer, embedder, models, stream_concurrency: config.writing.stream_concurrency }
    }
}

#[tonic::async_trait]
impl GeneratorService for Generator {
    async fn generate_copy(
        &self,
        request: Request<GenerateCopyRequest>,
    ) -> Result<Response<GenerateCopyResponse>, Status> {
        let order = order(request.into_inner()).map_err(refused)?;
        let written = self.writer.write(&order, deadline::current(), None).await;
        written.map(Response::new).map_err(|refusal| refused(vec![violation(&refusal)]))
    }

    type StreamCopyStream = streams::Drafts;

    async fn stream_copy(
        &self,
        request: Request<StreamCopyRequest>,
    ) -> Result<Response<Self::StreamCopyStream>, Status> {
        let StreamCopyRequest { brief, variants, seed, temperature, model_id } = request.into_inner();
        if variants > 1 {
            return Err(invalid_field("variants", "OUT_OF_RANGE", "must be 0 or 1: one text is streamed"));
        }
        let order =
            order(GenerateCopyRequest { brief, variants, seed, temperature, model_id }).map_err(refused)?;
        Ok(Response::new(streams::drafts(self.writer.clone(), order, deadline::current())))
    }

    type GenerateCopiesStream = streams::Answers;

    async fn generate_copies(
        &self,
        request: Request<Streaming<GenerateCopiesRequest>>,
    ) -> Result<Response<Self::GenerateCopiesStream>, Status> {
        let (writer, most) = (self.writer.clone(), self.stream_concurrency);
        Ok(Response::new(streams::answers(writer, request.into_inner(), most, deadline::current())))
    }

    type WarmCopiesStream = warming::Steps;

    async fn warm_copies(
        &self,
        request: Request<WarmCopiesRequest>,
    ) -> Result<Response<Self::WarmCopiesStream>, Status> {
        let campaign = campaign(request.into_inner()).map_err(refused)?;
        Ok(Response::new(warming::steps(&self.writer, &campaign)))
    }

    async fn check_copy(
        &self,
        request: Request<CheckCopyRequest>,
    ) -> Result<Response<CheckCopyResponse>, Status> {
        check(&request.into_inner()).map(Response::new).map_err(refused)
    }

    async fn embed(&self, request: Request<EmbedRequest>) -> Result<Response<EmbedResponse>, Status> {
        embed::embed(self.embedder.as_ref(), &request.into_inner()).await.map(Response::new)
    }

    async fn list_models(
        &self,
        request: Request<ListModelsRequest>,
    ) -> Result<Response<ListModelsResponse>, Status> {
        let states = models::States {
            writes: self.writer.models(),
            embeds: self.embedder.as_ref().map(Embedder::state),
            predicts: self.writer.words().map(Predictor::state),
        };
        models::list(&self.models, states, &request.into_inner()).map(Response::new).map_err(refused)
    }
}

pub use warming::{campaign, warmed};

/// What a check of `request` finds, or what is wrong with the request.
pub fn check(request: &CheckCopyRequest) -> Result<CheckCopyResponse, Vec<Violation>> {
    let mut violations = Violations::new();
    if request.text.trim().is_empty() {
        violations.add("text", "EMPTY", "must not be empty");
    }
    violations.text("text", &request.text);
    match &request.brief {
        Some(brief) => violations.add_within("brief", brief::validate(brief, Utc::now())),
        None => violations.add("brief", "EMPTY", "must be given"),
    }
    match &request.brief {
        Some(brief) if violations.is_empty() => {
            let report = Guard::new(brief).check_text(&request.text);
            Ok(CheckCopyResponse { claims: report.claims, violations: report.violations })
        }
        _ => Err(violations.into_vec()),
    }
}

/// The order in `request`, or what is wrong with it.
pub fn order(request: GenerateCopyRequest) -> Result<Order, Vec<Violation>> {
    let violations = brief::request(&request, Utc::now());
    match request.brief {
        Some(brief) if violations.is_empty() => Ok(Order {
            brief: Arc::new(brief),
            variants: request.variants.max(1),
            seed: request.seed,
            temperature: request.temperature,
            model_id: request.model_id,
        }),
        _ => Err(violations),
    }
}

/// The field at fault where an order is refused.
fn violation(refusal: &Refusal) -> Violation {
    match refusal {
        Refusal::UnknownModel { .. } => Violation::new("model_id", "UNKNOWN_MODEL", refusal.to_string()),
        Refusal::NoRoom => Violation::new("brief", "UNSATISFIABLE", refusal.to_string()),
    }
}

fn refused(violations: Vec<Violation>) -> Status {
    invalid(
        violations.into_iter().map(|fault| FieldViolation::new(fault.field, fault.reason, fault.description)),
    )
}
