use proto::generator::v1::{ListModelsRequest, ListModelsResponse, Model};
use proto::validate::{Violation, Violations};

use crate::config::ModelConfig;
use crate::engine::State;

/// The model that is configured, if any; one replica has one.
pub(super) fn list(
    config: &ModelConfig,
    state: Option<State>,
    request: &ListModelsRequest,
) -> Result<ListModelsResponse, Vec<Violation>> {
    let mut violations = Violations::new();
    violations.page_size(request.page_size);
    if !request.page_token.is_empty() {
        violations.add("page_token", "UNKNOWN_PAGE", "must be empty: all models fit one page");
    }
    if !violations.is_empty() {
        return Err(violations.into_vec());
    }
    let waiting = |reason: String| Model { model_id: config.file.clone(), reason, ..Model::default() };
    let model = state.map(|state| match state {
        State::Ready(card) => Model {
            model_id: card.model_id,
            architecture: card.architecture,
            parameters: card.parameters,
            quantisation: card.quantisation,
            context_length: card.context_length,
            ready: true,
            reason: String::new(),
        },
        State::Loading => waiting("it is being loaded".into()),
        State::Failed(reason) => {
            tracing::warn!(reason, "the model does not serve");
            waiting("it could not be loaded; the service's log has the cause".into())
        }
    });
    Ok(ListModelsResponse { models: model.into_iter().collect(), next_page_token: String::new() })
}
