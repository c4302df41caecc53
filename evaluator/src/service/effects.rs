use std::pin::Pin;

use proto::common::v1::Channel;
use proto::evaluator::v1 as wire;
use proto::evaluator::v1::effect_service_server::EffectService;
use proto::validate::{self, Violations};
use tokio_stream::Stream;
use tonic::{Request, Response, Status};

use super::Base;
use super::status::refuse;
use crate::error::Error;

/// `EffectService`
pub(crate) struct Effects(pub(crate) Base);

/// Most treatments of one call.
const MOST_TREATMENTS: usize = 1_000;

#[tonic::async_trait]
impl EffectService for Effects {
    type TrainEffectModelStream =
        Pin<Box<dyn Stream<Item = Result<wire::TrainEffectModelResponse, Status>> + Send>>;

    async fn train_effect_model(
        &self,
        _request: Request<wire::TrainEffectModelRequest>,
    ) -> Result<Response<Self::TrainEffectModelStream>, Status> {
        Err(chassis::error::unimplemented("TrainEffectModel"))
    }

    async fn predict_effect(
        &self,
        request: Request<wire::PredictEffectRequest>,
    ) -> Result<Response<wire::PredictEffectResponse>, Status> {
        let request = request.into_inner();
        let mut found = Violations::new();
        found.required_id("user_id", &request.user_id);
        for (name, value) in &request.features {
            found.finite(&format!("features[{name}]"), *value);
        }
        if !(1..=MOST_TREATMENTS).contains(&request.treatments.len()) {
            let text = format!("must be 1 to {MOST_TREATMENTS}, are {}", request.treatments.len());
            found.add("treatments", "OUT_OF_RANGE", text);
        }
        for (index, treatment) in request.treatments.iter().enumerate() {
            let path = format!("treatments[{index}]");
            found.optional_id(&format!("{path}.treatment_id"), &treatment.treatment_id);
            found.optional_id(&format!("{path}.item_id"), &treatment.item_id);
            found.known_enum::<Channel>(&format!("{path}.channel"), treatment.channel, false);
            if let Some(offer) = &treatment.offer {
                found.add_within(&format!("{path}.offer"), validate::offer(offer));
            }
        }
        refuse(found)?;
        let text = "no effect model is trained: record decisions and their outcomes, then TrainEffectModel";
        Err(Error::precondition("EFFECT_MODEL_NOT_TRAINED", text).into())
    }

    async fn evaluate_policy(
        &self,
        _request: Request<wire::EvaluatePolicyRequest>,
    ) -> Result<Response<wire::EvaluatePolicyResponse>, Status> {
        Err(chassis::error::unimplemented("EvaluatePolicy"))
    }
}
