use std::path::PathBuf;
use std::time::Duration;

use chassis::config::{Problems, Secret};
use http::Uri;
use serde::{Deserialize, Serialize};

use super::outline::Constraints;

/// The server that writes in place of the model in this process.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RemoteConfig {
    /// Where its OpenAI-compatible interface begins, such as `http://vllm:8000/v1`; empty: there is none.
    pub url: String,
    /// The model it is asked for, by the server's name of it.
    pub name: String,
    /// What it is shown as a bearer token; empty shows none.
    pub api_key: Secret,
    /// A PEM file of the authorities its certificate is checked against; empty: the public ones.
    pub authorities: PathBuf,
    /// How long a connection may take to open, milliseconds.
    pub connect_timeout_ms: u64,
    /// How long a text may take, from its asking to its end, milliseconds.
    pub timeout_ms: u64,
    /// Askings for one text at most, the first included; only what was not reached or said 503 is asked again.
    pub attempts: u32,
    /// Share of askings that may be made again, 0 to 1.
    pub retry_ratio: f32,
    /// Texts it writes at once at most.
    pub concurrency: usize,
    /// Texts that may wait for that; one more is written by the next model or a template.
    pub queue: usize,
    /// Failures in a row after which it is left alone for a while.
    pub failures: u32,
    /// How long it is left alone, milliseconds; then one text tries it.
    pub pause_ms: u64,
    /// Whether it is asked how likely its words are, which has a say in which of several texts is the best.
    pub logprobs: bool,
    /// In which server's words it is told the outline of an answer: its parts, their lengths, the numbers there may be.
    pub constraints: Constraints,
}

impl Default for RemoteConfig {
    fn default() -> Self {
        Self {
            url: String::new(),
            name: String::new(),
            api_key: Secret::default(),
            authorities: PathBuf::new(),
            connect_timeout_ms: 1_000,
            timeout_ms: 30_000,
            attempts: 3,
            retry_ratio: 0.2,
            concurrency: 32,
            queue: 256,
            failures: 5,
            pause_ms: 5_000,
            logprobs: true,
            constraints: Constraints::None,
        }
    }
}

impl RemoteConfig {
    /// Whether there is a server.
    pub fn is_set(&self) -> bool {
        !self.url.is_empty()
    }

    /// Reports what cannot work; `key` is the section's.
    pub fn validate(&self, key: &str, problems: &mut Problems) {
        let key = |name: &str| format!("{key}.{name}");
        if !self.is_set() {
            problems.require(self.name.is_empty(), &key("url"), "must be given where a name is");
            return;
        }
        let scheme = self.uri().and_then(|uri| uri.scheme_str().map(str::to_owned));
        problems.require(
            matches!(scheme.as_deref(), Some("http" | "https")),
            &key("url"),
            "must be an http or https address without a query, such as http://vllm:8000/v1",
        );
        problems.require(!self.name.is_empty(), &key("name"), "must be given where a url is");
        for (name, fine) in [
            ("connect_timeout_ms", self.connect_timeout_ms > 0),
            ("timeout_ms", self.timeout_ms > 0),
            ("attempts", self.attempts > 0),
            ("concurrency", self.concurrency > 0),
            ("failures", self.failures > 0),
        ] {
            problems.require(fine, &key(name), "must be above 0");
        }
        problems.require((0.0..=1.0).contains(&self.retry_ratio), &key("retry_ratio"), "must be 0 to 1");
    }

    /// Where texts are asked for.
    pub(super) fn uri(&self) -> Option<Uri> {
        let uri: Uri = format!("{}/chat/completions", self.url.trim_end_matches('/')).parse().ok()?;
        (uri.host().is_some() && uri.query().is_none()).then_some(uri)
    }

    pub(super) fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms)
    }
}
