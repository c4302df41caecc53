use proto::generator::v1::{ListModelsRequest, ListModelsResponse, Model};
use proto::validate::{Violation, Violations};

use crate::Config;
use crate::{embed, engine};

/// The files of the models, which name those that do not serve.
pub(super) struct Names {
    writes: String,
    embeds: String,
}

impl Names {
    pub(super) fn of(config: &Config) -> Self {
        Self { writes: config.model.file.clone(), embeds: config.embedding.file.clone() }
    }
}

/// The models that are configured, the one that writes first; one replica has at most one of each kind.
pub(super) fn list(
    names: &Names,
    (writes, embeds): (Option<engine::State>, Option<embed::State>),
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
    let writes = writes.map(|state| match state {
        engine::State::Ready(card) => Model {
            model_id: card.model_id,
            architecture: card.architecture,
            parameters: card.parameters,
            quantisation: card.quantisation,
            context_length: card.context_length,
            ready: true,
            reason: String::new(),
        },
        engine::State::Loading => loading(&names.writes),
        engine::State::Failed(reason) => failed(&names.writes, &reason),
    });
    let embeds = embeds.map(|state| match state {
        embed::State::Ready(card) => Model {
            model_id: card.model_id,
            architecture: "bert".into(),
            parameters: card.parameters,
            quantisation: "F32".into(),
            context_length: card.context_length as u32,
            ready: true,
            reason: String::new(),
        },
        embed::State::Loading => loading(&names.embeds),
        embed::State::Failed(reason) => failed(&names.embeds, &reason),
    });
    Ok(ListModelsResponse {
        models: writes.into_iter().chain(embeds).collect(),
        next_page_token: String::new(),
    })
}

fn loading(name: &str) -> Model {
    Model { model_id: name.into(), reason: "it is being loaded".into(), ..Model::default() }
}

fn failed(name: &str, reason: &str) -> Model {
    tracing::warn!(name, reason, "a model does not serve");
    let reason = "it could not be loaded; the service's log has the cause".into();
    Model { model_id: name.into(), reason, ..Model::default() }
}
