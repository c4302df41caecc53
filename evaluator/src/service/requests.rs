//! Answers to requests that carry a `request_id`: a repeated one gets the first one's.

use proto::validate::Violations;

/// An rpc whose answers are kept.
#[derive(Debug, Clone, Copy)]
pub(super) enum Method {
    ActivatePlan,
    DeactivatePlan,
    DeleteOffer,
    GenerateStrategies,
    TrainEffectModel,
}

impl Method {
    /// Name under which answers are stored.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::ActivatePlan => "ActivatePlan",
            Self::DeactivatePlan => "DeactivatePlan",
            Self::DeleteOffer => "DeleteOffer",
            Self::GenerateStrategies => "GenerateStrategies",
            Self::TrainEffectModel => "TrainEffectModel",
        }
    }
}

/// Checks the id of a request.
pub(super) fn check(found: &mut Violations, request_id: &str) {
    found.optional_id("request_id", request_id);
}
