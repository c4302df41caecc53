use std::path::Path;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::time::Duration;

use anyhow::{Context as _, bail};
use hf_hub::Cache;
use hf_hub::api::Progress;
use hf_hub::api::sync::ApiBuilder;
use serde::Deserialize;

use super::Weights;
use crate::config::HubConfig;

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
pub(super) fn fetch(
    config: &HubConfig,
    weights: &Weights,
    source: &Source,
    part: &Path,
) -> anyhow::Result<()> {
    let (sender, news) = mpsc::channel();
    let (config, source, part) = (config.clone(), source.clone(), part.to_owned());
    // A silent server hangs the client for ever; its thread is left behind and ends with the process.
    std::thread::Builder::new().name("hub".into()).spawn(move || {
        let outcome = download(&config, &source, &part, Reports(sender.clone()));
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

fn download(config: &HubConfig, source: &Source, part: &Path, reports: Reports) -> anyhow::Result<()> {
    let set = |value: &str| (!value.is_empty()).then(|| value.to_owned());
    let cache = if config.cache.as_os_str().is_empty() {
        Cache::from_env()
    } else {
        Cache::new(config.cache.clone())
    };
    let found = match cache.model(source.repo.clone()).get(&source.file) {
        Some(found) => found,
        None if config.offline => {
            bail!("{} of {} is not in {}", source.file, source.repo, cache.path().display())
        }
        None => {
            let token = set(config.token.expose()).or_else(|| cache.token());
            let mut api = ApiBuilder::from_env().with_cache_dir(cache.path().clone()).with_token(token);
            if let Some(endpoint) = set(&config.endpoint) {
                api = api.with_endpoint(endpoint);
            }
            let repo = api.with_progress(false).with_retries(0).build()?.model(source.repo.clone());
            repo.download_with_progress(&source.file, reports).map_err(|error| brief(&error))?
        }
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

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader, Write as _};
    use std::net::TcpListener;

    use chassis::config::Secret;

    use super::*;

    const COMMIT: &str = "0123456789012345678901234567890123456789";

    fn source() -> (Weights, Source) {
        let weights = super::super::known(&["smollm2-135m".into()]).unwrap().remove(0);
        (weights, Source { repo: "shop/words".into(), file: "words.gguf".into() })
    }

    /// Answers `calls` requests as the hub does for a file of three bytes; tells what it was asked.
    fn hub(calls: usize) -> (String, std::thread::JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let serving = std::thread::spawn(move || {
            let answer = |mut stream: std::net::TcpStream| {
                let lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
                let asked: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
                let whole = !asked.iter().any(|line| line.eq_ignore_ascii_case("range: bytes=0-0"));
                let body = if whole { "abc" } else { "a" };
                write!(
                    stream,
                    "HTTP/1.1 206 Partial Content\r\nx-repo-commit: {COMMIT}\r\netag: \"e\"\r\nconnection: close\r\n\
                     content-range: bytes 0-{}/3\r\ncontent-length: {}\r\n\r\n{body}",
                    body.len() - 1,
                    body.len()
                )
                .unwrap();
                asked.join("\n").to_lowercase()
            };
            listener.incoming().take(calls).map(|stream| answer(stream.unwrap())).collect()
        });
        (address, serving)
    }

    #[test]
    fn the_hub_is_asked_where_and_with_the_token_that_are_set_and_its_cache_serves_without_it() {
        let folder = tempfile::tempdir().unwrap();
        let (endpoint, serving) = hub(2);
        let (weights, source) = source();
        let config = HubConfig {
            endpoint,
            token: Secret::new("hf_secret"),
            cache: folder.path().join("hub"),
            offline: false,
        };
        let first = folder.path().join("first");
        fetch(&config, &weights, &source, &first).unwrap();
        assert_eq!(std::fs::read(&first).unwrap(), b"abc");
        for asked in serving.join().unwrap() {
            assert!(asked.starts_with("get /shop/words/resolve/main/words.gguf"), "{asked}");
            assert!(asked.contains("authorization: bearer hf_secret"), "{asked}");
        }
        // Nobody listens there any more.
        let offline = HubConfig { offline: true, ..config };
        let second = folder.path().join("second");
        fetch(&offline, &weights, &source, &second).unwrap();
        assert_eq!(std::fs::read(&second).unwrap(), b"abc");
    }

    #[test]
    fn offline_what_is_not_cached_is_missing() {
        let folder = tempfile::tempdir().unwrap();
        let (endpoint, _serving) = hub(0);
        let config =
            HubConfig { endpoint, offline: true, cache: folder.path().into(), ..HubConfig::default() };
        let (weights, source) = source();
        let error = fetch(&config, &weights, &source, &folder.path().join("part")).unwrap_err().to_string();
        assert!(error.contains("words.gguf of shop/words is not in"), "{error}");
    }
}
