//! `generator words`: which of two texts is clicked.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use clap::{Args, Subcommand};
use indicatif::ProgressBar;
use serde_json::json;

use crate::embed::bert::Bert;
use crate::words::judge::Judged;
use crate::words::trials::{self, Trial};
use crate::words::{Model, Reader, train};

/// Rejected rows that are told one by one.
const TOLD: usize = 5;

#[derive(Debug, Args)]
pub(super) struct Encoder {
    /// The encoder's weights, its tokenizer and shape beside them.
    #[arg(long, value_name = "FILE", default_value = ".cache/models/all-minilm-l6-v2.safetensors")]
    encoder: PathBuf,
}

#[derive(Debug, Subcommand)]
pub(super) enum Words {
    /// Learn from headline tests; judged on a fifth of them first, then fitted on all.
    Train {
        /// CSV, may be gzipped, with clickability_test_id, headline, impressions and clicks.
        #[arg(long, value_name = "FILE")]
        tests: PathBuf,
        /// Where the model is written.
        #[arg(long, value_name = "FILE")]
        output: PathBuf,
        /// One JSON object.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        encoder: Encoder,
    },
    /// Count how often the one clicked more is told, in tests the model has not seen.
    Evaluate {
        /// CSV as for `train`.
        #[arg(long, value_name = "FILE")]
        tests: PathBuf,
        /// A trained model; without one, four fifths of the tests train and the rest judge.
        #[arg(long, value_name = "FILE")]
        model: Option<PathBuf>,
        /// One JSON object.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        encoder: Encoder,
    },
    /// Score texts; the first comes with the probability that it is clicked more than each other.
    Score {
        /// A trained model.
        #[arg(long, value_name = "FILE")]
        model: PathBuf,
        /// A text; give two or more to compare.
        #[arg(long = "text", value_name = "TEXT", required = true)]
        texts: Vec<String>,
        /// One JSON object.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        encoder: Encoder,
    },
}

/// Does it; blocks for as long as it takes.
pub(super) fn run(words: Words) -> anyhow::Result<()> {
    match words {
        Words::Train { tests, output, json, encoder } => {
            let (reader, trials) = (reader(&encoder)?, read(&tests)?);
            let library = library(&reader, &trials)?;
            let model = train::train(&reader, &trials, &library)?;
            model.save(&output)?;
            if json {
                return say(&serde_json::to_string(&model.card)?);
            }
            eprintln!("{}: λ {}, {} trials", output.display(), model.card.ridge, model.card.trials);
            model.card.test.as_ref().map_or(Ok(()), show)
        }
        Words::Evaluate { tests, model, json, encoder } => {
            let (reader, trials) = (reader(&encoder)?, read(&tests)?);
            let (judged, seen) = match model {
                Some(file) => {
                    let model = bound(&file, &reader)?;
                    let new: Vec<&Trial> = trials.iter().filter(|trial| !model.has_seen(&trial.id)).collect();
                    ensure!(!new.is_empty(), "the model was trained on every one of these tests");
                    let new_ones: Vec<Trial> = new.iter().map(|trial| (*trial).clone()).collect();
                    let library = library(&reader, &new_ones)?;
                    (train::judge(&model, &new, &library), trials.len() - new.len())
                }
                None => (train::holdout(&reader, &trials, &library(&reader, &trials)?)?.1, 0),
            };
            if seen > 0 {
                eprintln!("{seen} tests that the model was trained on are left out");
            }
            if json { say(&serde_json::to_string(&judged)?) } else { show(&judged) }
        }
        Words::Score { model, texts, json, encoder } => {
            let reader = reader(&encoder)?;
            let model = bound(&model, &reader)?;
            let borrowed: Vec<&str> = texts.iter().map(String::as_str).collect();
            let mut scores = Vec::new();
            for (text, input) in texts.iter().zip(reader.read(&borrowed, &|_| ())?) {
                let input =
                    input.with_context(|| format!("{text:?} is not English, which is all that is read"))?;
                scores.push(model.score(&input));
            }
            let texts = texts.iter().zip(&scores).map(|(text, score)| {
                json!({"text": text, "score": score, "first_wins": model.probability(scores[0], *score)})
            });
            let texts: Vec<_> = texts.collect();
            if json {
                return say(&json!({ "texts": texts }).to_string());
            }
            texts.iter().try_for_each(|text| {
                say(&format!(
                    "{:+.3}  {:.3}  {}",
                    text["score"].as_f64().unwrap_or_default(),
                    text["first_wins"].as_f64().unwrap_or_default(),
                    text["text"].as_str().unwrap_or_default()
                ))
            })
        }
    }
}

fn reader(encoder: &Encoder) -> anyhow::Result<Reader> {
    let bert = Bert::load(&encoder.encoder);
    Ok(Reader::new(bert.context("no encoder: `generator fetch --model all-minilm-l6-v2` brings it")?))
}

/// The model, if it reads with this encoder.
fn bound(file: &Path, reader: &Reader) -> anyhow::Result<Model> {
    let model = Model::load(file)?;
    let (wanted, given) = (&model.card.encoder, reader.encoder());
    ensure!(wanted == given, "the model reads with {wanted}, the encoder given is {given}");
    Ok(model)
}

fn read(file: &Path) -> anyhow::Result<Vec<Trial>> {
    let found = trials::read(file)?;
    found.rejected.iter().take(TOLD).for_each(|why| eprintln!("{why}"));
    if !found.rejected.is_empty() {
        eprintln!("{} rows cannot be used", found.rejected.len());
    }
    Ok(found.trials)
}

fn library<'a>(reader: &Reader, trials: &'a [Trial]) -> anyhow::Result<train::Library<'a>> {
    let progress = ProgressBar::new(trials.iter().map(|trial| trial.arms.len() as u64).sum());
    let library = train::library(reader, trials, &|more| progress.inc(more as u64));
    progress.finish_and_clear();
    library
}

fn show(judged: &Judged) -> anyhow::Result<()> {
    say(&format!(
        "{} pairs of {} tests: {:.4} told right ({:.4} of the {} beyond chance); the longer one {:.4}\n\
         log-loss {:.4}, Brier {:.4}, calibration error {:.4}",
        judged.pairs,
        judged.trials,
        judged.accuracy,
        judged.significant_accuracy,
        judged.significant_pairs,
        judged.longer_accuracy,
        judged.log_loss,
        judged.brier,
        judged.calibration_error
    ))
}

fn say(line: &str) -> anyhow::Result<()> {
    Ok(writeln!(std::io::stdout().lock(), "{line}")?)
}
