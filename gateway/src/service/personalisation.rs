//! Personalise, at once or as it comes.

mod check;

use std::pin::Pin;

use chassis::{deadline, error};
use futures::Stream;
use proto::gateway::v1::personalisation_service_server::PersonalisationService;
use proto::gateway::v1::{
    PersonaliseRequest, PersonaliseResponse, PersonaliseStreamRequest, PersonaliseStreamResponse,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};
use tracing::Instrument as _;

use crate::personalise::Personaliser;

/// Parts of a stream that may wait for a slow reader.
const BUFFERED: usize = 64;

/// Decides what one person sees.
pub struct Personalisation {
    personaliser: Personaliser,
}

impl Personalisation {
    /// The service over `personaliser`.
    pub fn new(personaliser: Personaliser) -> Self {
        Self { personaliser }
    }
}

#[tonic::async_trait]
impl PersonalisationService for Personalisation {
    type PersonaliseStreamStream =
        Pin<Box<dyn Stream<Item = Result<PersonaliseStreamResponse, Status>> + Send>>;

    async fn personalise(
        &self,
        request: Request<PersonaliseRequest>,
    ) -> Result<Response<PersonaliseResponse>, Status> {
        let request = request.into_inner();
        check::request(&request, "")?;
        Ok(Response::new(self.personaliser.personalise(request).await))
    }

    async fn personalise_stream(
        &self,
        request: Request<PersonaliseStreamRequest>,
    ) -> Result<Response<Self::PersonaliseStreamStream>, Status> {
        let Some(request) = request.into_inner().request else {
            return Err(error::invalid_field("request", "EMPTY", "must be given"));
        };
        check::request(&request, "request.")?;
        let (parts, written) = mpsc::channel(BUFFERED);
        let personaliser = self.personaliser.clone();
        // The stream outlives this call; its time does not outlive the caller's.
        let plan = personaliser.plan();
        let work = async move { personaliser.stream(request, plan, &parts).await };
        tokio::spawn(deadline::scope(Some(plan.deadline()), work).in_current_span());
        Ok(Response::new(Box::pin(ReceiverStream::new(written))))
    }
}
