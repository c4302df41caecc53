//! Batch tools that need no server: JSON lines in, JSON lines or a table for people out.

use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use chassis::config::Secret;
use futures::{StreamExt as _, TryStreamExt as _};
use indicatif::ProgressBar;
use proto::generator::v1::{Brief, CheckCopyRequest, CopySource, GenerateCopyRequest, GenerateCopyResponse};
use proto::validate::Violation;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use crate::config::WritingConfig;
use crate::embed::Embedder;
use crate::engine::bench::Plan;
use crate::engine::{Backend, EngineConfig, State};
use crate::store::Store;
use crate::words::Predictor;
use crate::writing::Writer;
use crate::{Config, service};

/// How long a text may take, milliseconds: a day.
const PATIENCE_MS: u64 = 86_400_000;
/// Briefs worked on at once.
const AT_ONCE: usize = 8;

/// Writes copy for each brief of `file`, in order.
pub(super) async fn write(
    config: &Config,
    file: &Path,
    variants: u32,
    seed: u64,
    json: bool,
) -> anyhow::Result<()> {
    let telemetry = chassis::telemetry::init("generator", &config.telemetry)?;
    let briefs: Vec<Brief> = lines(file)?;
    // All faults are told before anything is written.
    let order = |brief| {
        service::order(GenerateCopyRequest {
            brief: Some(brief),
            variants,
            seed,
            ..GenerateCopyRequest::default()
        })
    };
    let orders = all(briefs.into_iter().map(order))?;
    let stop = CancellationToken::new();
    let _stop = stop.clone().drop_guard();
    let store = Store::open(&Secret::new("sqlite::memory:")).await?;
    // Nobody waits: a machine that is busy makes it slow, and does not turn it to templates.
    let writing = WritingConfig { longest_ms: PATIENCE_MS, ..config.writing.clone() };
    let writer = Writer::new(loaded(config).await?, words(config), store, &writing, stop);
    let progress = ProgressBar::new(orders.len() as u64);
    let answers = futures::stream::iter(orders.into_iter().enumerate()).map(|(index, order)| {
        let writer = writer.clone();
        async move {
            let title = order.brief.item.as_ref().map(|item| item.title.clone()).unwrap_or_default();
            let answer =
                writer.write(&order, None, None).await.with_context(|| format!("line {}", index + 1))?;
            anyhow::Ok((title, answer))
        }
    });
    let mut answers = answers.buffered(AT_ONCE);
    let (mut copies, mut by_model) = (0, 0);
    while let Some((title, answer)) = answers.try_next().await? {
        progress.inc(1);
        copies += answer.copies.len();
        by_model += answer.copies.iter().filter(|copy| copy.source() != CopySource::Template).count();
        if json { print(&answer)? } else { show(&title, &answer)? }
    }
    progress.finish_and_clear();
    eprintln!("{copies} copies, {by_model} of them by the model");
    telemetry.flush().await;
    Ok(())
}

/// Checks each copy of `file` against its brief.
pub(super) fn check(file: &Path, json: bool) -> anyhow::Result<()> {
    let requests: Vec<CheckCopyRequest> = lines(file)?;
    let reports = all(requests.iter().map(service::check))?;
    let mut faulty = 0;
    for (request, checked) in requests.iter().zip(reports) {
        faulty += usize::from(!checked.violations.is_empty());
        if json {
            print(&checked)?;
        } else {
            let verdict =
                if checked.violations.is_empty() { "fine".to_owned() } else { checked.violations.join("; ") };
            writeln!(std::io::stdout(), "{}\n    {verdict}", request.text)?;
        }
    }
    eprintln!("{} checked, {faulty} with violations", requests.len());
    Ok(())
}

/// Measures the model of `engine`. Blocks for as long as that takes.
pub(super) fn bench(engine: &EngineConfig, plan: &Plan, json: bool) -> anyhow::Result<()> {
    let found = crate::engine::bench::bench(engine, plan)?;
    if json {
        return print(&found);
    }
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "{}, {}, {} threads, loaded in {:.2} s",
        found.model_id, found.device, found.threads, found.load_seconds
    )?;
    writeln!(
        out,
        "{:>5} {:>10} {:>10} {:>10} {:>12}",
        "batch", "prefill/s", "decode/s", "total/s", "first token"
    )?;
    for speed in &found.speeds {
        writeln!(
            out,
            "{:>5} {:>10.1} {:>10.1} {:>10.1} {:>10.0}ms",
            speed.batch,
            speed.prefill_tokens_per_second,
            speed.decode_tokens_per_second,
            speed.total_tokens_per_second,
            speed.first_token_seconds * 1e3
        )?;
    }
    let weights = found.weight_bytes as f64 / 1e6;
    if let (Some(limit), Some(rate)) = (found.limit_tokens_per_second, found.read_bytes_per_second) {
        writeln!(out, "limit {limit:.1} tokens/s: {weights:.0} MB of weights at {:.1} GB/s", rate / 1e9)?;
    } else {
        writeln!(out, "{weights:.0} MB of weights")?;
    }
    let told = |bytes: Option<u64>| {
        bytes.map_or_else(|| "–".to_owned(), |bytes| format!("{} MB", bytes / 1_000_000))
    };
    let (load, steady, peak) =
        (told(found.load_peak_bytes), told(found.steady_bytes), told(found.peak_bytes));
    writeln!(
        out,
        "memory: {load} at most while loading, {steady} serving the largest batch, {peak} at most"
    )?;
    Ok(())
}

/// The model of words that `config` names; the encoder is loaded for it alone.
pub(super) fn words(config: &Config) -> Option<Predictor> {
    let encoder = config.words().and_then(|_| config.encoder()).map(|encoder| Embedder::start(&encoder));
    Predictor::of(config, encoder.as_ref())
}

/// The models that write, none of them loading any more; fails where the only one cannot be loaded.
pub(super) async fn loaded(config: &Config) -> anyhow::Result<Vec<Arc<dyn Backend>>> {
    let backends = crate::backends(&config.model)?;
    for backend in &backends {
        while backend.state() == State::Loading {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        if let (State::Failed(reason), 1) = (backend.state(), backends.len()) {
            bail!("the model cannot be loaded: {reason}; `generator fetch` brings it")
        }
    }
    Ok(backends)
}

pub(super) fn lines<T: DeserializeOwned>(file: &Path) -> anyhow::Result<Vec<T>> {
    let text = std::fs::read_to_string(file).with_context(|| format!("{}", file.display()))?;
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines.map(|(at, line)| serde_json::from_str(line).with_context(|| format!("line {}", at + 1))).collect()
}

/// What every line came to, or the faults of all lines that have some.
fn all<T>(lines: impl Iterator<Item = Result<T, Vec<Violation>>>) -> anyhow::Result<Vec<T>> {
    let (mut sound, mut faults) = (Vec::new(), Vec::new());
    for (index, line) in lines.enumerate() {
        match line {
            Ok(line) => sound.push(line),
            Err(found) => faults.extend(
                found
                    .iter()
                    .map(|fault| format!("line {}: {}: {}", index + 1, fault.field, fault.description)),
            ),
        }
    }
    if faults.is_empty() { Ok(sound) } else { bail!(faults.join("\n")) }
}

pub(super) fn print(message: &impl Serialize) -> anyhow::Result<()> {
    writeln!(std::io::stdout(), "{}", serde_json::to_string(message)?)?;
    Ok(())
}

fn show(title: &str, answer: &GenerateCopyResponse) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{title}")?;
    for copy in &answer.copies {
        let source = copy.source().as_str_name().trim_start_matches("COPY_SOURCE_").to_lowercase();
        writeln!(out, "    {} | {} | {} ({source})", copy.headline, copy.body, copy.call_to_action)?;
    }
    Ok(())
}
