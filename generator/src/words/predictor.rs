//! Clicks predicted while copy is written: the model of words on the thread of the encoder that also embeds.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use tokio::sync::watch;

use super::Model;
use super::features::{self, Inputs};
use crate::Config;
use crate::embed::Embedder;
use crate::embed::bert::Bert;

/// Whether clicks are predicted.
#[derive(Clone)]
pub enum State {
    /// The model or its encoder is being read.
    Loading,
    /// By this model.
    Ready(Arc<Model>),
    /// Not at all, and why.
    Failed(String),
}

/// A handle on the model of words; cheap to clone.
#[derive(Clone)]
pub struct Predictor {
    version: String,
    embedder: Embedder,
    state: watch::Receiver<State>,
}

impl Predictor {
    /// The one `config` names, on the encoder that `embedder` has; `None` where it names none.
    pub fn of(config: &Config, embedder: Option<&Embedder>) -> Option<Self> {
        config.words().zip(embedder).map(|(file, embedder)| Self::start(file, embedder.clone()))
    }

    /// Loads the model in `file`, which reads with the encoder of `embedder`; returns at once.
    pub fn start(file: PathBuf, embedder: Embedder) -> Self {
        let (set, state) = watch::channel(State::Loading);
        let version = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let encoder = embedder.clone();
        tokio::spawn(async move {
            set.send_replace(match load(file, &encoder).await {
                Ok(model) => {
                    tracing::info!(trials = model.card.trials, "the model of words is loaded");
                    State::Ready(Arc::new(model))
                }
                Err(error) => {
                    let reason = format!("{error:#}");
                    tracing::error!(reason, "no clicks are predicted, and none have a say in what is best");
                    State::Failed(reason)
                }
            });
        });
        Self { version, embedder, state }
    }

    /// The name of the model: its file's, without the ending.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Whether clicks are predicted.
    pub fn state(&self) -> State {
        self.state.borrow().clone()
    }

    /// The probability that each of `texts` is clicked more often than an average text; `None` for what is not
    /// English. Waits for a model that is being loaded: what is chosen must not hang on how long that takes.
    pub async fn predict(&self, texts: Vec<String>) -> Vec<Option<f64>> {
        let many = texts.len();
        let mut state = self.state.clone();
        let model = match state.wait_for(|state| !matches!(state, State::Loading)).await.as_deref() {
            Ok(State::Ready(model)) => model.clone(),
            _ => return vec![None; many],
        };
        // Always the texts of one caller at once: what is padded differently differs in the last bits.
        let predicted = self.embedder.run(move |bert| {
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            let inputs = features::read(bert, &texts, &|_| ())?;
            let predict = |input: Inputs| model.predicted_click(model.score(&input));
            anyhow::Ok(inputs.into_iter().map(|input| input.map(predict)).collect::<Vec<_>>())
        });
        match predicted.await.map_err(anyhow::Error::from).flatten() {
            Ok(predicted) => predicted,
            Err(error) => {
                tracing::error!(error = format!("{error:#}"), "clicks could not be predicted");
                vec![None; many]
            }
        }
    }
}

async fn load(file: PathBuf, encoder: &Embedder) -> anyhow::Result<Model> {
    let model = tokio::task::spawn_blocking(move || Model::load(&file)).await??;
    let probe = |bert: &Bert| {
        let read = features::read(bert, &["A text to try it with"], &|_| ())?.pop().flatten();
        anyhow::Ok((bert.card().model_id.clone(), read.context("it reads no English")?))
    };
    let probed =
        encoder.run(probe).await.context("the encoder it reads with is not there (embedding.file)")?;
    let (given, input) = probed.context("its encoder failed")?;
    let wanted = &model.card.encoder;
    ensure!(*wanted == given, "it reads with {wanted}, the encoder here (embedding.file) is {given}");
    ensure!(model.fits(&input), "it was trained on another shape of {wanted}");
    Ok(model)
}
