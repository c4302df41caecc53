//! The generator's settings.

mod hub;

use std::path::PathBuf;

use chassis::config::{Problems, Secret, Validate};
use chassis::server::ServerConfig;
use chassis::telemetry::TelemetryConfig;
use serde::{Deserialize, Serialize};

use crate::embed::EmbedConfig;
use crate::engine::EngineConfig;
use crate::models::offload::Place;
use crate::remote::RemoteConfig;

pub use hub::HubConfig;

/// Texts that may wait to be embedded at most.
const MOST_WAITING: usize = 1_000_000;

/// All settings of the generator.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where it listens.
    pub server: ServerConfig,
    /// Logs, traces and metrics.
    pub telemetry: TelemetryConfig,
    /// Its own database.
    pub store: StoreConfig,
    /// The model that serves.
    pub model: ModelConfig,
    /// The model that embeds.
    pub embedding: EmbeddingConfig,
    /// The model that predicts clicks.
    pub words: WordsConfig,
    /// How copy is written.
    pub writing: WritingConfig,
    /// Where weights are fetched from.
    pub hub: HubConfig,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            server: ServerConfig::listening("127.0.0.1:7002"),
            telemetry: TelemetryConfig::default(),
            store: StoreConfig::default(),
            model: ModelConfig::default(),
            embedding: EmbeddingConfig::default(),
            words: WordsConfig::default(),
            writing: WritingConfig::default(),
            hub: HubConfig::default(),
        }
    }
}

/// Where written copy is kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StoreConfig {
    /// `sqlite://FILE?mode=rwc` or `postgres://…`.
    pub url: Secret,
    /// Hours a copy is kept.
    pub keep_hours: u32,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self { url: Secret::new("sqlite://generator.db?mode=rwc"), keep_hours: 24 * 30 }
    }
}

/// The model that serves.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ModelConfig {
    /// The folder `generator fetch` filled.
    pub folder: PathBuf,
    /// The GGUF file in it, or the folder of safetensors; empty serves templates only.
    pub file: String,
    /// Where its products are computed: `cpu`, `cuda` or `cuda:NUMBER`.
    pub device: Place,
    /// Threads the model may use. More than the machine has free makes it slower, not faster.
    pub threads: usize,
    /// Texts that may wait for the model; one more is answered by a template.
    pub queue: usize,
    /// Tokens a prompt and its answer may have together.
    pub context: usize,
    /// Tokens of prompts read at once.
    pub batch: usize,
    /// Texts written at once.
    pub slots: usize,
    /// Mebibytes kept of prompts, so that one that starts like an earlier one is read from there on only.
    pub cache_mib: usize,
    /// Whether weights converted for the processor are kept beside the model, so that the next start is quick.
    pub pack: bool,
    /// A server that writes; the file's model stands in for it.
    pub remote: RemoteConfig,
}

impl Default for ModelConfig {
    fn default() -> Self {
        Self {
            folder: ".cache/models".into(),
            file: "qwen2.5-0.5b-instruct-q4_k_m.gguf".into(),
            device: Place::Processor,
            threads: 1,
            queue: 64,
            context: 2048,
            batch: 64,
            slots: 8,
            cache_mib: 256,
            pack: true,
            remote: RemoteConfig::default(),
        }
    }
}

impl ModelConfig {
    /// What the engine is started with; `None` where there is no file.
    pub fn engine(&self) -> Option<EngineConfig> {
        (!self.file.is_empty()).then(|| EngineConfig {
            model: self.folder.join(&self.file),
            device: self.device,
            threads: self.threads,
            queue: self.queue,
            context: self.context,
            batch: self.batch,
            slots: self.slots,
            cache_bytes: self.cache_mib << 20,
            pack: self.pack,
        })
    }
}

/// The model that embeds; it lies in the folder of the model that writes.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EmbeddingConfig {
    /// The safetensors file, `STEM.tokenizer.json` and `STEM.config.json` beside it; empty embeds nothing.
    pub file: String,
    /// Threads it may use.
    pub threads: usize,
    /// Texts that may wait for it; a call whose texts find no room is refused.
    pub queue: usize,
    /// Tokens, padding among them, that go through it at once.
    pub batch_tokens: usize,
    /// Vectors kept for texts that come again.
    pub cache: u64,
}

impl Default for EmbeddingConfig {
    fn default() -> Self {
        Self {
            file: "all-minilm-l6-v2.safetensors".into(),
            threads: 1,
            queue: 4096,
            batch_tokens: 1024,
            cache: 20_000,
        }
    }
}

/// The model that predicts which words are clicked.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WordsConfig {
    /// What `generator words train` wrote: a path, or a name in the folder of the model that writes. It reads with the
    /// model that embeds. Empty predicts nothing.
    pub file: String,
}

impl Config {
    /// The file of the model of words; `None` where no clicks are predicted.
    pub fn words(&self) -> Option<PathBuf> {
        (!self.words.file.is_empty()).then(|| self.model.folder.join(&self.words.file))
    }

    /// What the encoder is started with; `None` where nothing is embedded.
    pub fn encoder(&self) -> Option<EmbedConfig> {
        let embedding = &self.embedding;
        (!embedding.file.is_empty()).then(|| EmbedConfig {
            model: self.model.folder.join(&embedding.file),
            threads: embedding.threads,
            queue: embedding.queue,
            batch_tokens: embedding.batch_tokens,
            cache: embedding.cache,
        })
    }
}

/// How copy is written.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WritingConfig {
    /// Temperature of a request that names none.
    pub temperature: f64,
    /// Share of the probability that is sampled from.
    pub top_p: f64,
    /// The longest text, tokens.
    pub max_tokens: usize,
    /// Attempts at a text that passes the check, each with a seed of its own.
    pub attempts: u32,
    /// Texts written at once for each attempt, of which the best is kept; at most `model.slots`.
    pub candidates: usize,
    /// Wordings kept of a subject; a seed chooses one of them.
    pub wordings: u64,
    /// Texts held in memory; more are read from the database.
    pub memory: usize,
    /// Longest wait for the model of a call without a deadline, and longest life of a text being written, milliseconds.
    pub longest_ms: u64,
    /// Time kept back of a deadline for the answer itself, milliseconds.
    pub margin_ms: u64,
    /// Texts nobody waits for that may be queued for later calls; more are left unwritten.
    pub background: usize,
    /// Of these, how many the model works on at once.
    pub background_lanes: usize,
    /// Seconds after which a text that did not pass the check is tried again.
    pub retry_after_s: u64,
    /// Requests of one stream worked on at once.
    pub stream_concurrency: usize,
}

impl Default for WritingConfig {
    fn default() -> Self {
        Self {
            temperature: 0.6,
            top_p: 0.9,
            max_tokens: 64,
            attempts: 3,
            candidates: 3,
            wordings: 4,
            memory: 100_000,
            longest_ms: 60_000,
            margin_ms: 5,
            background: 256,
            background_lanes: 2,
            retry_after_s: 300,
            stream_concurrency: 8,
        }
    }
}

impl Validate for Config {
    fn validate(&self, problems: &mut Problems) {
        self.server.validate(problems);
        self.telemetry.validate(problems);
        self.hub.validate(problems);
        let url = self.store.url.expose();
        problems.require(
            url.starts_with("sqlite:") || url.starts_with("postgres:") || url.starts_with("postgresql:"),
            "store.url",
            "must begin with sqlite: or postgres:",
        );
        let (model, writing) = (&self.model, &self.writing);
        let at_least_one = [
            ("store.keep_hours", self.store.keep_hours > 0),
            ("model.threads", model.threads > 0),
            ("model.queue", model.queue > 0),
            ("model.batch", model.batch > 0),
            ("model.slots", model.slots > 0),
            ("embedding.threads", self.embedding.threads > 0),
            ("embedding.batch_tokens", self.embedding.batch_tokens > 0),
            ("writing.max_tokens", writing.max_tokens > 0),
            ("writing.attempts", writing.attempts > 0),
            ("writing.candidates", writing.candidates > 0),
            ("writing.wordings", writing.wordings > 0),
            ("writing.memory", writing.memory > 0),
            ("writing.longest_ms", writing.longest_ms > 0),
            ("writing.background_lanes", writing.background_lanes > 0),
            ("writing.stream_concurrency", writing.stream_concurrency > 0),
        ];
        for (key, fine) in at_least_one {
            problems.require(fine, key, "must be above 0");
        }
        let embedding_queue = (crate::embed::MOST_TEXTS..=MOST_WAITING).contains(&self.embedding.queue);
        problems.require(
            embedding_queue,
            "embedding.queue",
            format!("must be {} (one whole call) to {MOST_WAITING}", crate::embed::MOST_TEXTS),
        );
        problems.require(
            model.device.is_built(),
            "model.device",
            "needs a program built with CUDA (cargo build --release --features generator/cuda); this one knows cpu",
        );
        model.remote.validate("model.remote", problems);
        problems.require(
            self.words.file.is_empty() || !self.embedding.file.is_empty(),
            "words.file",
            "needs embedding.file: the model of words reads with the model that embeds",
        );
        problems.require(model.context >= 1024, "model.context", "must be at least 1024, or no prompt fits");
        problems.require(
            writing.candidates <= model.slots,
            "writing.candidates",
            "must be at most model.slots",
        );
        problems.require((0.0..=2.0).contains(&writing.temperature), "writing.temperature", "must be 0 to 2");
        let share = writing.top_p > 0.0 && writing.top_p <= 1.0;
        problems.require(share, "writing.top_p", "must be above 0 and at most 1");
    }
}
