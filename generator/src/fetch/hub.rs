use std::path::Path;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::time::Duration;

use anyhow::{Context as _, bail};
use hf_hub::Cache;
use hf_hub::api::Progress;
use hf_hub::api::sync::ApiBuilder;
use serde::Deserialize;

use super::Weights;

/// Longest silence of the hub; it may take long, but not be still.
const SILENCE: Duration = Duration::from_secs(20);

/// A file on the model hub.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Source {
    repo: String,
    file: String,
}

enum News {
    Bytes(usize),
    Over(anyhow::Result<()>),
}

struct Reports(Sender<News>);

impl Progress for Reports {
    fn init(&mut self, _size: usize, _filename: &str) {}

    fn update(&mut self, size: usize) {
        // Nobody listens any more once the silence was too long.
        let _ = self.0.send(News::Bytes(size));
    }

    fn finish(&mut self) {}
}

/// Brings the file to `part` from the hub's own cache on this machine, or from the hub.
pub(super) fn fetch(weights: &Weights, source: &Source, part: &Path) -> anyhow::Result<()> {
    let (sender, news) = mpsc::channel();
    let (source, part) = (source.clone(), part.to_owned());
    // A silent server hangs the client for ever; its thread is left behind and ends with the process.
    std::thread::Builder::new().name("hub".into()).spawn(move || {
        let outcome = download(&source, &part, Reports(sender.clone()));
        let _ = sender.send(News::Over(outcome));
    })?;
    let progress = super::bar(&weights.file, weights.bytes);
    let outcome = loop {
        match news.recv_timeout(SILENCE) {
            Ok(News::Bytes(count)) => progress.inc(count as u64),
            Ok(News::Over(outcome)) => break outcome,
            Err(RecvTimeoutError::Timeout) => {
                break Err(anyhow::anyhow!("no answer for {} s", SILENCE.as_secs()));
            }
            Err(RecvTimeoutError::Disconnected) => break Err(anyhow::anyhow!("the download ended early")),
        }
    };
    progress.finish_and_clear();
    outcome
}

fn download(source: &Source, part: &Path, reports: Reports) -> anyhow::Result<()> {
    let cached = Cache::from_env().model(source.repo.clone()).get(&source.file);
    let found = if let Some(found) = cached {
        found
    } else {
        let api = ApiBuilder::from_env().with_progress(false).with_retries(0).build()?;
        let repo = api.model(source.repo.clone());
        repo.download_with_progress(&source.file, reports).map_err(|error| brief(&error))?
    };
    if std::fs::hard_link(std::fs::canonicalize(&found)?, part).is_err() {
        std::fs::copy(&found, part).with_context(|| format!("{}", found.display()))?;
    }
    if !part.is_file() {
        bail!("{} is not a file", found.display());
    }
    Ok(())
}

/// The first line of an error, which is all a person needs here.
fn brief(error: &dyn std::fmt::Display) -> anyhow::Error {
    anyhow::anyhow!("{}", error.to_string().lines().next().unwrap_or("no reason given").to_owned())
}
