use std::path::Path;

use proto::generator::v1::{ListModelsRequest, ListModelsResponse, Model};
use proto::validate::{Violation, Violations};

use crate::Config;
use crate::{embed, engine, words};

/// The files of the models, which name those that do not serve.
pub(super) struct Names {
    embeds: String,
    predicts: String,
}

impl Names {
    pub(super) fn of(config: &Config) -> Self {
        Self { embeds: config.embedding.file.clone(), predicts: config.words.file.clone() }
    }
}

/// What the models that are configured are doing.
pub(super) struct States {
    pub(super) writes: Vec<(String, engine::State)>,
    pub(super) embeds: Option<embed::State>,
    pub(super) predicts: Option<words::State>,
}

/// The models that are configured, those that write first.
pub(super) fn list(
    names: &Names,
    States { writes, embeds, predicts }: States,
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
    let writes = writes.into_iter().map(|(name, state)| match state {
        engine::State::Ready(card) => Model {
            model_id: card.model_id,
            architecture: card.architecture,
            parameters: card.parameters,
            quantisation: card.quantisation,
            context_length: card.context_length,
            ready: true,
            reason: String::new(),
        },
        engine::State::Loading => loading(&name),
        engine::State::Failed(reason) => failed(&name, &reason),
        engine::State::Away(reason) => {
            tracing::warn!(name, reason, "a model does not serve");
            let reason = "it does not answer; the service's log has the cause".into();
            Model { model_id: name, architecture: "remote".into(), reason, ..Model::default() }
        }
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
    let predicts = predicts.map(|state| match state {
        words::State::Ready(model) => Model {
            model_id: Path::new(&names.predicts)
                .file_stem()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned(),
            architecture: "words".into(),
            parameters: model.parameters(),
            quantisation: "F32".into(),
            ready: true,
            ..Model::default()
        },
        words::State::Loading => loading(&names.predicts),
        words::State::Failed(reason) => failed(&names.predicts, &reason),
    });
    Ok(ListModelsResponse {
        models: writes.chain(embeds).chain(predicts).collect(),
        next_page_token: String::new(),
    })
}

fn loading(name: &str) -> Model {
    Model { model_id: name.into(), reason: "it is being loaded".into(), ..Model::default() }
}

fn failed(name: &str, reason: &str) -> Model {
    Model { model_id: name.into(), reason: reason.into(), ..Model::default() }
}
